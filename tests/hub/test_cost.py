"""Estimates of costs, compared with the bill of the emulated Hub."""

from __future__ import annotations

import json
import pickle
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.cost.prices import (
    FleetCost,
    PriceList,
    billed_minutes,
    cost_of,
    saved_by_pause,
)
from airflow_provider_hfspaces.hub.models import HardwareFlavor, SpaceInfo, SpaceRuntime
from airflow_provider_hfspaces.hub.text import text_table

SPACE = "acme/whisper"
MOMENT = datetime(2026, 11, 23, 20, 0, tzinfo=timezone.utc)


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 0}


def flavor(name: str, **fields: Any) -> HardwareFlavor:
    return HardwareFlavor.from_payload({"name": name, "unitLabel": "minute", **fields})


PRICES = PriceList.from_flavors(
    [
        flavor("cpu-basic", unitCostMicroUSD=0),
        flavor("t4-small", unitCostMicroUSD=6667),
        flavor("a10g-large", unitCostMicroUSD=25000),
        flavor("by-the-hour", unitCostUSD=3, unitLabel="hour"),
        flavor("by-the-fortnight", unitCostUSD=3, unitLabel="fortnight"),
        flavor("at-no-price"),
    ],
    as_of=MOMENT,
)


def runtime(stage: str = "RUNNING", current: str | None = "t4-small", **fields: Any) -> SpaceRuntime:
    payload = {"stage": stage, "hardware": {"current": current, "requested": current}, **fields}
    return SpaceRuntime.from_payload(payload)


@pytest.mark.parametrize(
    ("hardware", "hourly"),
    [
        ("t4-small", 0.4),
        ("by-the-hour", 3),
        ("cpu-basic", 0),
        ("zero-a10g", 0),
        ("at-no-price", None),
        ("by-the-fortnight", None),
        ("h900", None),
    ],
)
def test_an_unlisted_price_is_not_zero(hardware: str, hourly: float | None) -> None:
    assert PRICES.hourly(hardware) == hourly
    assert PRICES.hourly(hardware, 3) == (None if hourly is None else pytest.approx(3 * hourly))
    assert (PRICES.of_minutes(hardware, 10) is None) == (hourly is None)


def test_a_price_list_knows_its_time_and_can_be_pickled() -> None:
    before = datetime.now(timezone.utc)
    assert PriceList.from_flavors([]).as_of >= before
    assert pickle.loads(pickle.dumps(PRICES)) == PRICES


@pytest.mark.parametrize(
    ("space_runtime", "now", "running"),
    [
        (runtime(), 0.4, 0.4),
        (runtime("APP_STARTING"), 0.4, 0.4),
        (runtime("RUNNING", replicas={"current": 3, "requested": 2}), 1.2, 1.2),
        (runtime("RUNNING", replicas={"current": 1, "requested": "auto"}), 0.4, 0.4),
        (runtime("BUILDING"), 0, 0.4),
        (runtime("PAUSED", replicas={"requested": 2}), 0, 0.8),
        (runtime("RUNTIME_ERROR"), 0, 0.4),
        (runtime("RUNNING", "cpu-basic"), 0, 0),
        (runtime("RUNNING", "h900"), None, None),
        (runtime("SLEEPING", "h900"), 0, None),
        (runtime("RUNNING", None), 0, 0),  # a static Space
        (SpaceRuntime.from_payload({"stage": "RUNNING"}), None, None),
        (SpaceRuntime.from_payload({"stage": "PAUSED"}), 0, None),
    ],
)
def test_a_space_costs_the_price_of_its_running_replicas(
    space_runtime: SpaceRuntime, now: float | None, running: float | None
) -> None:
    assert (PRICES.of_space(space_runtime), PRICES.if_running(space_runtime)) == (now, running)


