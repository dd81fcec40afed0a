"""The Space is restored, however the work on a leased GPU ends or a user ends it in the UI."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.processes.airflow_processes import ON_AIRFLOW_3
from tests.processes.leased import OFF_THE_GPU, LeasedAirflow, leased_airflow, measure_takeover

pytestmark = ON_AIRFLOW_3


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LeasedAirflow]:
    with leased_airflow(tmp_path_factory.mktemp("leases")) as airflow:
        yield airflow


def test_the_space_is_restored_after_the_work(airflow: LeasedAirflow) -> None:
    airflow.lease("all_ok")
    airflow.working("all_ok")
    airflow.tell_work("all_ok", "end")
    airflow.ends("all_ok", "success")


def test_the_space_is_restored_after_work_that_raises(airflow: LeasedAirflow) -> None:
    airflow.lease("work_raises")
    airflow.working("work_raises")
    airflow.tell_work("work_raises", "fail")
    airflow.ends("work_raises", "failed")


def test_the_space_is_restored_when_the_process_of_the_work_is_killed(airflow: LeasedAirflow) -> None:
    airflow.lease("work_killed")
    os.kill(airflow.working("work_killed"), signal.SIGKILL)
    with measure_takeover("the process of the work is killed", OFF_THE_GPU):
        airflow.until(lambda: airflow.is_restored("work_killed"), 300)
    airflow.ends("work_killed", "failed")


@pytest.mark.parametrize("state", ["failed", "success"])
def test_the_space_is_restored_when_running_work_is_marked(airflow: LeasedAirflow, state: str) -> None:
    dag_id = f"work_marked_{state}"
    airflow.lease(dag_id)
    airflow.working(dag_id)
    airflow.mark(dag_id, "gpu.batch", state)
    airflow.ends(dag_id, state)


def test_the_space_is_restored_when_a_working_run_is_marked_failed(airflow: LeasedAirflow) -> None:
    airflow.lease("run_marked_failed")
    airflow.working("run_marked_failed")
    airflow.call("PATCH", "run_marked_failed/dagRuns/run", {"state": "failed"})
    with measure_takeover("the run is marked failed during the work", OFF_THE_GPU):
        airflow.until(lambda: airflow.is_restored("run_marked_failed"), 300)
    airflow.ends("run_marked_failed", None)
    assert airflow.task_state("run_marked_failed", "restore") == "success"


def test_the_space_is_restored_when_a_working_run_is_marked_successful(airflow: LeasedAirflow) -> None:
    airflow.lease("run_marked_success")
    airflow.working("run_marked_success")
    airflow.call("PATCH", "run_marked_success/dagRuns/run", {"state": "success"})
    airflow.ends("run_marked_success", None)
    assert airflow.task_state("run_marked_success", "restore") == "success"


def test_a_running_dag_run_cannot_be_deleted(airflow: LeasedAirflow) -> None:
    airflow.lease("run_deleted")
    airflow.working("run_deleted")
    airflow.call("DELETE", "run_deleted/dagRuns/run", expected=409)
    airflow.tell_work("run_deleted", "end")
    airflow.ends("run_deleted", "success")


def test_cleared_work_gets_the_gpu_again_and_the_space_is_restored(airflow: LeasedAirflow) -> None:
    airflow.lease("work_cleared")
    airflow.working("work_cleared")
    airflow.tell_work("work_cleared", "fail")
    airflow.ends("work_cleared", "failed")
    (airflow.signals / "work_cleared.run.fail").unlink()
    clear = {"dry_run": False, "dag_run_id": "run", "task_ids": ["gpu.batch"], "only_failed": False}
    airflow.call("POST", "work_cleared/clearTaskInstances", {**clear, "include_downstream": True})
    airflow.working("work_cleared")
    airflow.tell_work("work_cleared", "end")
    airflow.ends("work_cleared", "success")


def test_work_that_is_cleared_without_its_upgrade_refuses_the_wrong_hardware(airflow: LeasedAirflow) -> None:
    airflow.lease("only_failed_cleared")
    airflow.working("only_failed_cleared")
    airflow.tell_work("only_failed_cleared", "fail")
    airflow.ends("only_failed_cleared", "failed")
    clear = {"dry_run": False, "dag_run_id": "run", "only_failed": True}
    airflow.call("POST", "only_failed_cleared/clearTaskInstances", clear)
    airflow.ends("only_failed_cleared", "failed")
    assert "Space acme/only_failed_cleared is not on t4-small" in airflow.log_of("only_failed_cleared")
    assert not (airflow.signals / "only_failed_cleared.run.works").exists()


def test_the_sleep_time_ends_the_bill_of_a_run_that_times_out(airflow: LeasedAirflow) -> None:
    airflow.lease("run_times_out")
    airflow.working("run_times_out")
    airflow.until(lambda: airflow.run_state("run_times_out") == "failed", 240)
    assert airflow.task_state("run_times_out", "restore") == "skipped"
    space = airflow.hub.space("acme/run_times_out")
    assert space.requested_hardware == "t4-small", (
        "Airflow runs no task after a run has timed out, so the Space is not restored"
    )
    airflow.hub.advance(600)
    airflow.until(lambda: space.stage == "SLEEPING", 60)
    assert not airflow.hub.bill(space.repo_id).running
    gpu = airflow.hub.bill(space.repo_id).spaces[space.repo_id]["t4-small"]
    assert gpu.minutes <= 60 + 600 / 60 + 60, "60 emulated minutes until the timeout, and the sleep time"

    airflow.lease("run_times_out", "next")
    airflow.working("run_times_out", "next")
    airflow.tell_work("run_times_out", "end", "next")
    airflow.ends("run_times_out", "success", "next")


def test_the_space_is_restored_after_a_failed_upgrade(airflow: LeasedAirflow) -> None:
    airflow.hub.add_space("acme/upgrade_fails").fail_next_build("Job failed with exit code: 137")
    airflow.lease("upgrade_fails")
    airflow.ends("upgrade_fails", "failed")
    assert airflow.task_state("upgrade_fails", "upgrade") == "failed"
    assert airflow.task_state("upgrade_fails", "restore") == "success"


@pytest.mark.parametrize("what", ["upgrade_killed", "run_marked_failed_while_upgrading"])
def test_the_space_is_restored_when_a_deferred_upgrade_is_ended(airflow: LeasedAirflow, what: str) -> None:
    airflow.hub.add_space(f"acme/{what}").hang_next_start()
    airflow.lease(what)
    airflow.until(lambda: airflow.task_state(what, "upgrade") == "deferred", 240)
    assert airflow.hub.space(f"acme/{what}").requested_hardware == "t4-small"
    if what == "upgrade_killed":
        airflow.mark(what, "gpu.upgrade", "failed")
    else:
        airflow.call("PATCH", f"{what}/dagRuns/run", {"state": "failed"})
    airflow.ends(what, None)


def test_overlapping_runs_use_the_space_one_after_the_other(airflow: LeasedAirflow) -> None:
    runs = ["a", "b", "c"]
    for run in runs:
        airflow.lease("overlapping", run)
    space = airflow.hub.space("acme/overlapping")
    remaining = set(runs)

    def at_work() -> list[str]:
        return [run for run in remaining if (airflow.signals / f"overlapping.{run}.works").exists()]

    while remaining:
        airflow.until(at_work, 180)
        (works,) = at_work()
        airflow.working("overlapping", works)
        others = remaining - {works}
        assert {airflow.task_state("overlapping", "upgrade", run) for run in others} <= {"None"}
        time.sleep(5)
        assert at_work() == []
        assert space.hardware == space.requested_hardware == "t4-small"
        airflow.tell_work("overlapping", "end", works)
        remaining.remove(works)
    for run in runs:
        airflow.ends("overlapping", "success", run)


@pytest.mark.parametrize(
    ("dag_id", "hardware", "stage", "sleep_time", "stage_afterwards"),
    [
        ("slept_before", "t4-small", "SLEEPING", 48 * 3600, "PAUSED"),
        ("failed_before", "a10g-small", "RUNTIME_ERROR", None, "PAUSED"),
        ("sleeps_again", "t4-small", "SLEEPING", 48 * 3600, "SLEEPING"),
    ],
)
def test_a_space_that_cost_nothing_before_its_lease_costs_nothing_after_it(
    airflow: LeasedAirflow,
    dag_id: str,
    hardware: str,
    stage: str,
    sleep_time: int | None,
    stage_afterwards: str,
) -> None:
    hub = airflow.hub
    space = hub.add_space(f"acme/{dag_id}", hardware=hardware, stage=stage, sleep_time=sleep_time)
    airflow.lease(dag_id)
    airflow.working(dag_id)
    airflow.tell_work(dag_id, "end")
    airflow.until(lambda: airflow.has_ended(dag_id), 240)
    assert airflow.run_state(dag_id) == "success"
    airflow.until(lambda: space.stage == stage_afterwards, 60)
    assert (space.requested_hardware, space.sleep_time) == (hardware, sleep_time)
    assert airflow.holders(dag_id) == []

    bill = hub.bill(space.repo_id)
    assert not bill.running
    hub.advance(14 * 24 * 3600)
    assert hub.bill(space.repo_id).minutes == bill.minutes


def test_a_run_whose_waiting_snapshot_is_marked_successful_leaves_the_space_to_the_run_that_works(
    airflow: LeasedAirflow,
) -> None:
    dag_id = "waiting_marked_success"
    airflow.lease(dag_id, "a")
    airflow.working(dag_id, "a")
    airflow.lease(dag_id, "b")
    airflow.until(lambda: airflow.task_state(dag_id, "snapshot", "b") == "deferred", 240)
    airflow.call("PATCH", f"{dag_id}/dagRuns/b/taskInstances/gpu.snapshot", {"new_state": "success"})
    airflow.until(lambda: airflow.has_ended(dag_id, "b"), 240)
    assert airflow.run_state(dag_id, "b") == "failed"
    assert airflow.task_state(dag_id, "restore", "b") == "success"
    space = airflow.hub.space(f"acme/{dag_id}")
    assert space.hardware == space.requested_hardware == "t4-small"
    assert "is leased by task gpu.snapshot of run a" in airflow.log_of(dag_id, "run_id=b/task_id=gpu.restore")
    airflow.tell_work(dag_id, "end", "a")
    airflow.ends(dag_id, "success", "a")
