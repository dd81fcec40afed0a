"""A worker dies or a user ends the task while a fleet is paused: the report names every paused Space."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.processes.airflow_processes import AIRFLOW_3, AirflowProcesses

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not AIRFLOW_3, reason="the DAG and the API call that ends a task need Airflow 3"),
]

COUNT = 150


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 1}


@pytest.fixture
def airflow(hub: HubEmulator, tmp_path: Path) -> Iterator[AirflowProcesses]:
    hub.set_quota(100_000)
    hub.faults.add(kind="delay", path="/pause", seconds=0.15)
    for run in ("killed", "ended"):
        for number in range(COUNT):
            hub.add_space(f"acme/{run}-{number:03}", hardware="t4-small")
    processes = AirflowProcesses(tmp_path, hub)
    processes.environment["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(__file__).with_name("fleet_dags"))
    processes.environment["PROCESS_FILE"] = str(tmp_path / "process")
    try:
        processes.airflow("db", "migrate")
        processes.spawn("api-server", "api-server", "--port", str(processes.port))
        processes.spawn("dag-processor", "dag-processor")
        processes.spawn("scheduler", "scheduler")
        processes.until(lambda: processes.query("SELECT dag_id FROM dag") == [("night",)], 240)
        processes.until(processes.answers, 240)
        yield processes
    finally:
        processes.stop()


def pauses(hub: HubEmulator, run: str) -> list[str]:
    paths = (request.path for request in hub.requests if request.path.endswith("/pause"))
    return [path for path in paths if f"/{run}-" in path]


def begin(hub: HubEmulator, airflow: AirflowProcesses, run: str) -> None:
    """Start the DAG, and wait until some Spaces are paused."""
    airflow.airflow("dags", "trigger", "--run-id", run, "night")
    airflow.until(lambda: len(pauses(hub, run)) >= 30, 240)


def report_of(airflow: AirflowProcesses, run: str) -> dict[str, str]:
    """The outcome of each Space in the report of a run."""
    ((value,),) = airflow.query(
        f"SELECT value FROM xcom WHERE key = 'return_value' AND run_id = '{run}' AND task_id = 'pause'"
    )
    report: Any = json.loads(value)
    report = json.loads(report) if isinstance(report, str) else report
    return {each["repo_id"]: each["outcome"] for each in report["spaces"]}


def state(airflow: AirflowProcesses, run: str) -> str:
    ((state,),) = airflow.query(f"SELECT state FROM task_instance WHERE run_id = '{run}'") or [(None,)]
    return str(state)


def test_a_pause_task_that_is_killed_or_ended_reports_every_space_that_it_paused(
    hub: HubEmulator, airflow: AirflowProcesses
) -> None:
    begin(hub, airflow, "killed")
    os.kill(int(Path(airflow.environment["PROCESS_FILE"]).read_text()), signal.SIGKILL)
    airflow.until(lambda: state(airflow, "killed") == "success", 240)
    assert Counter(report_of(airflow, "killed").values()) == {"paused": COUNT}
    assert set(Counter(pauses(hub, "killed")).values()) == {1}

    begin(hub, airflow, "ended")
    token = requests.get(f"{airflow.api}/auth/token", timeout=120).json()["access_token"]
    answer = requests.patch(
        f"{airflow.api}/api/v2/dags/night/dagRuns/ended/taskInstances/pause",
        json={"new_state": "failed"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=120,
    )
    assert answer.status_code == 200
    airflow.until(lambda: "The task was stopped" in airflow.log_of("night"), 240)
    paused_ids = {name for name in names("ended") if hub.space(name).stage == "PAUSED"}
    assert 0 < len(paused_ids) < COUNT
    assert len(pauses(hub, "ended")) == len(paused_ids)
    airflow.until(lambda: airflow.query("SELECT value FROM xcom WHERE run_id = 'ended'"), 30)
    assert {
        name for name, outcome in report_of(airflow, "ended").items() if outcome == "paused"
    } == paused_ids
    assert hub.token not in airflow.log_of("night")


def names(run: str) -> list[str]:
    return [f"acme/{run}-{number:03}" for number in range(COUNT)]
