"""Notifiers in real processes: in the worker, the DAG processor, the triggerer and the executor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from pathlib import Path

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.http.sequence import execute
from airflow_provider_hfspaces.hub.lease.record import LeaseHolder, LeaseRecord
from airflow_provider_hfspaces.hub.lease.store import LeaseStore
from airflow_provider_hfspaces.state.leases import LeaseOwner, variable_name
from tests.airflow_tools import connection
from tests.processes.airflow_processes import AirflowProcesses

pytestmark = pytest.mark.processes

AIRFLOW = tuple(int(part) for part in version("apache-airflow").split(".")[:2])
DAGS = ("task_pauses", "task_restores", "dag_restores", "dag_restores_leased")
ASYNC_DAGS = ("late_restores", "late_pauses") if AIRFLOW >= (3, 1) else ()
SYNC_DAGS = ("late_pauses_in_executor", "late_restores_in_executor", "late_refused_in_executor")


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 1}


class NotifyingAirflow(AirflowProcesses):
    """An Airflow of real processes with DAGs that fail or miss a deadline."""

    def __init__(self, home: Path, hub: HubEmulator) -> None:
        # Every process can read connections in the environment, but not every process those in the database.
        environment = {
            "AIRFLOW_CONN_IN_THE_ENVIRONMENT": connection(hub),
            "AIRFLOW__CORE__PARALLELISM": "8",
        }
        folder = Path(__file__).with_name("notifier_dags")
        super().__init__(home, hub, dags=folder, environment=environment)

    def has_dags(self) -> bool:
        active_dag_ids = {row[0] for row in self.query("SELECT dag_id FROM dag WHERE NOT is_paused")}
        return active_dag_ids >= {*DAGS, *ASYNC_DAGS}


@pytest.fixture
def airflow(hub: HubEmulator, tmp_path: Path) -> Iterator[AirflowProcesses]:
    hub.settings.change({"timings": {"build": 100_000}})
    processes = NotifyingAirflow(tmp_path, hub)
    try:
        processes.start()
        processes.airflow("connections", "add", "in_the_database", "--conn-json", connection(hub))
        yield processes
    finally:
        processes.stop()


def lease(hub: HubEmulator, dag_id: str, run_id: str, repo_id: str, hardware: str) -> list[str]:
    """Write a lease to the Hub. Returns the command that saves the Variable with the owner of the lease."""
    previous = {"repo_id": repo_id, "stage": "RUNNING", "hardware": hardware, "sleep_time": 7200}
    now = datetime.now(timezone.utc)
    holder = LeaseHolder("ab" * 16, 1, now, now + timedelta(hours=1), previous, ("t4-small",))
    store = LeaseStore(repo_id)
    with HubClient(hub.token, hub.url) as client:
        execute(store.compare_and_set(LeaseRecord(repo_id, 1, (holder,)), None, "Hold"), client.send)
    owner = LeaseOwner(dag_id, run_id, "snapshot")
    return ["variables", "set", variable_name(holder.holder_id), json.dumps(owner.to_dict())]


def everything_printed(airflow: AirflowProcesses) -> str:
    logs = [*airflow.home.rglob("*.log*"), *airflow.home.glob("*.out")]
    return "\n".join(path.read_text(errors="replace") for path in logs if path.is_file())


def test_failure_callbacks_pause_and_restore_spaces(hub: HubEmulator, airflow: AirflowProcesses) -> None:
    paused_space = hub.add_space("acme/task-pauses", hardware="t4-small")
    by_task = hub.add_space("acme/task-restores", hardware="cpu-upgrade", sleep_time=7200)
    by_dag = hub.add_space("acme/dag-restores", hardware="cpu-upgrade", sleep_time=7200)
    leased_space = hub.add_space("acme/dag-restores-leased", hardware="t4-small")
    airflow.airflow(*lease(hub, "dag_restores_leased", "run", "acme/dag-restores-leased", "cpu-upgrade"))
    for dag_id in DAGS:
        airflow.run(dag_id)
    for dag_id in ("task_restores", "dag_restores"):
        airflow.until(lambda: airflow.states(dag_id)["failed"] == 1, 240)  # noqa: B023
    airflow.until(lambda: paused_space.stage == "PAUSED", 240)
    airflow.until(lambda: by_task.requested_hardware == "cpu-upgrade", 240)
    # The DAG processor of Airflow 3.0 cannot read XComs, and this run has no lease.
    back = "cpu-basic" if AIRFLOW == (3, 0) else "cpu-upgrade"
    airflow.until(lambda: by_dag.requested_hardware == back, 240)
    airflow.until(lambda: leased_space.requested_hardware == "cpu-upgrade", 240)
    assert (by_task.sleep_time, leased_space.sleep_time) == (7200, 7200)
    assert "t4-small" in {moment.requested for moment in by_dag.history}
    log = airflow.log_of("task_pauses")
    assert "this is what went wrong" in log
    assert "because task 'fail' of DAG 'task_pauses' failed" in log
    airflow.until(lambda: "according to the lease of this run" in everything_printed(airflow), 240)
    assert hub.token not in everything_printed(airflow)


@pytest.mark.skipif(AIRFLOW < (3, 1), reason="deadline alerts need Airflow 3.1")
def test_deadline_callbacks_pause_and_restore_spaces(hub: HubEmulator, airflow: AirflowProcesses) -> None:
    restored_space = hub.add_space("acme/run-late-restores", hardware="cpu-upgrade", sleep_time=7200)
    paused_space = hub.add_space("acme/late", hardware="t4-small")
    airflow.run("late_pauses", {"name": "late"})
    airflow.run("late_restores")
    airflow.until(lambda: airflow.states("late_restores")["running"] == 1, 240)
    airflow.until(lambda: paused_space.stage == "PAUSED", 240)
    airflow.until(lambda: restored_space.requested_hardware == "cpu-upgrade", 240)
    assert restored_space.sleep_time == 7200
    assert "t4-small" in {moment.requested for moment in restored_space.history}
    # A missed deadline does not end the task.
    assert airflow.states("late_pauses") == {"running": 1}
    assert hub.token not in everything_printed(airflow)


@pytest.mark.skipif(AIRFLOW < (3, 3), reason="on SQLite, a SyncCallback crashes the scheduler of Airflow 3.2")
def test_a_synchronous_callback_reads_connections_from_the_environment_only(
    hub: HubEmulator, airflow: AirflowProcesses
) -> None:
    paused_space = hub.add_space("acme/late-sync-pauses", hardware="t4-small")
    restored_space = hub.add_space("acme/late-sync-restores", hardware="cpu-upgrade", sleep_time=7200)
    refused_space = hub.add_space("acme/late-sync-refused", hardware="t4-small")
    for dag_id in SYNC_DAGS:
        airflow.run(dag_id)
    airflow.until(lambda: paused_space.stage == "PAUSED", 240)
    airflow.until(lambda: restored_space.requested_hardware == "cpu-basic", 240)
    assert "t4-small" in {moment.requested for moment in restored_space.history}
    airflow.until(lambda: "use an AsyncCallback" in everything_printed(airflow), 240)
    assert refused_space.stage == "RUNNING"
    assert hub.token not in everything_printed(airflow)
