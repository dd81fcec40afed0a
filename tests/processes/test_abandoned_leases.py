"""Leases that nobody gives back any more: the next run, the next group or the janitor restores the Space."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AIRFLOW_VERSION
from tests.processes.airflow_processes import ON_AIRFLOW_3
from tests.processes.leased import (
    NEXT_RUN_WORKS,
    TAKEOVERS,
    LeasedAirflow,
    OtherAirflow,
    Takeover,
    leased_airflow,
    measure_takeover,
)

pytestmark = [*ON_AIRFLOW_3, pytest.mark.thorough]

DAGS = Path(__file__).with_name("abandoned_dags")
LEFT_BEHIND = {
    "user_pauses_at_work": "and nothing of that run works",
    "user_pauses_upgrade": "and nothing of that run works",
    "failures_pause": "and nothing of that run works",
    "deleted_during_upgrade": "which is over",
    "snapshot_fails": "left behind by",
    "restore_finds_no_hub": "abandoned by",
    "times_out_at_work": "which is over",
    "file_removed": "expired",
    "renamed_during_upgrade": "expired",
}
"""The DAGs whose lease the janitor restores, each with its reason."""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LeasedAirflow]:
    home = tmp_path_factory.mktemp("abandoned")
    dags = shutil.copytree(DAGS, home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    more_slots = {"AIRFLOW__CORE__PARALLELISM": "12"}
    with leased_airflow(home, dags=dags, environment=more_slots) as airflow:
        for pool in ("crowded", "way_back"):
            body = {"name": pool, "slots": 1, "include_deferred": False}
            airflow.call("POST", "pools", body, expected=201, collection="")
        yield airflow


def pause(airflow: LeasedAirflow, dag_id: str, is_paused: bool = True) -> None:
    airflow.call("PATCH", dag_id, {"is_paused": is_paused})


def run_janitor(airflow: LeasedAirflow, dag_id: str, run_id: str = "run") -> dict[str, Any]:
    """What the janitor reports of each Space."""
    airflow.call("POST", f"{dag_id}/dagRuns", {"dag_run_id": run_id, "logical_date": None})
    airflow.until(lambda: airflow.has_ended(dag_id, run_id), 240)
    assert airflow.run_state(dag_id, run_id) == "success", airflow.log_of(dag_id)
    ((value,),) = airflow.query(
        f"SELECT value FROM xcom WHERE dag_id = '{dag_id}' AND run_id = '{run_id}' "
        f"AND task_id = 'leases' AND key = 'return_value'"
    )
    report = json.loads(value)
    report = json.loads(report) if isinstance(report, str) else report
    return {each["repo_id"].removeprefix("acme/"): each for each in report}


def rename(airflow: LeasedAirflow, dag_id: str, new_id: str) -> None:
    """Rename a DAG in its file, and wait until Airflow knows the new name only."""
    file = Path(airflow.environment["AIRFLOW__CORE__DAGS_FOLDER"]) / f"{dag_id}.py"
    file.write_text(file.read_text().replace(f'DAG("{dag_id}"', f'DAG("{new_id}"'))
    active_dags = f"SELECT dag_id FROM dag WHERE dag_id IN ('{dag_id}', '{new_id}') AND NOT is_stale"
    airflow.until(lambda: airflow.query(active_dags) == [(new_id,)], 240)


@pytest.fixture(scope="module")
def reports(airflow: LeasedAirflow) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a dry run and a run of the janitor report after everything went wrong at the same time."""
    airflow.lease("times_out_at_work")
    airflow.lease("restore_finds_no_hub")
    airflow.lease("second_run_waits", "a")
    airflow.working("times_out_at_work")
    airflow.working("restore_finds_no_hub")
    airflow.working("second_run_waits", "a")
    outage = "(restore_finds_no_hub|second_run_waits)/hardware"
    airflow.hub.faults.add(kind="status", status=503, method="POST", path=outage)
    airflow.tell_work("restore_finds_no_hub", "end")
    airflow.tell_work("second_run_waits", "end", "a")
    airflow.lease("second_run_waits", "b")

    upgrading = ("user_pauses_upgrade", "deleted_during_upgrade", "renamed_during_upgrade")
    for dag_id in upgrading:
        airflow.hub.add_space(f"acme/{dag_id}").hang_next_start()
        airflow.lease(dag_id)
    at_work = ["user_pauses_at_work", "failures_pause", "snapshot_fails", "file_removed"]
    for dag_id in at_work:
        airflow.lease(dag_id)
    for dag_id in at_work:
        airflow.working(dag_id)
    for dag_id in upgrading:
        airflow.until(lambda: airflow.task_state(dag_id, "upgrade") == "deferred", 240)  # noqa: B023

    pause(airflow, "user_pauses_at_work")
    pause(airflow, "user_pauses_upgrade")
    pause(airflow, "deleted_during_upgrade")
    airflow.lease("failures_pause", "bad")
    paused_flag = "SELECT is_paused FROM dag WHERE dag_id = 'failures_pause'"
    airflow.until(lambda: airflow.query(paused_flag)[0][0], 240)
    # Airflow's scheduler dies on SQLite if a DAG is deleted whose run it is just looking at.
    airflow.call("DELETE", "deleted_during_upgrade", expected=204)
    airflow.hub.faults.add(kind="status", status=403, method="GET", path="snapshot_fails")
    clear = {"dry_run": False, "dag_run_id": "run", "task_ids": ["gpu.batch"], "only_failed": False}
    airflow.call("POST", "snapshot_fails/clearTaskInstances", {**clear, "include_downstream": True})
    (Path(airflow.environment["AIRFLOW__CORE__DAGS_FOLDER"]) / "removed.py").unlink()
    rename(airflow, "renamed_during_upgrade", "has_another_name")
    stale = "SELECT is_stale FROM dag WHERE dag_id = 'file_removed'"
    airflow.until(lambda: airflow.query(stale)[0][0], 240)
    for dag_id in ("user_pauses_at_work", "failures_pause", "file_removed"):
        airflow.tell_work(dag_id, "end")
        airflow.until(lambda: airflow.task_state(dag_id, "batch") == "success", 240)  # noqa: B023
    airflow.until(lambda: airflow.run_state("snapshot_fails") == "failed", 240)
    airflow.until(lambda: airflow.run_state("restore_finds_no_hub") == "failed", 300)
    airflow.until(lambda: airflow.run_state("times_out_at_work") == "failed", 240)
    airflow.working("second_run_waits", "b")
    airflow.hub.faults.clear()
    for dag_id in ("file_removed", "renamed_during_upgrade"):
        airflow.until(lambda: airflow.has_expired(dag_id), 240)  # noqa: B023
    for dag_id in LEFT_BEHIND:
        assert airflow.hub.space(f"acme/{dag_id}").requested_hardware == "t4-small"
    dry_run = run_janitor(airflow, "janitor_looks")
    with measure_takeover(
        f"the janitor begins with {len(LEFT_BEHIND)} abandoned leases", "all Spaces are off the GPU"
    ):
        report = run_janitor(airflow, "janitor")
        airflow.until(lambda: all(map(airflow.is_restored, LEFT_BEHIND)), 120)
    return dry_run, report


