"""``max_run_cost`` in a real Airflow: the watch occupies no worker, and running work loses its hardware."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.processes.airflow_processes import AIRFLOW_3, AirflowProcesses

pytestmark = [
    pytest.mark.processes,
    pytest.mark.thorough,
    pytest.mark.skipif(
        not AIRFLOW_3, reason="the executor of Airflow 2.11 on SQLite runs one task at a time"
    ),
]


class CostAirflow(AirflowProcesses):
    """An Airflow of real processes whose work ends when the test says so."""

    def __init__(self, home: Path, hub: HubEmulator) -> None:
        self.hub = hub
        self.work_may_end = home / "work_may_end"
        super().__init__(
            home,
            hub,
            dags=Path(__file__).with_name("cost_dags"),
            environment={"WORK_MAY_END": str(self.work_may_end)},
        )

    def has_dags(self) -> bool:
        active_dag_ids = {row[0] for row in self.query("SELECT dag_id FROM dag WHERE NOT is_paused")}
        return active_dag_ids >= {"too_much", "enough"}

    def state(self, dag_id: str, task: str) -> str:
        """The state of a task of the group."""
        where = f"dag_id = '{dag_id}' AND task_id = 'gpu.{task}'"
        rows = self.query(f"SELECT state FROM task_instance WHERE {where}")
        return str(rows[0][0]) if rows else "None"

    def until_state(self, dag_id: str, task: str, state: str) -> None:
        """Wait until a task of the group is in this state."""
        self.until(lambda: self.state(dag_id, task) == state, 300)

    def outcome(self, dag_id: str) -> str:
        """Wait until the run has ended, and return its state."""

        def state() -> str:
            rows = self.query(f"SELECT state FROM dag_run WHERE dag_id = '{dag_id}'")
            return str(rows[0][0]) if rows else "None"

        self.until(lambda: state() in ("success", "failed"), 300)
        return state()


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CostAirflow]:
    # An emulated minute takes one second; the tasks count the minutes of their own clock.
    with HubEmulator(speed=60.0) as hub:
        airflow = CostAirflow(tmp_path_factory.mktemp("costs"), hub)
        try:
            airflow.start()
            yield airflow
        finally:
            airflow.stop()


def test_the_space_is_restored_while_the_work_still_runs_and_the_run_fails(airflow: CostAirflow) -> None:
    space = airflow.hub.add_space("acme/too_much")
    airflow.work_may_end.unlink(missing_ok=True)
    airflow.run("too_much")
    airflow.until_state("too_much", "work", "running")
    airflow.until_state("too_much", "limit", "deferred")
    airflow.until_state("too_much", "limit", "failed")
    assert space.requested_hardware == "cpu-basic"
    assert airflow.state("too_much", "work") == "running", "Airflow does not let a task end another one"
    airflow.work_may_end.touch()
    assert airflow.outcome("too_much") == "failed"
    assert airflow.state("too_much", "work") == "success"
    assert airflow.state("too_much", "restore") == "success"
    assert airflow.state("too_much", "outcome") == "upstream_failed"
    assert space.requested_hardware == "cpu-basic"


def test_the_watch_ends_with_a_run_that_costs_less(airflow: CostAirflow) -> None:
    space = airflow.hub.add_space("acme/enough")
    airflow.work_may_end.touch()
    airflow.run("enough")
    assert airflow.outcome("enough") == "success"
    assert airflow.state("enough", "limit") == "success"
    assert space.requested_hardware == "cpu-basic"