@pytest.mark.parametrize(
    ("space_runtime", "now", "when_started"),
    [
        (runtime("RUNNING"), 0.4, 0.4),
        (runtime("PAUSED"), 0, 0),
        (runtime("BUILDING", replicas={"requested": 2}), 0, 0.8),
        (runtime("BUILDING", "cpu-basic"), 0, 0),
        (runtime("BUILDING", "h900"), 0, None),
        (runtime("APP_STARTING"), 0.4, 0.4),
    ],
)
def test_a_build_costs_nothing_now_and_the_price_of_its_hardware_when_done(
    space_runtime: SpaceRuntime, now: float, when_started: float | None
) -> None:
    fleet = FleetCost.from_spaces([("acme/a", space_runtime)], PRICES)
    assert (PRICES.of_space(space_runtime), PRICES.when_started(space_runtime)) == (now, when_started)
    assert (fleet.hourly, fleet.when_started) == (now, when_started or 0)
    assert fleet.total.unknown == (when_started is None)
    assert fleet.total.starting == (now == 0 and when_started != 0)


def test_the_cost_of_a_fleet_includes_what_its_builds_will_cost_when_done() -> None:
    fleet = FleetCost.from_spaces(
        [("acme/a", runtime()), ("acme/b", runtime("BUILDING", "a10g-large"))], PRICES
    )
    assert fleet.in_words() == "$0.40 an hour, $1.90 an hour when the builds are done"
    assert [line.split()[-2:] for line in fleet.table().splitlines()[2:]] == [
        ["0.00", "1.50"],
        ["0.40", "0.40"],
        ["0.40", "1.90"],
    ]
    assert FleetCost.from_spaces([("acme/a", runtime())], PRICES).in_words() == "$0.40 an hour"


def test_a_space_that_changes_hardware_costs_the_old_price_until_then() -> None:
    runtime = SpaceRuntime.from_payload(
        {"stage": "RUNNING_BUILDING", "hardware": {"current": "t4-small", "requested": "a10g-large"}}
    )
    assert (PRICES.of_space(runtime), PRICES.if_running(runtime)) == (0.4, 1.5)


@pytest.mark.parametrize(
    ("seconds", "cost", "savings"),
    [(0, 0, 0), (-5, 0, 0), (1, 0.01, 0), (60, 0.01, 0.01), (61, 0.02, 0.01), (39_600, 6.6, 6.6)],
)
def test_costs_count_begun_minutes_and_savings_count_whole_minutes(
    seconds: float, cost: float, savings: float
) -> None:
    assert (cost_of(0.6, seconds), saved_by_pause(0.6, seconds)) == (cost, savings)


@pytest.mark.parametrize("seconds", [1, 60, 61, 3601])
@pytest.mark.parametrize("replicas", [1, 2])
def test_the_estimate_for_a_lease_equals_the_hubs_bill(hub: HubEmulator, seconds: int, replicas: int) -> None:
    hub.add_space(SPACE, hardware="t4-small", replicas=replicas)
    hub.advance(seconds)
    hook = HfSpacesHook()
    prices, bill = hook.price_list(), hub.bill()
    hourly = prices.of_space(hook.get_runtime(SPACE))
    assert hourly == 0.4 * replicas
    assert bill.minutes == billed_minutes(seconds) * replicas
    assert cost_of(hourly, seconds) == pytest.approx(bill.total_usd, rel=1e-4)
    assert prices.of_minutes("t4-small", bill.minutes) == bill.total_usd


def test_a_pause_saves_at_most_the_difference_in_the_bill(hub: HubEmulator) -> None:
    for name in ("paused", "running"):
        hub.add_space(f"acme/{name}", hardware="t4-small")
    hook = HfSpacesHook()
    hub.advance(95)
    hook.pause("acme/paused")
    hub.advance(11 * 3600)
    hook.restart("acme/paused")
    hub.advance(3600)
    usd_by_space = {repo_id: charges["t4-small"].usd for repo_id, charges in hub.bill().spaces.items()}
    short = usd_by_space["acme/running"] - usd_by_space["acme/paused"]
    assert saved_by_pause(0.4, 11 * 3600) == 4.4
    # The build after a restart is not billed either, which nobody counts as saved by the pause.
    assert 4.4 <= short <= 4.4 + 0.4 / 60 * 5


