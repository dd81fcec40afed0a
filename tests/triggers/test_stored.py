"""What Airflow stores of a trigger stays valid, so that deferred tasks survive an upgrade of this package."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from airflow_provider_hfspaces.hub.waiting.goal import Goal

TRIGGERS = "airflow_provider_hfspaces.triggers"
STORED: dict[str, dict[str, Any]] = {
    f"{TRIGGERS}.apps.SpaceCallTrigger": {
        "repo_id": "acme/whisper",
        "deadline": 2.0,
        "started": 1.0,
        "hf_spaces_conn_id": "hub",
        "app_conn_id": "app",
        "then": {"text": 1},
        "logs": None,
        "call": {"api": "/predict"},
        "output": "s3://bucket/folder",
    },
    f"{TRIGGERS}.apps.SpaceQueueTrigger": {
        "repo_id": "acme/whisper",
        "deadline": 2.0,
        "started": 1.0,
        "hf_spaces_conn_id": "hub",
        "app_conn_id": None,
        "then": None,
        "logs": {"kinds": ["run"]},
        "places": 3,
        "delay": 1.5,
    },
    f"{TRIGGERS}.costs.RunCostTrigger": {
        "repo_id": "acme/whisper",
        "max_run_cost": 3.0,
        "requested": ["t4-small"],
        "sightings": [],
        "dag_id": "dag",
        "run_id": "run",
        "closing_task": "restore",
        "map_index": 2,
        "poll_interval": 20.0,
        "hf_spaces_conn_id": "hub",
    },
    f"{TRIGGERS}.events.SpaceEventTrigger": {
        "repo_id": "acme/whisper",
        "stages": ["RUNTIME_ERROR"],
        "hardware_changes": True,
        "hf_spaces_conn_id": "hub",
        "poll_interval": 60.0,
    },
    f"{TRIGGERS}.leases.LeaseTrigger": {
        "repo_id": "acme/whisper",
        "owner": {"dag_id": "dag"},
        "deadline": 2.0,
        "started": 1.0,
        "poll_interval": 20.0,
        "delay": 1.5,
        "hf_spaces_conn_id": "hub",
    },
    f"{TRIGGERS}.pauses.PauseTrigger": {
        "repo_id": "acme/whisper",
        "until": 2.0,
        "then": {"search": {}},
    },
    f"{TRIGGERS}.spaces.SpaceTrigger": {
        "repo_id": "acme/whisper",
        "goal": Goal().to_dict(),
        "hf_spaces_conn_id": "hub",
        "poll_interval": 20.0,
        "deadline": 2.0,
        "grace": 10.0,
        "started": 1.0,
        "before": None,
        "answer": None,
        "put_back": None,
        "health": None,
        "start_timeout": 600.0,
        "changes": [],
        "logs": None,
        "then": {"hourly": 1.0},
    },
}


@pytest.mark.parametrize("path", STORED)
def test_a_stored_trigger_has_the_path_and_the_arguments_of_earlier_versions(path: str) -> None:
    module, _, name = path.rpartition(".")
    trigger = getattr(import_module(module), name)(**STORED[path])
    assert trigger.serialize() == (path, STORED[path])
