"""The cost of a run, computed from the sightings of its Space."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.cost.prices import PriceList
from airflow_provider_hfspaces.hub.cost.runs import (
    BilledTime,
    RunCost,
    Sighting,
    sightings_from,
    way_there_seconds,
)
from airflow_provider_hfspaces.hub.models import HardwareFlavor, SpaceRuntime

START = datetime(2026, 11, 23, 20, 0, tzinfo=timezone.utc)


def flavor(name: str, micro: int) -> HardwareFlavor:
    return HardwareFlavor.from_payload({"name": name, "unitCostMicroUSD": micro, "unitLabel": "minute"})


PRICES = PriceList.from_flavors([flavor("t4-small", 6667), flavor("l4x1", 13333), flavor("cpu-upgrade", 500)])


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def sighting(
    seconds: float,
    hardware: str | None,
    *,
    to: str | None = None,
    replicas: int = 1,
    since: float | None = None,
) -> Sighting:
    return Sighting(at(seconds), hardware, replicas, to, None if since is None else at(since))


def cost(*sightings: Sighting, requested: tuple[str, ...] = ("t4-small",)) -> RunCost:
    return RunCost.from_sightings(sightings, requested, PRICES)


def window(*, ends: Sighting) -> list[Sighting]:
    """The Space goes to t4-small from 0 to 150 seconds, and works there."""
    return [
        sighting(0, "cpu-basic"),
        sighting(1, "cpu-basic", to="t4-small"),
        sighting(150, "t4-small", since=150),
        ends,
    ]


def test_a_window_costs_the_minutes_on_the_requested_hardware() -> None:
    whole = cost(*window(ends=sighting(150 + 12.5 * 60, "t4-small")))
    assert (whole.minutes, whole.billed_seconds, whole.hardware) == (13, 780, "t4-small")
    assert whole.usd == pytest.approx(13 * 0.006667)
    assert whole.in_words() == "13 min of t4-small, about $0.09"


def test_the_way_back_is_expected_to_take_as_long_as_the_way_there() -> None:
    back = cost(*window(ends=sighting(150 + 600, "t4-small", to="cpu-basic")))
    assert way_there_seconds(window(ends=sighting(700, "t4-small"))) == 149
    assert back.times == (BilledTime("t4-small", 1, 600 + 149),)


def test_a_measured_way_back_counts_instead_of_the_expected_one() -> None:
    back = cost(
        *window(ends=sighting(750, "t4-small", to="cpu-basic")),
        sighting(810, "cpu-basic", since=810),
    )
    assert back.times == (BilledTime("t4-small", 1, 660),)


def test_a_pause_ends_the_bill_at_once() -> None:
    cost_until_pause = cost(*window(ends=sighting(750, "t4-small")), sighting(751, None, since=750))
    assert cost_until_pause.times == (BilledTime("t4-small", 1, 600),)


def test_two_times_are_billed_apart() -> None:
    cost_until_sleep = cost(
        *window(ends=sighting(180, "t4-small")),
        sighting(200, None, since=190),
        sighting(800, "t4-small", since=790),
        sighting(850, "t4-small"),
    )
    assert [each.seconds for each in cost_until_sleep.times] == [40, 60]
    assert cost_until_sleep.minutes == 2


def test_an_unknown_moment_of_a_change_makes_the_amount_an_upper_bound() -> None:
    fell_asleep = cost(sighting(0, "t4-small"), sighting(600, None))
    woke_up = cost(sighting(0, None), sighting(600, "t4-small"), sighting(660, "t4-small"))
    assert fell_asleep.times == (BilledTime("t4-small", 1, 600),)
    assert woke_up.times == (BilledTime("t4-small", 1, 660),)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (sighting(0, "cpu-basic"), sighting(600, "t4-small")),
        (sighting(0, "cpu-upgrade"), sighting(600, "t4-small")),
        (sighting(0, "t4-small"), sighting(600, "t4-small", replicas=3)),
        (sighting(0, "t4-small"), sighting(600, "l4x1")),
    ],
)
def test_of_two_states_the_one_that_costs_more_counts_until_the_change(
    before: Sighting, after: Sighting
) -> None:
    dearer = BilledTime(after.hardware or "", after.replicas, 600)
    up = cost(before, after, requested=("t4-small", "l4x1"))
    down = cost(after, replace(before, at=at(1200)), requested=("t4-small", "l4x1"))
    assert up.times == down.times == (dearer,)


def test_each_replica_is_billed() -> None:
    cost_of_replicas = cost(sighting(0, "t4-small", replicas=3), sighting(61, "t4-small", replicas=3))
    assert cost_of_replicas.minutes == 6
    assert cost_of_replicas.in_words() == "6 min of t4-small (3 replicas), about $0.04"


def test_hardware_that_the_run_did_not_request_is_not_part_of_its_cost() -> None:
    there = cost(
        sighting(0, "cpu-upgrade", to="t4-small"),
        sighting(100, "t4-small", since=100),
        sighting(160, "t4-small", to="cpu-upgrade"),
        sighting(220, "cpu-upgrade", since=220),
        sighting(500, "cpu-upgrade"),
    )
    assert there.times == (BilledTime("t4-small", 1, 120),)


def test_the_minutes_of_each_flavor_of_a_list_count() -> None:
    cost_after_move = cost(
        sighting(0, "t4-small"),
        sighting(300, "l4x1", since=120),
        sighting(420, "l4x1"),
        requested=("t4-small", "l4x1"),
    )
    assert cost_after_move.by_hardware() == {
        "t4-small": (2, pytest.approx(2 * 0.006667)),
        "l4x1": (5, pytest.approx(5 * 0.013333)),
    }
    assert cost_after_move.in_words() == "2 min of t4-small and 5 min of l4x1, about $0.08"
    assert cost_after_move.to_dict() == {
        "cost_usd": pytest.approx(0.079999),
        "billed_seconds": 420,
        "hardware": "l4x1",
        "billed": [
            {"hardware": "t4-small", "minutes": 2, "cost_usd": pytest.approx(0.013334)},
            {"hardware": "l4x1", "minutes": 5, "cost_usd": pytest.approx(0.066665)},
        ],
    }


def test_an_unlisted_price_makes_the_cost_unknown_and_not_zero() -> None:
    unknown = cost(sighting(0, "h900"), sighting(60, "h900"), requested=("h900",))
    assert unknown.usd is None
    assert unknown.in_words() == "1 min of h900, at a price that the Hub does not list"


def test_a_window_without_paid_hardware_says_so() -> None:
    free = cost(sighting(0, "cpu-basic"), sighting(600, "cpu-basic"), requested=("cpu-basic",))
    assert (free.usd, free.billed_seconds, free.hardware) == (0, 0, None)
    assert free.in_words() == "no billed minute"


def test_long_times_are_shown_in_hours() -> None:
    assert cost(sighting(0, "t4-small"), sighting(20 * 3600 + 59, "t4-small")).in_words() == (
        "20 h 1 min of t4-small, about $8.01"
    )


@pytest.mark.parametrize(
    ("runtime", "hardware", "destination"),
    [
        (SpaceRuntime("RUNNING", "t4-small", "t4-small"), "t4-small", None),
        (SpaceRuntime("RUNNING", "cpu-basic", "t4-small"), "cpu-basic", "t4-small"),
        (SpaceRuntime("RUNNING_BUILDING", "cpu-basic", "t4-small"), "cpu-basic", "t4-small"),
        (SpaceRuntime("BUILDING", None, "t4-small"), None, "t4-small"),
        (SpaceRuntime("APP_STARTING", None, "t4-small"), "t4-small", "t4-small"),
        (SpaceRuntime("PAUSED", None, "t4-small"), None, None),
        (SpaceRuntime("RUNTIME_ERROR", None, "t4-small"), None, None),
    ],
)
def test_a_runtime_is_billed_while_it_starts_and_runs(
    runtime: SpaceRuntime, hardware: str | None, destination: str | None
) -> None:
    sighting = Sighting.from_runtime(runtime, START)
    assert (sighting.hardware, sighting.destination) == (hardware, destination)


def test_sightings_survive_json() -> None:
    sightings = window(ends=sighting(700, None, replicas=2))
    records = json.loads(json.dumps([each.to_dict() for each in sightings]))
    assert sightings_from(records) == sightings


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"at": "yesterday"}, "at of a sighting must be a date and time; got 'yesterday'."),
        ({"at": "2026-11-23T20:00:00"}, "at of a sighting must have a time zone"),
        ({"replicas": 0}, "replicas of a sighting must be from 1 to 1000; got 0."),
        ({"hardware": 4}, "hardware of a sighting must be a flavor; got 4."),
        ({"since": 5}, "since of a sighting must be a date and time; got 5."),
    ],
)
def test_a_sighting_that_is_not_valid_is_refused_and_left_out_of_a_list(
    change: dict[str, Any], problem: str
) -> None:
    payload = {**sighting(0, "t4-small").to_dict(), **change}
    with pytest.raises(InvalidInput) as excinfo:
        Sighting.from_dict(payload)
    assert problem in str(excinfo.value)
    assert sightings_from([payload, sighting(1, None).to_dict(), None]) == [sighting(1, None)]
    assert sightings_from("nothing") == []
