"""Hardware groups in a real Airflow: a failed run fails, whichever tasks a user clears or marks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.processes.airflow_processes import ON_AIRFLOW_3, AirflowProcesses

pytestmark = ON_AIRFLOW_3


class GroupAirflow(AirflowProcesses):
    """An Airflow of real processes whose DAGs each upgrade a Space of their own."""

    def __init__(self, home: Path, hub: HubEmulator) -> None:
        self.hub = hub
        self.work_may_end = home / "work_may_end"
        super().__init__(
            home,
            hub,
            dags=Path(__file__).with_name("group_dags"),
            environment={"WORK_MAY_END": str(self.work_may_end)},
        )

    def has_dags(self) -> bool:
        active_dag_ids = {row[0] for row in self.query("SELECT dag_id FROM dag WHERE NOT is_paused")}
        return active_dag_ids >= {"work_cleared_alone", "upgrade_marked_success", "run_marked_failed"}

    def call(self, method: str, path: str, body: dict[str, Any]) -> None:
        """Send the API server a request, as the UI does."""
        token = requests.get(f"{self.api}/auth/token", timeout=120).json()["access_token"]
        response = requests.request(
            method,
            f"{self.api}/api/v2/dags/{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=120,
        )
        assert response.status_code == 200, response.text

    def begin(self, dag_id: str) -> Any:
        """Start a run on a new Space, which is returned."""
        self.work_may_end.unlink(missing_ok=True)
        space = self.hub.add_space(f"acme/{dag_id}")
        self.call("POST", f"{dag_id}/dagRuns", {"dag_run_id": "run", "logical_date": None})
        return space

    def task_state(self, dag_id: str, task: str) -> str:
        """The state of a task of the group."""
        where = f"dag_id = '{dag_id}' AND task_id = 'gpu.{task}'"
        return str(self.query(f"SELECT state FROM task_instance WHERE {where}")[0][0])

    def until_task(self, dag_id: str, task: str, state: str) -> None:
        """Wait until a task of the group is in this state."""
        self.until(lambda: self.task_state(dag_id, task) == state, 240)

    def outcome(self, dag_id: str) -> str:
        """Wait until the run has ended, and return its state."""

        def state() -> str:
            return str(self.query(f"SELECT state FROM dag_run WHERE dag_id = '{dag_id}'")[0][0])

        self.until(lambda: state() in ("success", "failed"), 240)
        return state()


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GroupAirflow]:
    # An emulated minute takes one second.
    with HubEmulator(speed=60.0) as hub:
        airflow = GroupAirflow(tmp_path_factory.mktemp("groups"), hub)
        try:
            airflow.start()
            yield airflow
        finally:
            airflow.stop()


def test_a_failed_restore_fails_the_run_after_only_the_work_was_cleared(airflow: GroupAirflow) -> None:
    dag_id = "work_cleared_alone"
    airflow.begin(dag_id)
    airflow.until_task(dag_id, "work", "running")
    airflow.work_may_end.touch()
    assert airflow.outcome(dag_id) == "success"

    airflow.work_may_end.unlink()
    clear = {"dry_run": False, "dag_run_id": "run", "task_ids": ["gpu.work"], "only_failed": False}
    airflow.call("POST", f"{dag_id}/clearTaskInstances", clear)
    airflow.until_task(dag_id, "work", "running")
    airflow.hub.faults.add(kind="status", status=403, method="POST", path=f"{dag_id}/hardware")
    airflow.work_may_end.touch()
    airflow.until_task(dag_id, "restore", "failed")
    assert airflow.outcome(dag_id) == "failed"
    assert airflow.task_state(dag_id, "outcome") == "upstream_failed"
    assert airflow.task_state(dag_id, "done") == "success", "nobody cleared what follows the work"


def test_work_does_not_run_on_the_old_hardware_when_upgrade_is_marked_success(airflow: GroupAirflow) -> None:
    dag_id = "upgrade_marked_success"
    airflow.hub.add_space(f"acme/{dag_id}").hang_next_start()
    airflow.work_may_end.unlink(missing_ok=True)
    airflow.call("POST", f"{dag_id}/dagRuns", {"dag_run_id": "run", "logical_date": None})
    airflow.until_task(dag_id, "upgrade", "deferred")
    airflow.mark(dag_id, "gpu.upgrade", "success")
    assert airflow.outcome(dag_id) == "failed"
    assert airflow.task_state(dag_id, "work") == "failed"
    assert airflow.hub.space(f"acme/{dag_id}").requested_hardware == "cpu-basic"


def test_a_run_that_is_marked_failed_during_the_work_ends_as_failed(airflow: GroupAirflow) -> None:
    dag_id = "run_marked_failed"
    space = airflow.begin(dag_id)
    airflow.until_task(dag_id, "work", "running")
    airflow.call("PATCH", f"{dag_id}/dagRuns/run", {"state": "failed"})
    airflow.until_task(dag_id, "restore", "success")
    assert airflow.outcome(dag_id) == "failed"
    assert space.requested_hardware == "cpu-basic"
