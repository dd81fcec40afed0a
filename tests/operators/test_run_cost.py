"""The cost of a run that operators report: in the log, as XCom, in an asset's event, and on the cost page."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_hfspaces.assets import space_asset
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.errors import SpaceWaitTimeout
from airflow_provider_hfspaces.operators.hardware import (
    RequestHardwareOperator,
    RestoreHardwareOperator,
    SnapshotSpaceOperator,
)
from airflow_provider_hfspaces.state.run_costs import run_costs
from tests.airflow_tools import OutletEvents
from tests.conftest import TaskLog
from tests.lease_tools import SPACE, AirflowWithoutServer, Window

PER_MINUTE = 0.006667
TIMINGS = {"build": 100.0, "start": 20.0, "lag": 0.0}


@pytest.fixture
def hub_time() -> dict[str, Any]:
    return {"speed": 0, "seconds_per_request": 10, "timings": TIMINGS}


def on_time_of(hub: HubEmulator, window: Window) -> Window:
    """Let the tasks of a window read the emulated time."""
    for task in (window.snapshot, window.upgrade, window.restore):
        task.poll_interval = 0.005
        task.hook = HfSpacesHook(clock=lambda: datetime.fromtimestamp(hub.now(), timezone.utc))
    return window


def minutes(hub: HubEmulator) -> int:
    """The minutes on the hardware that the windows request, as the Hub bills them."""
    return hub.bill().by_hardware().get("t4-small", 0)


def settle(hub: HubEmulator) -> None:
    """Let the Space finish its way back."""
    hub.advance(1000)


def test_a_restore_ends_with_what_the_run_cost(
    hub: HubEmulator, airflow: AirflowWithoutServer, task_log: TaskLog
) -> None:
    hub.add_space(SPACE)
    window = on_time_of(hub, Window())
    window.run("snapshot", "upgrade")
    hub.advance(580)
    window.run("restore")
    settle(hub)
    cost, result = window.tasks.xcom("restore", "cost"), window.tasks.xcom("restore")
    assert minutes(hub) == 13
    assert cost == {
        "cost_usd": pytest.approx(13 * PER_MINUTE),
        "billed_seconds": 780,
        "hardware": "t4-small",
        "billed": [{"hardware": "t4-small", "minutes": 13, "cost_usd": pytest.approx(13 * PER_MINUTE)}],
    }
    assert (result["cost_usd"], result["billed_seconds"]) == (cost["cost_usd"], 780)
    assert (result["billed_hardware"], result["requested_hardware"]) == ("t4-small", "cpu-basic")
    assert f"Space {SPACE}: 13 min of t4-small, about $0.09." in task_log.text


def test_the_event_of_an_asset_has_the_cost(hub: HubEmulator, airflow: AirflowWithoutServer) -> None:
    hub.add_space(SPACE)
    window, events = on_time_of(hub, Window(outlets=[space_asset(SPACE)])), OutletEvents()
    window.run("snapshot", "upgrade")
    window.tasks.run(window.restore, outlet_events=events)
    (extra,) = [event.extra for event in events.events.values()]
    cost = window.tasks.xcom("restore", "cost")
    assert cost["billed_seconds"] > 0
    assert {name: extra[name] for name in ("cost_usd", "billed_seconds", "billed_hardware")} == {
        "cost_usd": cost["cost_usd"],
        "billed_seconds": cost["billed_seconds"],
        "billed_hardware": "t4-small",
    }


def test_the_cost_is_recorded_for_the_day_and_the_dag(
    hub: HubEmulator, airflow: AirflowWithoutServer
) -> None:
    hub.add_space(SPACE)
    window = on_time_of(hub, Window())
    window.run("snapshot", "upgrade")
    hub.advance(580)
    window.run("restore")
    today = datetime.now(timezone.utc).date()
    (entry,) = run_costs("acme", since=today - timedelta(days=1), until=today + timedelta(days=1))
    assert (entry.dag_id, entry.hardware, entry.runs, entry.minutes) == ("dag", "t4-small", 1, 13)


def test_a_restore_that_runs_again_reports_nothing_twice(
    hub: HubEmulator, airflow: AirflowWithoutServer
) -> None:
    hub.add_space(SPACE)
    window = on_time_of(hub, Window())
    window.run("snapshot", "upgrade", "restore")
    hub.advance(36_000)
    window.run("restore")
    assert window.tasks.xcom("restore", "cost") is None
    assert "cost_usd" not in window.tasks.xcom("restore")


def test_the_way_back_is_measured_if_the_restore_waits(
    hub: HubEmulator, airflow: AirflowWithoutServer
) -> None:
    hub.add_space(SPACE)
    window = on_time_of(hub, Window(wait=True, poll_interval=0.005))
    window.run("snapshot", "upgrade")
    hub.advance(600)
    hub.settings.change({"timings": {"build": 1000.0}})
    window.run("restore")
    assert window.tasks.xcom("restore", "cost")["billed_seconds"] == 60 * minutes(hub)
    assert minutes(hub) > 25


@pytest.mark.parametrize("paused_before", [True, False])
def test_a_window_of_a_space_that_was_off_costs_nothing_before_its_app_starts(
    hub: HubEmulator, airflow: AirflowWithoutServer, paused_before: bool
) -> None:
    space = hub.add_space(SPACE, stage="PAUSED" if paused_before else "SLEEPING")
    window = on_time_of(hub, Window())
    window.run("snapshot", "upgrade")
    hub.advance(300)
    window.run("restore")
    settle(hub)
    assert space.stage == ("PAUSED" if paused_before else "RUNNING")
    assert abs(window.tasks.xcom("restore", "cost")["billed_seconds"] - 60 * minutes(hub)) <= 60


def test_a_try_that_finds_the_hardware_of_a_killed_one_counts_from_the_start_of_the_app(
    hub: HubEmulator, airflow: AirflowWithoutServer
) -> None:
    hub.add_space(SPACE)
    window = on_time_of(hub, Window())
    window.run("snapshot")
    window.upgrade.timeout = 0.0
    with pytest.raises(SpaceWaitTimeout):
        window.run("upgrade")
    hub.advance(1200)
    window.upgrade.timeout = 1800.0
    window.run("upgrade")
    hub.advance(300)
    window.run("restore")
    settle(hub)
    assert abs(window.tasks.xcom("restore", "cost")["billed_seconds"] - 60 * minutes(hub)) <= 60


def test_a_run_that_takes_over_from_a_crashed_one_reports_the_minutes_of_both(
    hub: HubEmulator, airflow: AirflowWithoutServer
) -> None:
    hub.add_space(SPACE)
    on_time_of(hub, Window("crashed")).run("snapshot", "upgrade")
    airflow.over.add("crashed")
    hub.advance(1800)
    second = on_time_of(hub, Window("second"))
    second.run("snapshot", "upgrade")
    hub.advance(600)
    second.run("restore")
    settle(hub)
    assert minutes(hub) > 40
    assert abs(second.tasks.xcom("restore", "cost")["billed_seconds"] - 60 * minutes(hub)) <= 60


def test_a_failed_upgrade_still_costs_what_its_app_took_to_fail(
    hub: HubEmulator, airflow: AirflowWithoutServer
) -> None:
    space = hub.add_space(SPACE, stage="PAUSED")
    space.fail_next_start("exit code: 1")
    window = on_time_of(hub, Window())
    hub.settings.change({"timings": {"start": 300.0}})
    window.run("snapshot")
    with pytest.raises(Exception, match="exit code: 1"):
        window.run("upgrade")
    window.run("restore")
    assert minutes(hub) == 5
    assert abs(window.tasks.xcom("restore", "cost")["billed_seconds"] - 300) <= 60


def test_a_price_list_that_cannot_be_read_does_not_fail_the_restore(
    hub: HubEmulator, airflow: AirflowWithoutServer, task_log: TaskLog
) -> None:
    space = hub.add_space(SPACE)
    window = on_time_of(hub, Window())
    window.run("snapshot", "upgrade")
    hub.faults.add(kind="status", status=403, path="/api/spaces/hardware")
    window.run("restore")
    assert space.requested_hardware == "cpu-basic"
    cost = window.tasks.xcom("restore", "cost")
    assert (cost["cost_usd"], cost["hardware"]) == (None, "t4-small")
    assert "because the price list cannot be read" in task_log.text


def test_a_window_without_a_lease_says_what_it_cost(hub: HubEmulator, airflow: AirflowWithoutServer) -> None:
    hub.add_space(SPACE)
    window = Window()
    window.snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE)
    window.upgrade = RequestHardwareOperator(
        task_id="upgrade", repo_id=SPACE, hardware="t4-small", sleep_time=3600, poll_interval=0.005
    )
    window.restore = RestoreHardwareOperator(task_id="restore", repo_id=SPACE, from_task="snapshot")
    window.tasks = type(window.tasks)(window.snapshot, window.upgrade, window.restore)
    on_time_of(hub, window).run("snapshot", "upgrade")
    hub.advance(600)
    window.run("restore")
    settle(hub)
    assert window.tasks.xcom("restore", "cost")["billed_seconds"] == 60 * minutes(hub)


def test_a_deferred_upgrade_carries_what_its_trigger_saw(
    hub: HubEmulator, airflow: AirflowWithoutServer
) -> None:
    hub.add_space(SPACE)
    window = Window()
    window.upgrade.deferrable = True
    window.run("snapshot")
    window.tasks.run_deferred(window.upgrade)
    sightings = window.tasks.xcom("upgrade", "sightings")
    assert sightings["requested"] == ["t4-small"]
    assert [each["hardware"] for each in sightings["sightings"]][-1] == "t4-small"
    assert any(each["destination"] == "t4-small" for each in sightings["sightings"])
    assert any(each["since"] for each in sightings["sightings"])
