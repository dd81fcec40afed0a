"""A lease is released by a process that reads Airflow's database, such as the API server."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.server import get_variable
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.cost.runs import BilledTime, RunCost
from airflow_provider_hfspaces.hub.errors import HubPermissionError
from airflow_provider_hfspaces.hub.lease.actions import SpaceLeased
from airflow_provider_hfspaces.state.leases import LeaseOwner, variable_name
from airflow_provider_hfspaces.state.release import NotLeased, ReleasedLease, release_lease
from airflow_provider_hfspaces.state.run_costs import record_run_cost, run_costs, window_of_run
from tests.airflow_records import AirflowRecords, airflow_records, as_server
from tests.lease_tools import SPACE, hold, holders, previous_state

__all__ = ["airflow_records", "as_server"]

pytestmark = pytest.mark.usefixtures("as_server")

OWNER = LeaseOwner("nightly", "scheduled__1", "gpu.snapshot", restore_tasks=("gpu.restore",))


@pytest.fixture
def hub_with_lease(hub: HubEmulator, airflow_records: AirflowRecords) -> HubEmulator:
    """A Space on a T4 that a run of this Airflow has leased."""
    hub.add_space(SPACE, hardware="t4-small")
    airflow_records.variable(variable_name(hold().holder_id), OWNER.to_dict())
    return hub


def emulated_time(hub: HubEmulator) -> datetime:
    return datetime.fromtimestamp(hub.now(), timezone.utc)


@pytest.fixture
def hub_after_failed_run(hub: HubEmulator, airflow_records: AirflowRecords) -> HubEmulator:
    """A failed run has moved the Space to a T4 ninety minutes ago, and has left it there."""
    requested_at = emulated_time(hub)
    hub.add_space(SPACE, hardware="t4-small")
    holder = hold(previous=previous_state(taken_at=requested_at.isoformat()), requested_at=requested_at)
    airflow_records.variable(variable_name(holder.holder_id), OWNER.to_dict())
    airflow_records.run("nightly", "scheduled__1", "failed")
    hub.advance(90 * 60)
    return hub


def recorded_costs() -> list[tuple[str, str, int]]:
    """Returns the DAG, the hardware and the minutes of each entry on the cost page."""
    since = datetime.now(timezone.utc).date() - timedelta(days=1)
    return [(each.dag_id, each.hardware, each.minutes) for each in run_costs(since=since)]


def release(hub: HubEmulator | None = None, **options: Any) -> ReleasedLease:
    hook = HfSpacesHook() if hub is None else HfSpacesHook(clock=lambda: emulated_time(hub))
    return release_lease(hook, SPACE, **options)


@pytest.mark.parametrize("state", ["failed", "success", "deleted"])
def test_the_lease_of_a_run_that_is_over_is_released_and_forgotten(
    hub_with_lease: HubEmulator, airflow_records: AirflowRecords, state: str
) -> None:
    if state != "deleted":
        airflow_records.run("nightly", "scheduled__1", state)
    result = release()
    assert result.hardware == hub_with_lease.space(SPACE).requested_hardware == "cpu-basic"
    assert "left behind by task gpu.snapshot of run scheduled__1 of DAG nightly" in result.reason
    assert holders() == ()
    assert get_variable(variable_name("ab" * 16)) is None


def test_the_lease_of_a_run_that_is_alive_is_kept_unless_forced(
    hub_with_lease: HubEmulator, airflow_records: AirflowRecords
) -> None:
    airflow_records.dag("nightly")
    airflow_records.run("nightly", "scheduled__1", "running")
    with pytest.raises(SpaceLeased):
        release()
    assert hub_with_lease.space(SPACE).requested_hardware == "t4-small"
    assert [each.holder_id for each in holders()] == ["ab" * 16]
    assert "taken from task gpu.snapshot" in release(force=True).reason
    assert hub_with_lease.space(SPACE).requested_hardware == "cpu-basic"


def test_a_run_of_a_dag_that_airflow_no_longer_knows_is_not_alive(
    hub_with_lease: HubEmulator, airflow_records: AirflowRecords
) -> None:
    airflow_records.run("nightly", "scheduled__1", "running")
    assert "nothing of that run works" in release().reason


def test_what_the_lease_cost_counts_for_the_dag_of_its_run(hub_after_failed_run: HubEmulator) -> None:
    cost = release(hub_after_failed_run).cost
    assert cost is not None
    assert 90 <= cost.minutes <= 99
    assert recorded_costs() == [("nightly", "t4-small", cost.minutes)]


def test_what_the_lease_cost_counts_once_in_the_metrics(
    hub_after_failed_run: HubEmulator, sent_metrics: list[tuple[str, float, str]]
) -> None:
    cost = release(hub_after_failed_run).cost
    assert cost is not None
    assert sent_metrics == [
        ("hf_spaces.billed_seconds", cost.billed_seconds, "t4-small"),
        ("hf_spaces.cost_usd", cost.usd, "t4-small"),
    ]


def test_a_cost_that_the_run_has_recorded_counts_once(hub_after_failed_run: HubEmulator) -> None:
    (holder,) = holders()
    assert holder.previous is not None
    began = datetime.fromisoformat(holder.previous["taken_at"])
    cost = RunCost.from_times([BilledTime("t4-small", 1, 60)], HfSpacesHook().price_list())
    record_run_cost(SPACE, cost, window_of_run(began, OWNER.run_id, SPACE, -1), dag_id=OWNER.dag_id)
    assert release(hub_after_failed_run).cost is not None
    assert recorded_costs() == [("nightly", "t4-small", 1)]


def test_the_cost_of_a_lease_without_the_moment_of_its_request_is_not_known(
    hub_with_lease: HubEmulator,
) -> None:
    assert release().cost is None
    assert recorded_costs() == []


def test_a_space_is_released_although_no_price_is_known(hub_after_failed_run: HubEmulator) -> None:
    hub_after_failed_run.faults.add(kind="status", status=403, path="/api/spaces/hardware$")
    result = release(hub_after_failed_run)
    assert result.hardware == "cpu-basic"
    assert result.cost is not None
    assert result.cost.usd is None


@pytest.mark.parametrize("hardware", ["cpu-basic", "t4-small"])
def test_a_lease_is_released_once_and_again_after_a_late_request(hub: HubEmulator, hardware: str) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    hold(previous=previous_state(hardware=hardware), abandoned=True)
    assert release().hardware == hardware
    with pytest.raises(NotLeased, match=r"its lease was given back at 20.* UTC\. Nothing was changed\."):
        release()
    HfSpacesHook().request_hardware(SPACE, "t4-small", sleep_time=600)
    assert "late request" in release().reason
    sleep_time = None if hardware == "t4-small" else 172_800
    assert (space.requested_hardware, space.sleep_time) == (hardware, sleep_time)


def test_a_space_that_nobody_has_leased_is_left_as_it_is(hub: HubEmulator) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    with pytest.raises(NotLeased, match="Space acme/whisper is not leased"):
        release()
    assert {each.method for each in hub.requests} == {"GET"}


def test_a_space_that_the_hub_does_not_restore_stays_for_the_next_try(hub_with_lease: HubEmulator) -> None:
    hub_with_lease.faults.add(kind="status", status=403, method="POST", path="/(hardware|pause)")
    with pytest.raises(HubPermissionError):
        release()
    assert holders()[-1].abandoned
    hub_with_lease.faults.clear()
    assert "abandoned by" in release().reason
