"""Copies that no task deletes any more: the sweeper deletes them, and only them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.processes.airflow_processes import ON_AIRFLOW_3
from tests.processes.copied import SOURCE, CopiedAirflow, copied_airflow

pytestmark = [*ON_AIRFLOW_3, pytest.mark.thorough]

LEFT_BEHIND = ("run_times_out", "delete_finds_no_hub", "dag_deleted", "paused_and_expired")
"""The DAGs whose copy the sweeper deletes."""

IN_USE = ("all_ok", "dag_paused")
"""The DAGs whose copy the sweeper leaves alone."""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CopiedAirflow]:
    with copied_airflow(tmp_path_factory.mktemp("left_copies")) as airflow:
        yield airflow


@pytest.fixture(scope="module")
def reports(airflow: CopiedAirflow) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a dry run and a run of the sweeper report after everything went wrong at the same time."""
    airflow.copy("run_times_out")
    airflow.working("run_times_out")
    for dag_id in LEFT_BEHIND[1:]:
        airflow.copy(dag_id)
    for dag_id in LEFT_BEHIND[1:]:
        airflow.working(dag_id)
    for dag_id in IN_USE:
        airflow.copy(dag_id)
    for dag_id in IN_USE:
        airflow.working(dag_id)
    for dag_id in ("dag_paused", "paused_and_expired", "dag_deleted"):
        airflow.call("PATCH", dag_id, {"is_paused": True})
    for dag_id in ("dag_paused", "paused_and_expired", "dag_deleted"):
        airflow.tell_work(dag_id, "end")
        airflow.until(lambda: airflow.task_state(dag_id, "batch") == "success", 300)  # noqa: B023
    airflow.call("DELETE", "dag_deleted", expected=204)
    airflow.hub.faults.add(kind="status", status=503, method="DELETE")
    airflow.tell_work("delete_finds_no_hub", "end")
    for dag_id in ("run_times_out", "delete_finds_no_hub"):
        airflow.until(lambda: airflow.run_state(dag_id) == "failed", 400)  # noqa: B023
    airflow.hub.faults.clear()
    dry_run = airflow.sweep("sweeper_looks")
    return dry_run, airflow.sweep("sweeper")


@pytest.mark.parametrize("dag_id", LEFT_BEHIND)
def test_the_sweeper_deletes_a_copy_that_airflow_does_not(
    airflow: CopiedAirflow, reports: tuple[dict[str, Any], dict[str, Any]], dag_id: str
) -> None:
    dry_run, swept = reports
    assert dry_run[dag_id]["outcome"] == "would be deleted"
    assert swept[dag_id]["outcome"] == "deleted"
    assert swept[dag_id]["source"] == SOURCE
    assert airflow.is_deleted(dag_id)


def test_the_sweeper_leaves_the_copy_of_a_paused_dag_alone_until_its_mark_expires(
    airflow: CopiedAirflow, reports: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    for dag_id in IN_USE:
        assert reports[1][dag_id]["outcome"] == "left alone"
        assert reports[1][dag_id]["reason"].startswith("used by task gpu.reserve of run run of DAG")
        assert len(airflow.copies(dag_id)) == 1
    assert reports[1]["paused_and_expired"]["outcome"] == "deleted"
    airflow.call("PATCH", "dag_paused", {"is_paused": False})
    airflow.tell_work("all_ok", "end")
    for dag_id in IN_USE:
        airflow.ends(dag_id, "success")


def test_the_sweeper_deletes_a_copy_that_a_frozen_worker_makes_after_its_run(airflow: CopiedAirflow) -> None:
    dag_id = "create_freezes"
    held_request = airflow.gate.hold("POST", "/duplicate$")
    airflow.copy(dag_id)
    task = airflow.process_of(dag_id, "create", held_request)
    worker = task.parent()
    assert worker is not None
    worker.suspend()
    task.suspend()
    airflow.call("PATCH", f"{dag_id}/dagRuns/run", {"state": "failed"})
    airflow.until(lambda: airflow.task_state(dag_id, "delete") == "success", 300)
    airflow.until(lambda: airflow.has_ended(dag_id), 300)
    held_request.release()
    assert len(airflow.copies(dag_id)) == 1, "the late request has made a copy"
    worker.kill()
    task.kill()
    entry = airflow.sweep(run_id="late")[dag_id]
    assert (entry["outcome"], entry["error"]) == ("deleted", None), entry["reason"]
    assert airflow.is_deleted(dag_id)
