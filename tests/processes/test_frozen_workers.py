"""A worker freezes between its look at the lease and its hardware request, which the Hub gets much later."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import connection
from tests.processes.airflow_processes import ON_AIRFLOW_3
from tests.processes.gate import Gate, HeldRequest
from tests.processes.leased import (
    OFF_THE_GPU,
    SPEED,
    LeasedAirflow,
    OtherAirflow,
    leased_airflow,
    measure_takeover,
)

pytestmark = [*ON_AIRFLOW_3, pytest.mark.thorough]

DAGS = Path(__file__).with_name("frozen_dags")


@pytest.fixture(scope="module")
def hub() -> Iterator[HubEmulator]:
    with HubEmulator(speed=SPEED) as hub:
        yield hub


@pytest.fixture(scope="module")
def gate(hub: HubEmulator) -> Iterator[Gate]:
    with Gate(hub.url) as gate:
        yield gate


@pytest.fixture(scope="module")
def airflow(
    hub: HubEmulator, gate: Gate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LeasedAirflow]:
    home = tmp_path_factory.mktemp("frozen")
    dags = Path(shutil.copytree(DAGS, home / "dags", ignore=shutil.ignore_patterns("__pycache__")))
    shutil.copy(Path(__file__).with_name("abandoned_dags") / "signalled_work.py", dags)
    through_gate = {"AIRFLOW_CONN_HF_SPACES_DEFAULT": connection(gate.url, hub.token)}
    with leased_airflow(home, hub, dags=dags, environment=through_gate) as airflow:
        yield airflow


def process_of(airflow: LeasedAirflow, dag_id: str, task: str, held_request: HeldRequest) -> psutil.Process:
    """The process of a task of the group, as soon as the gate holds its request."""
    airflow.until(held_request.has_arrived, 240)
    ((pid,),) = airflow.query(
        f"SELECT pid FROM task_instance WHERE dag_id = '{dag_id}' AND task_id = 'gpu.{task}' "
        f"AND state = 'running'"
    )
    return psutil.Process(pid)


def worker_of(task: psutil.Process) -> psutil.Process:
    """The worker that supervises a task, and sends Airflow its heartbeats."""
    worker = task.parent()
    assert worker is not None
    return worker


def requested(airflow: LeasedAirflow, dag_id: str) -> str | None:
    """The hardware that was requested last for the DAG's Space."""
    return airflow.hub.space(f"acme/{dag_id}").requested_hardware


def test_an_upgrade_that_thaws_after_its_run_has_ended_takes_its_late_request_back(
    airflow: LeasedAirflow, gate: Gate
) -> None:
    dag_id = "upgrade_freezes"
    held_request = gate.hold("POST", f"{dag_id}/hardware$")
    airflow.lease(dag_id)
    task = process_of(airflow, dag_id, "upgrade", held_request)
    worker = worker_of(task)
    worker.suspend()
    task.suspend()
    with measure_takeover("a worker freezes during the upgrade", "its run has ended"):
        airflow.ends(dag_id, "failed")

    held_request.release()
    assert requested(airflow, dag_id) == "t4-small", "the late request has turned the GPU on"
    with measure_takeover("a frozen upgrade thaws after its run has ended", OFF_THE_GPU):
        task.resume()
        airflow.until(lambda: airflow.is_restored(dag_id), 180)
    worker.resume()
    problem = f"Space acme/{dag_id}: this run had lost its lease when the request for t4-small arrived"
    airflow.until(lambda: problem in airflow.log_of(dag_id), 120)
    assert airflow.holders(dag_id) == []


def test_a_restore_that_thaws_while_the_next_run_works_requests_the_hardware_of_that_run_again(
    airflow: LeasedAirflow, gate: Gate
) -> None:
    dag_id = "restore_freezes"
    airflow.lease(dag_id, "a")
    airflow.working(dag_id, "a")
    held_request = gate.hold("POST", f"{dag_id}/hardware$")
    airflow.tell_work(dag_id, "end", "a")
    task = process_of(airflow, dag_id, "restore", held_request)
    worker = worker_of(task)
    worker.suspend()
    task.suspend()
    airflow.ends(dag_id, "success", "a")
    airflow.lease(dag_id, "b")
    airflow.working(dag_id, "b")

    held_request.release()
    assert requested(airflow, dag_id) == "cpu-basic", "the late request has taken the GPU of the next run"
    # Airflow ends a worker that it has given up, and leaves its task five seconds for the repair.
    with measure_takeover("a frozen restore thaws while the next run works", "the GPU is requested again"):
        task.resume()
        worker.resume()
        airflow.until(lambda: requested(airflow, dag_id) == "t4-small", 120)
    repair_message = "the restore removed its hardware. t4-small is requested again."
    airflow.until(lambda: repair_message in airflow.log_of(dag_id), 120)
    airflow.tell_work(dag_id, "end", "b")
    airflow.ends(dag_id, "success", "b")


def test_an_upgrade_that_thaws_after_its_lease_has_expired_requests_the_hardware_of_the_next_holder_again(
    airflow: LeasedAirflow, gate: Gate
) -> None:
    dag_id = "lease_expires"
    held_request = gate.hold("POST", f"{dag_id}/hardware$")
    airflow.lease(dag_id)
    task = process_of(airflow, dag_id, "upgrade", held_request)
    task.suspend()
    other = OtherAirflow(airflow.hub, f"acme/{dag_id}")
    airflow.until(lambda: other.takes("t4-medium"), 240)
    space = airflow.hub.space(f"acme/{dag_id}")
    airflow.until(lambda: space.hardware == "t4-medium", 120)

    held_request.release()
    assert requested(airflow, dag_id) == "t4-small"
    task.resume()
    airflow.until(lambda: requested(airflow, dag_id) == "t4-medium", 120)
    airflow.until(lambda: airflow.has_ended(dag_id), 240)
    assert airflow.run_state(dag_id) == "failed"
    log = airflow.log_of(dag_id)
    assert "t4-medium, which it took away, is requested again for another Airflow or script" in log
    assert f"Space acme/{dag_id} is leased by another Airflow or script" in log, "the restore says so too"
    assert requested(airflow, dag_id) == "t4-medium"
    other.gives_back()
    airflow.until(lambda: airflow.is_restored(dag_id), 120)
    assert airflow.holders(dag_id) == []
