"""A lease is released by a process that reads Airflow's database, such as the API server."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_hfspaces.compat.server import get_variable
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.errors import HubPermissionError
from airflow_provider_hfspaces.hub.lease.actions import SpaceLeased
from airflow_provider_hfspaces.state.leases import LeaseOwner, variable_name
from airflow_provider_hfspaces.state.release import NotLeased, ReleasedLease, release_lease
from tests.airflow_records import AirflowRecords, airflow_records, as_server
from tests.lease_tools import SPACE, hold, holders

__all__ = ["airflow_records", "as_server"]

pytestmark = pytest.mark.usefixtures("as_server")

OWNER = LeaseOwner("nightly", "scheduled__1", "gpu.snapshot", restore_tasks=("gpu.restore",))


@pytest.fixture
def leased(hub: HubEmulator, airflow_records: AirflowRecords) -> HubEmulator:
    """A Space on a T4 that a run of this Airflow has leased."""
    hub.add_space(SPACE, hardware="t4-small")
    airflow_records.variable(variable_name(hold().holder_id), OWNER.to_dict())
    return hub


def release(**options: Any) -> ReleasedLease:
    return release_lease(HfSpacesHook(), SPACE, **options)


@pytest.mark.parametrize("state", ["failed", "success", "deleted"])
def test_the_lease_of_a_run_that_is_over_is_released_and_forgotten(
    leased: HubEmulator, airflow_records: AirflowRecords, state: str
) -> None:
    if state != "deleted":
        airflow_records.run("nightly", "scheduled__1", state)
    released = release()
    assert released.hardware == leased.space(SPACE).requested_hardware == "cpu-basic"
    assert "left behind by task gpu.snapshot of run scheduled__1 of DAG nightly" in released.reason
    assert holders() == ()
    assert get_variable(variable_name("ab" * 16)) is None


def test_the_lease_of_a_run_that_is_alive_is_kept_unless_forced(
    leased: HubEmulator, airflow_records: AirflowRecords
) -> None:
    airflow_records.dag("nightly")
    airflow_records.run("nightly", "scheduled__1", "running")
    with pytest.raises(SpaceLeased):
        release()
    assert leased.space(SPACE).requested_hardware == "t4-small"
    assert [each.holder_id for each in holders()] == ["ab" * 16]
    assert "taken from task gpu.snapshot" in release(force=True).reason
    assert leased.space(SPACE).requested_hardware == "cpu-basic"


def test_a_run_of_a_dag_that_airflow_no_longer_knows_is_not_alive(
    leased: HubEmulator, airflow_records: AirflowRecords
) -> None:
    airflow_records.run("nightly", "scheduled__1", "running")
    assert "nothing of that run works" in release().reason


def test_a_space_that_nobody_has_leased_is_left_as_it_is(hub: HubEmulator) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    with pytest.raises(NotLeased, match="Space acme/whisper is not leased"):
        release()
    assert {each.method for each in hub.requests} == {"GET"}


def test_a_space_that_the_hub_does_not_restore_stays_for_the_next_try(leased: HubEmulator) -> None:
    leased.faults.add(kind="status", status=403, method="POST", path="/(hardware|pause)")
    with pytest.raises(HubPermissionError):
        release()
    assert holders()[-1].abandoned
    leased.faults.clear()
    assert "abandoned by" in release().reason