@pytest.mark.parametrize("dag_id", LEFT_BEHIND)
def test_the_janitor_restores_a_space_that_airflow_does_not(
    airflow: LeasedAirflow, reports: tuple[dict[str, Any], dict[str, Any]], dag_id: str
) -> None:
    dry_run, report = reports
    assert LEFT_BEHIND[dag_id] in dry_run[dag_id]["reason"]
    assert dry_run[dag_id]["outcome"] == "would be restored"
    assert report[dag_id]["outcome"] == "restored"
    airflow.until(lambda: airflow.is_restored(dag_id), 60)
    assert airflow.holders(dag_id) == []


def test_the_janitor_leaves_a_lease_at_work_alone_and_a_second_run_restores_what_was_before_the_first(
    airflow: LeasedAirflow, reports: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    assert "second_run_waits" not in {**reports[0], **reports[1]}
    assert airflow.run_state("second_run_waits", "a") == "failed"
    failure_moment = airflow.moment_of("second_run_waits", "restore", "end_date", "a")
    works = airflow.moment_of("second_run_waits", "batch", "start_date", "b")
    event = "the last try of a restore fails, and another run waits"
    TAKEOVERS.append(Takeover(event, NEXT_RUN_WORKS, (works - failure_moment).total_seconds()))
    assert airflow.hub.space("acme/second_run_waits").hardware == "t4-small"
    (holder,) = airflow.holders("second_run_waits")
    assert holder["previous"]["hardware"] == "cpu-basic"
    airflow.tell_work("second_run_waits", "end", "b")
    airflow.ends("second_run_waits", "success", "b")


@pytest.mark.parametrize(
    ("dag_id", "state"), [("user_pauses_at_work", "success"), ("user_pauses_upgrade", "failed")]
)
def test_a_dag_that_continues_after_the_janitor_requests_no_hardware(
    airflow: LeasedAirflow, reports: tuple[dict[str, Any], dict[str, Any]], dag_id: str, state: str
) -> None:
    requests = [each for each in airflow.hub.requests if each.path.endswith(f"{dag_id}/hardware")]
    pause(airflow, dag_id, is_paused=False)
    airflow.ends(dag_id, state)
    assert [each for each in airflow.hub.requests if each.path.endswith(f"{dag_id}/hardware")] == requests


def test_a_second_group_takes_over_after_the_first_was_marked_successful(airflow: LeasedAirflow) -> None:
    dag_id = "group_marked_success"
    airflow.lease(dag_id)
    airflow.working(dag_id)
    airflow.call("PATCH", f"{dag_id}/dagRuns/run/taskGroupInstances/gpu", {"new_state": "success"})
    with measure_takeover(
        "the group is marked successful during the work", "the second group works on the GPU"
    ):
        airflow.until(lambda: airflow.works("again"), 240)
    space = airflow.hub.space(f"acme/{dag_id}")
    assert space.hardware == "t4-small"
    (holder,) = airflow.holders(dag_id)
    assert holder["previous"]["hardware"] == "cpu-basic"
    airflow.tell_work("again", "end")
    airflow.ends(dag_id, "success")


def kill_restore(airflow: LeasedAirflow, dag_id: str, killed_pids: set[int]) -> set[int]:
    """Kill a try of the first mapped restore while the Hub does not answer it; the pids killed so far."""

    def count_silences() -> int:
        return sum(each.fault == "silence" for each in airflow.hub.requests)

    def pid() -> int | None:
        rows = airflow.query(
            f"SELECT pid FROM task_instance WHERE dag_id = '{dag_id}' AND task_id = 'each.gpu.restore' "
            f"AND map_index = 0 AND state = 'running'"
        )
        return rows[0][0] if rows and rows[0][0] not in killed_pids else None

    airflow.until(lambda: pid() and count_silences() > len(killed_pids), 240)
    restoring = pid()
    assert restoring is not None
    os.kill(restoring, signal.SIGKILL)
    return {*killed_pids, restoring}


def test_the_next_run_takes_over_from_a_mapped_group_whose_restore_was_killed_on_all_tries(
    airflow: LeasedAirflow,
) -> None:
    dag_id, following = "restore_killed", "needs_the_space_next"
    airflow.hub.add_space("acme/works_on")
    airflow.lease(dag_id)
    for name in (dag_id, "works_on"):
        airflow.working(name)
    airflow.hub.faults.add(kind="silence", method="POST", path=f"{dag_id}/hardware")
    airflow.tell_work(dag_id, "end")

    killed_pids = kill_restore(airflow, dag_id, set())
    kill_restore(airflow, dag_id, killed_pids)
    with measure_takeover("the last try of a restore is killed", NEXT_RUN_WORKS):
        airflow.until(lambda: airflow.state_of(dag_id, "each.gpu.restore", map_index=0) == "failed", 240)
        airflow.hub.faults.clear()
        airflow.call("POST", f"{following}/dagRuns", {"dag_run_id": "run", "logical_date": None})
        airflow.until(lambda: airflow.works(following), 240)
    assert airflow.run_state(dag_id) == "running", "its other Space is still at work"
    (holder,) = airflow.holders(dag_id)
    assert holder["previous"]["hardware"] == "cpu-basic"
    airflow.tell_work(following, "end")
    airflow.until(lambda: airflow.run_state(following) == "success", 240)
    airflow.until(lambda: airflow.is_restored(dag_id) and not airflow.holders(dag_id), 240)
    airflow.tell_work("works_on", "end")
    airflow.until(lambda: airflow.run_state(dag_id) == "failed", 240)
    airflow.until(lambda: airflow.is_restored("works_on"), 60)


def test_restore_is_the_next_task_of_a_full_pool_and_waits_for_nobody_in_its_own(
    airflow: LeasedAirflow,
) -> None:
    fillers = "fills_the_pool"

    def count_successes() -> int:
        return airflow.states(fillers)["success"]

    for dag_id in ("waits_in_full_pool", "has_own_pool"):
        airflow.lease(dag_id)
    for dag_id in ("waits_in_full_pool", "has_own_pool"):
        airflow.working(dag_id)
    airflow.call("POST", f"{fillers}/dagRuns", {"dag_run_id": "run", "logical_date": None})
    airflow.until(lambda: airflow.states(fillers)["running"] == 1, 240)

    airflow.tell_work("has_own_pool", "end")
    airflow.tell_work("waits_in_full_pool", "end")
    airflow.ends("has_own_pool", "success")
    airflow.until(lambda: airflow.task_state("waits_in_full_pool", "restore") == "scheduled", 240)
    assert count_successes() == 0
    (airflow.signals / "filler.next").touch()
    airflow.until(lambda: airflow.task_state("waits_in_full_pool", "restore") == "success", 240)
    assert count_successes() == 1
    airflow.ends("waits_in_full_pool", "success")

    def has_made_way() -> bool:
        (airflow.signals / "filler.next").touch()
        return airflow.has_ended(fillers)

    airflow.until(has_made_way, 240)


def test_a_run_under_the_new_dag_id_takes_the_lease_over_when_it_expires_and_restores_what_was_before(
    airflow: LeasedAirflow,
) -> None:
    dag_id, new_id = "renamed_at_work", "works_under_another_name"
    airflow.lease(dag_id)
    airflow.working(dag_id)
    until = airflow.expires_at(dag_id)
    rename(airflow, dag_id, new_id)
    airflow.tell_work(dag_id, "end")
    airflow.until(lambda: airflow.task_state(dag_id, "batch") == "success", 240)

    airflow.call("POST", f"{new_id}/dagRuns", {"dag_run_id": "run", "logical_date": None})
    airflow.until(lambda: datetime.now(timezone.utc) >= until, 240)
    with measure_takeover("the lease of a renamed DAG expires", NEXT_RUN_WORKS):
        airflow.until(lambda: airflow.works(new_id), 300)
    assert airflow.run_state(dag_id) == "running", "Airflow neither continues nor ends the run"
    (holder,) = airflow.holders(dag_id)
    assert datetime.fromisoformat(holder["since"]) >= until
    assert holder["previous"]["hardware"] == "cpu-basic"
    airflow.tell_work(new_id, "end")
    airflow.until(lambda: airflow.run_state(new_id) == "success", 240)
    airflow.until(lambda: airflow.is_restored(dag_id) and not airflow.holders(dag_id), 180)


def test_a_group_that_is_renamed_during_the_run_takes_over_at_once_and_restores_what_was_before(
    airflow: LeasedAirflow,
) -> None:
    dag_id = "group_renamed"
    airflow.lease(dag_id)
    airflow.working(dag_id)
    file = Path(airflow.environment["AIRFLOW__CORE__DAGS_FOLDER"]) / f"{dag_id}.py"
    file.write_text(file.read_text().replace('"gpu"', '"renamed"'))
    with measure_takeover(
        "the group is renamed in the DAG file during the work", "the renamed group works on the GPU"
    ):
        airflow.until(lambda: airflow.works(dag_id), 300)
    (holder,) = airflow.holders(dag_id)
    assert holder["previous"]["hardware"] == "cpu-basic"
    assert airflow.hub.space(f"acme/{dag_id}").hardware == "t4-small"
    airflow.tell_work(dag_id, "end")
    airflow.ends(dag_id, "success")


def shown_leases(airflow: LeasedAirflow) -> dict[str, dict[str, Any]]:
    """The leases that the fleet page shows."""
    answer = airflow.get("hf_spaces/api/leases", connection_id="hf_spaces_default")
    return {each["repo_id"]: each for each in answer["leases"]}


def test_a_run_waits_for_the_lease_of_another_airflow_and_nobody_restores_that(
    airflow: LeasedAirflow,
) -> None:
    dag_id = "other_airflow_works"
    space = airflow.hub.add_space(f"acme/{dag_id}")
    other = OtherAirflow(airflow.hub, space.repo_id)
    assert other.takes("t4-medium")
    airflow.lease(dag_id)
    airflow.until(lambda: airflow.task_state(dag_id, "snapshot") == "deferred", 240)
    expected = f"Space {space.repo_id} is leased by another Airflow or script (holder "
    airflow.until(lambda: expected in airflow.log_of(dag_id), 120)
    assert dag_id not in run_janitor(airflow, "janitor", f"beside_{dag_id}")
    assert space.requested_hardware == "t4-medium"
    assert airflow.task_state(dag_id, "snapshot") == "deferred"
    if AIRFLOW_VERSION >= (3, 1):
        airflow.until(lambda: space.repo_id in shown_leases(airflow), 180)
        lease = shown_leases(airflow)[space.repo_id]
        assert (lease["dag_id"], lease["expired"], lease["abandoned"]) == (None, False, False)

    other.gives_back()
    airflow.working(dag_id)
    (holder,) = airflow.holders(dag_id)
    assert holder["previous"]["hardware"] == "cpu-basic"
    airflow.tell_work(dag_id, "end")
    airflow.ends(dag_id, "success")


def test_a_run_takes_over_the_expired_lease_of_another_airflow_and_restores_what_was_before(
    airflow: LeasedAirflow,
) -> None:
    dag_id = "other_airflow_works"
    if not airflow.hub.has_space(f"acme/{dag_id}"):
        airflow.hub.add_space(f"acme/{dag_id}")
    other = OtherAirflow(airflow.hub, f"acme/{dag_id}", duration=60)
    assert other.takes("t4-medium")
    until = airflow.expires_at(dag_id)
    airflow.lease(dag_id, "after_expiry")
    airflow.working(dag_id, "after_expiry")
    (holder,) = airflow.holders(dag_id)
    assert datetime.fromisoformat(holder["since"]) >= until
    assert holder["previous"]["hardware"] == "cpu-basic"
    airflow.tell_work(dag_id, "end", "after_expiry")
    airflow.ends(dag_id, "success", "after_expiry")
