"""The DAGs launch a demo under its public name, and delete it."""

from __future__ import annotations

import json

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")


def test_a_demo_is_launched_and_retired(hub: HubEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    value = json.dumps({"conn_type": "http", "password": "sk-1a2b3c4d5e6f7a8b"})
    monkeypatch.setenv("AIRFLOW_CONN_OPENAI_DEFAULT", value)
    hub.add_space("acme/whisper")
    assert set(run(dag_file("launch_demo").launch_demo).values()) == {"success"}
    demo = hub.space("acme/demo")
    assert (demo.private, demo.sleep_time, demo.replicas) == (False, 3600, 2)
    assert (demo.variables, list(demo.secrets)) == ({"LANGUAGE": "en"}, ["OPENAI_API_KEY"])
    assert set(run(dag_file("launch_demo").retire_demo).values()) == {"success"}
    assert [space.repo_id for space in hub.world.spaces.values() if "demo" in space.repo_id] == []