def test_the_costs_of_a_fleet_are_added_up_by_hardware_and_stage() -> None:
    fleet = FleetCost.from_spaces(
        [
            ("acme/a", runtime()),
            ("acme/b", runtime(replicas={"current": 2, "requested": 2})),
            ("acme/c", runtime("PAUSED", "a10g-large")),
            ("acme/d", runtime("RUNNING", "a10g-large")),
            ("acme/e", runtime("RUNNING", "cpu-basic")),
            ("acme/new", runtime("RUNNING", "h900")),
            ("acme/silent", None),
            SpaceInfo.from_payload({"id": "acme/static", "runtime": {"stage": "RUNNING", "hardware": {}}}),
        ],
        PRICES,
    )
    assert (fleet.hourly, fleet.monthly) == (2.7, 1971)
    assert {name: (each.spaces, each.billed, each.hourly) for name, each in fleet.by_hardware().items()} == {
        "a10g-large": (2, 1, 1.5),
        "t4-small": (2, 2, 1.2),
        "cpu-basic": (1, 0, 0),
        "h900": (1, 1, 0),
        "none": (2, 0, 0),
    }
    assert {name: each.spaces for name, each in fleet.by_stage().items()} == {
        "RUNNING": 6,
        "PAUSED": 1,
        "none": 1,
    }
    assert {each.repo_id for each in fleet.unknown} == {"acme/new", "acme/silent"}
    assert fleet.by_hardware()["h900"].unknown == 1
    summary = fleet.to_dict()
    assert json.loads(json.dumps(summary)) == summary
    assert (summary["spaces"], summary["billed"], summary["unknown"], summary["hourly_cost"]) == (
        8,
        4,
        2,
        2.7,
    )
    assert [each["repo_id"] for each in summary["costing"]] == [
        "acme/d",
        "acme/b",
        "acme/a",
        "acme/new",
        "acme/silent",
    ]
    assert summary["prices_as_of"] == "2026-11-23T20:00:00+00:00"


def test_the_estimate_for_a_fleet_equals_the_hubs_bill(hub: HubEmulator) -> None:
    hub.add_space("acme/gpu", hardware="a10g-small", replicas=2)
    hub.add_space("acme/cpu", hardware="cpu-upgrade")
    hub.add_space("acme/night-owl", hardware="t4-medium", stage="PAUSED")
    hub.add_space("acme/free")
    hub.add_space("acme/page", sdk="static")
    hub.advance(3600)
    hook = HfSpacesHook()
    fleet = FleetCost.from_spaces(hook.list_spaces(author="acme", expand="runtime"), hook.price_list())
    assert fleet.hourly == pytest.approx(hub.bill().total_usd, rel=1e-4)
    assert (fleet.total.spaces, fleet.total.billed, fleet.total.unknown) == (5, 2, 0)


def test_the_table_shows_the_most_expensive_spaces_and_sums_up_the_rest() -> None:
    fleet = FleetCost.from_spaces([(f"acme/{n}", runtime()) for n in range(4)] + [("acme/x", None)], PRICES)
    lines = fleet.table(max_rows=2).splitlines()
    assert [line.split() for line in lines[2:]] == [
        ["acme/0", "RUNNING", "t4-small", "0.40"],
        ["acme/1", "RUNNING", "t4-small", "0.40"],
        ["3", "more", "0.80", "+", "1", "unknown"],
        ["all", "5", "Spaces", "1.60", "+", "1", "unknown"],
    ]
    assert fleet.table().splitlines()[-2].split() == ["acme/x", "?", "?", "?"]


def test_a_cell_cannot_begin_a_new_line() -> None:
    assert text_table(["a"], [["x\n[INFO] all is well\x1b[2J"]]).count("\n") == 2
    assert "\x1b" not in text_table(["a"], [["\x1b[2J"]])
