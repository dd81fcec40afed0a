"""Components of Airflow die while a copy is made, used or deleted: one copy is made, and none remains."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import psutil
import pytest

from tests.processes.airflow_processes import ON_AIRFLOW_3, kill_tree
from tests.processes.copied import CopiedAirflow, copied_airflow

pytestmark = [*ON_AIRFLOW_3, pytest.mark.thorough]


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CopiedAirflow]:
    with copied_airflow(tmp_path_factory.mktemp("copy_kills")) as airflow:
        yield airflow


@pytest.mark.parametrize("moment", ["before", "after"])
def test_one_copy_is_made_and_deleted_when_the_creation_dies(airflow: CopiedAirflow, moment: str) -> None:
    """The process dies before its request reaches the Hub, or after the Hub has made the copy."""
    dag_id = f"create_dies_{moment}"
    held_request = (
        airflow.gate.hold("POST", "/duplicate$")
        if moment == "before"
        else airflow.gate.hold("GET", "/create-dies-after-copy-[0-9a-f]{12}/runtime$")
    )
    airflow.copy(dag_id)
    airflow.process_of(dag_id, "create", held_request).kill()
    assert airflow.count_copies(dag_id) == (0 if moment == "before" else 1)
    if moment == "after":
        held_request.release()
    airflow.working(dag_id)
    airflow.tell_work(dag_id, "end")
    airflow.ends(dag_id, "success")
    assert airflow.count_copies(dag_id) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_next_try_deletes_the_copy_when_the_deletion_dies(airflow: CopiedAirflow, moment: str) -> None:
    """The process dies before its request reaches the Hub, or after the Hub has deleted the copy."""
    dag_id = f"delete_dies_{moment}"
    airflow.copy(dag_id)
    airflow.working(dag_id)
    held_request = airflow.gate.hold("DELETE", "/api/repos/delete$")
    airflow.tell_work(dag_id, "end")
    process = airflow.process_of(dag_id, "delete", held_request)
    if moment == "before":
        process.kill()
    else:
        process.suspend()
        held_request.release()
        process.kill()
    airflow.ends(dag_id, "success")


def test_the_copy_is_deleted_when_the_worker_dies_during_the_work(airflow: CopiedAirflow) -> None:
    airflow.copy("worker_dies")
    worker = psutil.Process(airflow.working("worker_dies")).parent()
    assert worker is not None
    kill_tree(worker.pid)
    airflow.ends("worker_dies", "failed")


@pytest.mark.parametrize("name", ["scheduler", "triggerer"])
def test_the_work_runs_although_the_scheduler_or_the_triggerer_dies_during_the_creation(
    airflow: CopiedAirflow, name: str
) -> None:
    dag_id = f"{name}_dies"
    airflow.copy(dag_id)
    airflow.until(lambda: airflow.copies(dag_id), 300)
    airflow.end(name, signal.SIGKILL)
    airflow.spawn(name, name)
    airflow.working(dag_id)
    airflow.tell_work(dag_id, "end")
    airflow.ends(dag_id, "success")
    assert airflow.count_copies(dag_id) == 1


def test_the_sleep_time_ends_the_bill_when_the_host_does_not_return(airflow: CopiedAirflow) -> None:
    airflow.copy("machine_stays_dead")
    airflow.working("machine_stays_dead")
    (copy_id,) = airflow.copies("machine_stays_dead")
    for name in list(airflow.processes):
        airflow.end(name, signal.SIGKILL)
    dead, space = airflow.hub.now(), airflow.hub.space(copy_id)
    airflow.hub.advance(36_000)
    airflow.until(lambda: space.stage == "SLEEPING", 60)
    bill = airflow.hub.bill(copy_id)
    assert not bill.running
    (gpu,) = bill.items
    assert gpu.stopped is not None
    assert gpu.stopped - dead <= 36_000 + 60, "the sleep time ends the bill without Airflow"
    airflow.hub.advance(7 * 24 * 3600)
    assert airflow.hub.bill(copy_id).minutes == bill.minutes
