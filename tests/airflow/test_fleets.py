"""Fleet operators in whole DAG runs: a failed task keeps its report, and a retry completes it."""

from __future__ import annotations

import sqlite3

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run
from tests.conftest import HOME

pytestmark = pytest.mark.usefixtures("airflow_db")


def restarts(hub: HubEmulator) -> list[str]:
    return sorted(
        request.path.split("/")[-2] for request in hub.requests if request.path.endswith("/restart")
    )


def test_the_report_of_a_retry_contains_the_spaces_that_either_try_paused(hub: HubEmulator) -> None:
    for name in ("a", "b", "c"):
        hub.add_space(f"acme/{name}", hardware="t4-small")
    hub.add_space("acme/off", hardware="t4-small", stage="PAUSED")
    hub.faults.add(kind="status", status=409, path="/b/pause", message="operation in progress", times=1)
    states = run(dag_file("fleet_in_one_run").dag)
    assert set(states.values()) == {"success"}
    assert sorted(states) == ["dag", "pause", "restart", "running[0]", "running[1]", "running[2]", "spaces"]
    pauses = [request for request in hub.requests if request.path.endswith("/pause")]
    assert len(pauses) == 4
    assert restarts(hub) == ["a", "b", "c"]
    assert hub.space("acme/off").stage == "PAUSED"
    with sqlite3.connect(HOME / "airflow.db") as database:
        assert database.execute("SELECT key FROM variable WHERE key LIKE 'hf_spaces%'").fetchall() == []


def test_spaces_that_a_failed_pause_task_paused_are_restarted(hub: HubEmulator) -> None:
    for name in ("a", "b"):
        hub.add_space(f"acme/{name}", hardware="t4-small")
    hub.faults.add(kind="status", status=403, path="/b/pause")
    states = run(dag_file("fleet_in_one_run").dag)
    assert (states["pause"], states["restart"], states["running[0]"]) == ("failed", "success", "success")
    assert restarts(hub) == ["a"]
    assert hub.space("acme/a").stage == "RUNNING"
