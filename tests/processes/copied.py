"""An Airflow of real processes whose DAGs work on copies of a Space, with the actions that tests need."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import connection
from tests.processes.gate import Gate, HeldRequest
from tests.processes.leased import SPEED, LeasedAirflow

DAGS = Path(__file__).with_name("copy_dags")
SOURCE = "acme/whisper"


class CopiedAirflow(LeasedAirflow):
    """An Airflow of real processes, one DAG for each way in which the work on a copy can end.

    :param gate: the gate through which this Airflow reaches the Hub.
    :param options: arguments of :class:`LeasedAirflow`.
    """

    def __init__(self, home: Path, hub: HubEmulator, gate: Gate, **options: Any) -> None:
        self.gate = gate
        hub.add_space(SOURCE)
        through_gate = {"AIRFLOW_CONN_HF_SPACES_DEFAULT": connection(gate.url, hub.token)}
        environment = {**through_gate, **options.pop("environment", {})}
        arguments = {"dags": DAGS, **options}
        super().__init__(home, hub, **arguments, environment=environment)

    def copy(self, dag_id: str, run_id: str = "run") -> None:
        """Start a run."""
        self.call("POST", f"{dag_id}/dagRuns", {"dag_run_id": run_id, "logical_date": None})

    def copies(self, dag_id: str) -> list[str]:
        """The ids of the copies that the runs of a DAG have on the Hub."""
        beginning = f"acme/{dag_id.replace('_', '-')}-copy-"
        return [each.repo_id for each in self.hub.world.spaces.values() if each.repo_id.startswith(beginning)]

    def count_copies(self, dag_id: str) -> int:
        """How many copies the runs of a DAG have made so far."""
        beginning = f"acme/{dag_id.replace('_', '-')}-copy-"
        return sum(
            each.path == f"/api/spaces/{SOURCE}/duplicate"
            and each.status == 200
            and each.json["repository"].startswith(beginning)
            for each in self.hub.requests
        )

    def working(self, dag_id: str, run_id: str = "run") -> int:
        """Wait until the work has begun on a copy on the GPU. Returns the process id of the work."""
        self.until(lambda: self.works(dag_id, run_id), 300)
        (copy_id,) = self.copies(dag_id)
        assert self.hub.space(copy_id).hardware == "t4-small"
        signal = self.signals / f"{dag_id}.{run_id}.works"
        pid = int(signal.read_text())
        signal.unlink()
        return pid

    def is_deleted(self, dag_id: str) -> bool:
        """Whether the runs of a DAG have no copy any more, and nothing is billed for one."""
        beginning = f"acme/{dag_id.replace('_', '-')}-copy-"
        running = [each.repo_id for each in self.hub.bill().items if each.stopped is None]
        return not self.copies(dag_id) and not any(each.startswith(beginning) for each in running)

    def ends(self, dag_id: str, state: str | None, run_id: str = "run") -> None:
        """Wait until the run has ended in this state and its copy is deleted."""
        self.until(lambda: self.has_ended(dag_id, run_id), 300)
        self.until(lambda: self.is_deleted(dag_id), 180)
        if state is not None:
            assert self.run_state(dag_id, run_id) == state
        source = self.hub.space(SOURCE)
        assert (source.stage, source.hardware, len(source.history)) == ("RUNNING", "cpu-basic", 1)

    def sweep(self, dag_id: str = "sweeper", run_id: str = "run") -> dict[str, Any]:
        """What the sweeper reports of each copy, by the beginning of the copy's name."""
        self.copy(dag_id, run_id)
        self.until(lambda: self.has_ended(dag_id, run_id), 300)
        assert self.run_state(dag_id, run_id) == "success", self.log_of(dag_id)
        ((value,),) = self.query(
            f"SELECT value FROM xcom WHERE dag_id = '{dag_id}' AND run_id = '{run_id}' "
            f"AND task_id = 'copies' AND key = 'return_value'"
        )
        report = json.loads(value)
        report = json.loads(report) if isinstance(report, str) else report
        name = "_".join
        return {
            name(each["repo_id"].removeprefix("acme/").partition("-copy-")[0].split("-")): each
            for each in report
        }

    def process_of(self, dag_id: str, task: str, held_request: HeldRequest) -> psutil.Process:
        """The process of a task of the group, as soon as the gate holds its request."""
        self.until(held_request.has_arrived, 300)
        ((pid,),) = self.query(
            f"SELECT pid FROM task_instance WHERE dag_id = '{dag_id}' AND task_id = 'gpu.{task}' "
            f"AND state = 'running'"
        )
        return psutil.Process(pid)


@contextmanager
def copied_airflow(home: Path) -> Iterator[CopiedAirflow]:
    """Run a Hub, a gate before it, and an Airflow."""
    with HubEmulator(speed=SPEED) as hub, Gate(hub.url) as gate:
        airflow = CopiedAirflow(home, hub, gate)
        try:
            airflow.start()
            yield airflow
        finally:
            airflow.stop()
