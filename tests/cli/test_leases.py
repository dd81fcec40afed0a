"""The commands that show and release leases."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.state.leases import LeaseOwner, variable_name
from tests.airflow_records import AirflowRecords
from tests.cli.conftest import Run
from tests.lease_tools import SPACE, hold, holders

OWNER = LeaseOwner("nightly", "scheduled__1", "gpu.snapshot", restore_tasks=("gpu.restore",))


@pytest.fixture
def records_with_lease(fleet: HubEmulator, airflow_records: AirflowRecords) -> AirflowRecords:
    """A Space that a run of this Airflow has leased, and that run, which is at work."""
    airflow_records.variable(variable_name(hold().holder_id), OWNER.to_dict())
    airflow_records.dag("nightly")
    airflow_records.run("nightly", "scheduled__1", "running")
    return airflow_records


def test_leases_names_the_run_and_says_whether_it_is_at_work(
    run: Run, records_with_lease: AirflowRecords
) -> None:
    (row,) = run("leases", "--author", "acme", "-o", "json").rows
    assert (row["space"], row["state"], row["hardware"]) == (SPACE, "at work", "t4-small")
    assert (row["dag_id"], row["run_id"], row["task_id"]) == ("nightly", "scheduled__1", "gpu.snapshot")
    assert row["restores_to"] == "cpu-basic"
    assert row["usd_so_far"] == pytest.approx(0.4, abs=0.02), "the lease has lasted an hour"
    assert 60 <= row["billed_minutes"] <= 62


def test_a_lease_of_a_run_at_work_is_released_only_by_force(
    run: Run, fleet: HubEmulator, records_with_lease: AirflowRecords
) -> None:
    refusal = run("release", SPACE, "--yes", "-o", "json")
    assert refusal.code == 1
    assert refusal.rows[0]["outcome"] == "left alone"
    assert "held by task gpu.snapshot of run scheduled__1 of DAG nightly" in refusal.err
    assert "--force" in refusal.err
    assert fleet.space(SPACE).requested_hardware == "t4-small"
    release = run("release", SPACE, "--yes", "--force", "-o", "json")
    assert release.code == 0, release.err
    assert release.rows[0]["outcome"] == "restored"
    assert fleet.space(SPACE).requested_hardware == "cpu-basic"
    assert holders() == ()


def test_a_lease_that_was_left_behind_is_released_after_confirmation(
    run: Run, fleet: HubEmulator, records_with_lease: AirflowRecords
) -> None:
    records_with_lease.clear()
    records_with_lease.variable(variable_name(holders()[0].holder_id), OWNER.to_dict())
    records_with_lease.run("nightly", "scheduled__1", "failed")
    plan = run("release", "--author", "acme", "--dry-run", "-o", "json")
    assert [(each["space"], each["outcome"]) for each in plan.rows] == [(SPACE, "would be restored")]
    assert run("release", "--author", "acme", keystrokes="n\n").code == 1
    assert fleet.space(SPACE).requested_hardware == "t4-small"
    release = run("release", "--author", "acme", keystrokes="y\n")
    assert release.code == 0, release.err
    assert "left behind by task gpu.snapshot" in release.out
    assert fleet.space(SPACE).requested_hardware == "cpu-basic"


@pytest.mark.slow
def test_without_a_database_a_lease_counts_as_held(run_without_database: Run, fleet: HubEmulator) -> None:
    hold()
    result = run_without_database("leases", "--author", "acme", "-o", "json")
    assert [each["state"] for each in result.rows] == ["unknown"]
    assert "this command cannot" in result.err
    assert run_without_database("release", SPACE, "--yes").code == 1
    assert fleet.space(SPACE).requested_hardware == "t4-small"


def test_leases_are_shown_although_their_cost_is_not_known(
    run: Run, fleet: HubEmulator, records_with_lease: AirflowRecords
) -> None:
    fleet.faults.add(kind="status", status=403, path="/api/spaces/hardware$")
    result = run("leases", SPACE, "-o", "json")
    assert result.code == 0
    assert result.rows[0]["usd_so_far"] is None
    assert "The cost of the leases is not known" in result.err


def test_a_lease_that_was_released_needs_no_second_release(
    run: Run, records_with_lease: AirflowRecords
) -> None:
    assert run("release", SPACE, "--yes", "--force").code == 0
    again = run("release", SPACE, "--yes", "-o", "json")
    assert again.code == 0
    assert again.rows[0]["reason"] == "not leased"


def test_an_expired_lease_is_released_without_knowing_its_run(run: Run, fleet: HubEmulator) -> None:
    hold(hours_left=-1)
    assert run("release", SPACE, "--yes").code == 0
    assert fleet.space(SPACE).requested_hardware == "cpu-basic"


def test_force_is_only_for_spaces_that_are_named(run: Run, fleet: HubEmulator) -> None:
    result = run("release", "--author", "acme", "--force", "--yes")
    assert result.code == 2
    assert "--force needs the names of the Spaces whose leases to release. Name the Spaces." in result.err


def test_a_space_without_a_lease_needs_no_release(run: Run, fleet: HubEmulator) -> None:
    result = run("release", SPACE, "--yes", "-o", "json")
    assert result.code == 0
    assert result.rows[0]["reason"] == "not leased"
    assert {each.method for each in fleet.requests} == {"GET"}
