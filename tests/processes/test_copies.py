"""The copy is deleted, however the work on it ends or a user ends it in the UI."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.processes.airflow_processes import ON_AIRFLOW_3
from tests.processes.copied import CopiedAirflow, copied_airflow

pytestmark = ON_AIRFLOW_3


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CopiedAirflow]:
    with copied_airflow(tmp_path_factory.mktemp("copies")) as airflow:
        yield airflow


def test_the_copy_is_deleted_after_the_work(airflow: CopiedAirflow) -> None:
    airflow.copy("all_ok")
    airflow.working("all_ok")
    airflow.tell_work("all_ok", "end")
    airflow.ends("all_ok", "success")
    assert "min of t4-small, about $" in airflow.log_of("all_ok", "run_id=run/task_id=gpu.delete")


def test_the_copy_is_deleted_after_work_that_raises(airflow: CopiedAirflow) -> None:
    airflow.copy("work_raises")
    airflow.working("work_raises")
    airflow.tell_work("work_raises", "fail")
    airflow.ends("work_raises", "failed")


def test_the_copy_is_deleted_when_the_process_of_the_work_is_killed(airflow: CopiedAirflow) -> None:
    airflow.copy("work_killed")
    os.kill(airflow.working("work_killed"), signal.SIGKILL)
    airflow.ends("work_killed", "failed")


@pytest.mark.parametrize("state", ["failed", "success"])
def test_the_copy_is_deleted_when_running_work_is_marked(airflow: CopiedAirflow, state: str) -> None:
    dag_id = f"work_marked_{state}"
    airflow.copy(dag_id)
    airflow.working(dag_id)
    airflow.mark(dag_id, "gpu.batch", state)
    airflow.ends(dag_id, state)


@pytest.mark.parametrize("state", ["failed", "success"])
def test_the_copy_is_deleted_when_a_working_run_is_marked(airflow: CopiedAirflow, state: str) -> None:
    dag_id = f"run_marked_{state}"
    airflow.copy(dag_id)
    airflow.working(dag_id)
    airflow.call("PATCH", f"{dag_id}/dagRuns/run", {"state": state})
    airflow.ends(dag_id, None)
    assert airflow.task_state(dag_id, "delete") == "success"


def hang_creation(airflow: CopiedAirflow, dag_id: str) -> None:
    """Start a run whose copy is built without an end, and wait until its creation is deferred."""
    settings = airflow.hub.settings
    usual, settings.timings = settings.timings, replace(settings.timings, build=360_000)
    try:
        airflow.copy(dag_id)
        airflow.until(lambda: airflow.task_state(dag_id, "create") == "deferred", 300)
    finally:
        settings.timings = usual
    assert len(airflow.copies(dag_id)) == 1


def test_the_copy_is_deleted_when_a_deferred_creation_is_ended(airflow: CopiedAirflow) -> None:
    hang_creation(airflow, "create_marked_failed")
    airflow.mark("create_marked_failed", "gpu.create", "failed")
    airflow.ends("create_marked_failed", "failed")


def test_work_does_not_run_when_the_creation_is_marked_successful(airflow: CopiedAirflow) -> None:
    dag_id = "create_marked_success"
    hang_creation(airflow, dag_id)
    airflow.mark(dag_id, "gpu.create", "success")
    airflow.ends(dag_id, "failed")
    assert "and this task needs it to run" in airflow.log_of(dag_id, "run_id=run/task_id=gpu.batch")
    assert not (airflow.signals / f"{dag_id}.run.works").exists()


def test_cleared_work_gets_a_new_copy(airflow: CopiedAirflow) -> None:
    airflow.copy("work_cleared")
    airflow.working("work_cleared")
    airflow.tell_work("work_cleared", "fail")
    airflow.ends("work_cleared", "failed")
    (airflow.signals / "work_cleared.run.fail").unlink()
    clear = {"dry_run": False, "dag_run_id": "run", "task_ids": ["gpu.batch"], "only_failed": False}
    airflow.call("POST", "work_cleared/clearTaskInstances", {**clear, "include_downstream": True})
    airflow.working("work_cleared")
    airflow.tell_work("work_cleared", "end")
    airflow.ends("work_cleared", "success")
    assert airflow.count_copies("work_cleared") == 2


def test_work_that_is_cleared_alone_fails_without_a_copy(airflow: CopiedAirflow) -> None:
    dag_id = "only_failed_cleared"
    airflow.copy(dag_id)
    airflow.working(dag_id)
    airflow.tell_work(dag_id, "fail")
    airflow.ends(dag_id, "failed")
    clear = {"dry_run": False, "dag_run_id": "run", "only_failed": True}
    airflow.call("POST", f"{dag_id}/clearTaskInstances", clear)
    airflow.ends(dag_id, "failed")
    assert "the copy for this run, does not exist" in airflow.log_of(dag_id)
    assert airflow.count_copies(dag_id) == 1
