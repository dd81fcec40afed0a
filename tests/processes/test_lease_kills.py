"""Components of Airflow die while a GPU is leased: the bill ends by a restore or by the sleep time."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import psutil
import pytest

from tests.processes.airflow_processes import ON_AIRFLOW_3, kill_tree
from tests.processes.leased import OFF_THE_GPU, LeasedAirflow, leased_airflow, measure_takeover

pytestmark = ON_AIRFLOW_3

PROCESSES = {
    "api-server": ("api-server",),
    "dag-processor": ("dag-processor",),
    "scheduler": ("scheduler",),
    "triggerer": ("triggerer",),
}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LeasedAirflow]:
    with leased_airflow(tmp_path_factory.mktemp("kills")) as airflow:
        yield airflow


def restart_processes(airflow: LeasedAirflow, *names: str) -> None:
    for name in names:
        more = ("--port", str(airflow.port)) if name == "api-server" else ()
        airflow.spawn(name, *PROCESSES[name], *more)
    airflow.until(airflow.answers, 120)


def test_the_space_is_restored_when_the_worker_dies_during_the_work(airflow: LeasedAirflow) -> None:
    airflow.lease("worker_dies")
    worker = psutil.Process(airflow.working("worker_dies")).parent()
    assert worker is not None
    kill_tree(worker.pid)
    with measure_takeover("the worker is killed during the work", OFF_THE_GPU):
        airflow.until(lambda: airflow.is_restored("worker_dies"), 300)
    airflow.ends("worker_dies", "failed")


def test_the_work_runs_although_the_scheduler_dies_during_the_setup(airflow: LeasedAirflow) -> None:
    airflow.lease("scheduler_dies")
    # A free lease takes less than a second, so that "running" may be over before it is seen.
    airflow.until(lambda: airflow.task_state("scheduler_dies", "snapshot") in ("running", "success"), 120)
    airflow.end("scheduler", signal.SIGKILL)
    with measure_takeover(
        "the scheduler is killed during the setup, and restarted at once", "the work runs on the GPU"
    ):
        restart_processes(airflow, "scheduler")
        airflow.working("scheduler_dies")
    airflow.tell_work("scheduler_dies", "end")
    airflow.ends("scheduler_dies", "success")


def test_the_work_runs_although_the_triggerer_dies_while_the_upgrade_waits(airflow: LeasedAirflow) -> None:
    airflow.lease("triggerer_dies")
    airflow.until(lambda: airflow.task_state("triggerer_dies", "upgrade") == "deferred", 240)
    airflow.end("triggerer", signal.SIGKILL)
    with measure_takeover(
        "the triggerer is killed during the upgrade, and restarted at once", "the work runs on the GPU"
    ):
        restart_processes(airflow, "triggerer")
        airflow.working("triggerer_dies")
    airflow.tell_work("triggerer_dies", "end")
    airflow.ends("triggerer_dies", "success")


def test_the_space_is_restored_when_the_host_dies_during_the_work_and_returns(airflow: LeasedAirflow) -> None:
    airflow.lease("machine_dies")
    airflow.working("machine_dies")
    for name in PROCESSES:
        airflow.end(name, signal.SIGKILL)
    assert airflow.hub.bill("acme/machine_dies").running
    # If Airflow runs the work again instead of failing it, the work ends at once.
    airflow.tell_work("machine_dies", "end")
    with measure_takeover(
        "all processes of the host are killed during the work, and restarted at once", OFF_THE_GPU
    ):
        restart_processes(airflow, *PROCESSES)
        airflow.until(lambda: airflow.is_restored("machine_dies"), 300)
    airflow.ends("machine_dies", None)


def test_the_sleep_time_ends_the_bill_when_the_host_does_not_return(airflow: LeasedAirflow) -> None:
    airflow.lease("machine_stays_dead")
    airflow.working("machine_stays_dead")
    for name in PROCESSES:
        airflow.end(name, signal.SIGKILL)
    dead, space = airflow.hub.now(), airflow.hub.space("acme/machine_stays_dead")
    airflow.hub.advance(3600)
    airflow.until(lambda: space.stage == "SLEEPING", 60)
    bill = airflow.hub.bill(space.repo_id)
    assert not bill.running
    (gpu,) = [item for item in bill.items if item.hardware == "t4-small"]
    assert gpu.stopped is not None
    assert gpu.stopped - dead <= 3600 + 60, "the sleep time ends the bill without Airflow"
    airflow.hub.advance(7 * 24 * 3600)
    assert airflow.hub.bill(space.repo_id).minutes == bill.minutes

    # If Airflow runs the work again instead of failing it, the work ends at once.
    airflow.tell_work("machine_stays_dead", "end")
    restart_processes(airflow, *PROCESSES)
    airflow.ends("machine_stays_dead", None)
