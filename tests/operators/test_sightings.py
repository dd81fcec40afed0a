"""What a watch of a Space has seen: how many sightings are kept, and since when each state is known."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub.cost.runs import Sighting, Sightings
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.stages import SpaceStage
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.operators.run_costs import SeenSpace
from airflow_provider_hfspaces.triggers.spaces import SpaceTrigger
from tests.airflow_tools import first_event
from tests.conftest import TaskLog
from tests.lease_tools import SPACE

NOW = datetime(2026, 11, 23, 20, 0, tzinfo=timezone.utc)
RUNNING = SpaceRuntime(SpaceStage.RUNNING, "t4-small", "t4-small")
INHERITED = Sighting(NOW - timedelta(hours=1), "t4-small", since=NOW - timedelta(hours=2))


def seen_in_a_worker() -> SeenSpace:
    task: Any = SimpleNamespace(hook=SimpleNamespace(clock=lambda: NOW), log=SimpleNamespace(info=print))
    return SeenSpace(task)


@pytest.mark.parametrize(("elapsed", "since"), [(5.0, NOW), (90.0, None)])
@pytest.mark.parametrize("earlier", [(), (INHERITED,)])
def test_when_the_first_state_began_is_known_only_soon_after_the_request(
    elapsed: float, since: datetime | None, earlier: tuple[Sighting, ...]
) -> None:
    sightings = Sightings(earlier)
    sightings.add_change(RUNNING, elapsed, NOW)
    sightings.add_change(RUNNING, elapsed + 300, NOW)
    assert [each.since for each in sightings][-2:] == [since, NOW]


def test_a_worker_does_not_take_an_inherited_state_for_the_beginning_of_its_watch() -> None:
    seen = seen_in_a_worker()
    seen.add(RUNNING, since=INHERITED.since)
    seen.note_change(SPACE)(RUNNING, 90.0)
    assert seen.sightings[-1].since is None


def test_the_latest_sightings_are_kept() -> None:
    sightings = Sightings(Sighting(NOW + timedelta(seconds=each), "t4-small") for each in range(199))
    sightings.add_change(RUNNING, 5.0, NOW + timedelta(hours=1))
    sightings.add_change(RUNNING, 6.0, NOW + timedelta(hours=2))
    kept = list(sightings)
    assert len(kept) == len(sightings.to_list()) == 200
    assert (kept[0].at, kept[-1].at) == (NOW + timedelta(seconds=1), NOW + timedelta(hours=2))


def test_what_a_worker_takes_over_from_a_trigger_is_kept_to_the_same_number() -> None:
    seen = seen_in_a_worker()
    seen.extend([Sighting(NOW + timedelta(seconds=each), "t4-small").to_dict() for each in range(300)])
    assert len(seen.sightings) == 200
    assert seen.sightings[-1].at == NOW + timedelta(seconds=299)


def test_a_trigger_adds_what_it_sees_to_many_earlier_changes(hub: HubEmulator, task_log: TaskLog) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    now = datetime.now(timezone.utc)
    earlier = [Sighting(now - timedelta(seconds=900 - each), None).to_dict() for each in range(150)]
    trigger = SpaceTrigger(
        repo_id=SPACE, goal=Goal(), poll_interval=0.02, deadline=time.time() + 20, changes=earlier
    )
    event = first_event(trigger)
    assert event["changes"][:-1] == earlier
    assert event["changes"][-1]["hardware"] == "t4-small"
    assert f"   0 s  {SPACE} is RUNNING on t4-small" in task_log.text
