"""Random runs with a copy cost what the emulated Hub bills for the copy, within a begun minute.

Each run reserves, creates and deletes a copy in emulated time. Its creation may die after the request and be
tried again later, the copy may fail to start, and tries of the deletion may be rejected.
"""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.errors import HubPermissionError, SpaceWaitTimeout
from tests.copy_tools import SPACE, CopyWindow
from tests.hub.test_run_cost_property import TimedEvent
from tests.lease_tools import AirflowWithoutServer

HARDWARE = "t4-small"
FAST_SEEDS, SLOW_SEEDS = range(20), range(1000, 1300)


@pytest.fixture
def hub_time() -> dict[str, Any]:
    return {"speed": 0, "seconds_per_request": 0.2}


def run_with_copy(hub: HubEmulator, seed: int) -> tuple[dict[str, Any], list[str]]:
    """One run. Returns what it reports of its cost, and what happened, for the message of a failure."""
    chance, events = random.Random(seed), []
    timings = {"build": chance.uniform(0, 300), "start": chance.uniform(0, 30), "lag": chance.choice([0, 3])}
    hub.settings.change({"timings": timings, "seconds_per_request": 0.2})
    hub.add_space(SPACE)
    window = CopyWindow(f"run {seed}", sleep_time=360_000)
    for task in (window.reserve, window.create, window.delete):
        task.killed = TimedEvent(hub, chance.uniform(5, 15))
        task.hook = HfSpacesHook(clock=lambda: datetime.fromtimestamp(hub.now(), timezone.utc))
    tries: Any = window.tasks.ti
    tries.try_number, tries.max_tries = 1, 5
    window.run("reserve")
    for _ in range(chance.choice([0, 0, 1, 2])):
        window.create.timeout = 0.0
        with suppress(SpaceWaitTimeout):
            window.run("create")
        hub.advance(chance.uniform(0, 900))
        events.append("a try of the creation dies after its request")
    window.create.timeout = 3600.0
    if chance.random() < 0.8:
        window.run("create")
        hub.advance(chance.choice([0, 30, 600, 3600, 20_000]) * chance.random())
    else:
        events.append("the run is marked before the creation has ended")
    for _ in range(chance.choice([0, 0, 1])):
        hub.faults.add(kind="status", status=403, method="DELETE", times=1)
        with suppress(HubPermissionError):
            window.run("delete")
        hub.faults.clear()
        hub.advance(chance.uniform(0, 300))
        events.append("the Hub rejects the token of a try of the deletion")
    (result,) = window.run("delete")
    cost = window.tasks.xcom("delete", "cost")
    if cost is not None:
        assert cost["billed_seconds"] == result["billed_seconds"]
        assert cost["cost_usd"] == result["cost_usd"]
    hub.advance(100_000)
    return result, events


@pytest.mark.parametrize("seeds", [FAST_SEEDS, pytest.param(SLOW_SEEDS, marks=pytest.mark.slow)])
def test_a_run_reports_what_the_hub_bills_for_its_copy(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, seeds: range
) -> None:
    AirflowWithoutServer(monkeypatch)
    wrong, billed_in_all = [], 0
    for seed in seeds:
        hub.reset()
        result, events = run_with_copy(hub, seed)
        bill = hub.bill()
        assert not bill.running
        billed_minutes = bill.by_hardware().get(HARDWARE, 0)
        reported = result.get("billed_seconds", 0) // 60
        price = result.get("cost_usd", 0) / reported if reported else None
        if abs(reported - billed_minutes) > 1 or (
            price and abs(price - bill.total_usd / billed_minutes) > 1e-4
        ):
            wrong.append((seed, reported, billed_minutes, events))
        billed_in_all += billed_minutes
    assert wrong == []
    assert billed_in_all > 60, "the runs cost something"
