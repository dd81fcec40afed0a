"""Waits without an interval look as often as the quota allows, in virtual time against the emulated Hub."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.errors import SpaceWaitFailed
from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
from airflow_provider_hfspaces.hub.http.pace import Pace
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.hub.waiting.watch import SpaceWatch

T = TypeVar("T")

GPU = Goal(hardware="t4-small")
WINDOW = 300
POLL_SECONDS = 10


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 0}


MOST_TURNS = 120
"""More turns of the event loop than the watch takes for a list of a thousand Spaces."""


class Timeline:
    """Virtual time, in which coroutines sleep side by side. It stands still while a request is under way.

    :ivar under_way: the number of requests that are not answered yet.
    :ivar looks: the path and the moment of each request about one Space.
    """

    def __init__(self) -> None:
        self.now = 4.0 * WINDOW
        self.under_way = 0
        self.looks: list[tuple[str, float]] = []
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), sleeper))
        await sleeper

    async def run(self, work: Awaitable[T]) -> T:
        """Run until the work is done."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await self._settle()
            if self._sleepers:
                at, _, sleeper = heapq.heappop(self._sleepers)
                self.now = max(self.now, at)
                if not sleeper.done():
                    sleeper.set_result(None)
        return task.result()

    async def _settle(self) -> None:
        """Run all coroutines that are ready, such as the reader of a long list, which takes many turns."""
        turns = 0
        while turns < MOST_TURNS:
            await asyncio.sleep(0.0005 if self.under_way else 0)
            turns = 0 if self.under_way else turns + 1


class TimedClient(AsyncHubClient):
    """A client that tells a timeline which requests are under way."""

    def __init__(self, token: str, endpoint: str, timeline: Timeline) -> None:
        super().__init__(token, endpoint, clock=timeline, sleep=timeline.sleep)
        self._timeline = timeline

    async def send(self, call: Call[T], *, retry: RetryPolicy | None = None) -> T:
        self._timeline.looks.append((call.path, self._timeline.now))
        self._timeline.under_way += 1
        try:
            return await super().send(call, retry=retry)
        finally:
            self._timeline.under_way -= 1

    async def pages(self, call: Call[T], *, retry: RetryPolicy | None = None) -> AsyncIterator[T]:
        pages = super().pages(call, retry=retry)
        while True:
            self._timeline.under_way += 1
            try:
                page = await anext(pages)
            except StopAsyncIteration:
                return
            finally:
                self._timeline.under_way -= 1
            yield page


def use_watch(
    hub: HubEmulator, use: Callable[[SpaceWatch, Timeline], Awaitable[T]], *, quota: int = 1000
) -> T:
    """Use a watch in virtual time, with the quota of a free account."""
    timeline = Timeline()
    hub.set_quota(quota)
    hub.world.limits.clock = timeline

    async def run() -> T:
        async with TimedClient(hub.token, hub.url, timeline) as client:
            pace = Pace(client.budget, clock=timeline, sleep=timeline.sleep)
            watch = SpaceWatch(client, pace=pace, clock=timeline, sleep=timeline.sleep)
            try:
                return await asyncio.wait_for(timeline.run(use(watch, timeline)), 60)
            finally:
                await watch.close()

    return asyncio.run(run())


def add_building_spaces(hub: HubEmulator, names: Sequence[str]) -> None:
    for name in names:
        hub.add_space(name, stage="BUILDING", hardware="t4-small")


async def start_app(hub: HubEmulator, timeline: Timeline, name: str, after: float) -> float:
    """Let a Space run after some seconds. Returns the moment."""
    await timeline.sleep(after)
    with hub.world.lock:
        for event in ("built", "started"):
            hub.world.space(name).do(event)
    return timeline.now


async def moment_of_arrival(watch: SpaceWatch, timeline: Timeline, name: str, **options: Any) -> float:
    """Wait for a Space. Returns the moment at which the wait ends."""
    await watch.wait_for(name, GPU, timeout=86_400, **options)
    return timeline.now


def statuses(hub: HubEmulator) -> set[int]:
    return {request.status for request in hub.requests}


def per_window(hub: HubEmulator, moments: Sequence[float]) -> Counter[int]:
    return Counter(int(moment // WINDOW) for moment in moments)


@pytest.mark.parametrize("quota", [1000, 2500])
def test_fifty_waits_of_one_owner_end_within_seconds_and_cost_a_third_of_polling(
    hub: HubEmulator, quota: int
) -> None:
    names = [f"acme/s{number}" for number in range(50)]
    add_building_spaces(hub, names)
    draw = random.Random(7)
    lasting = [draw.uniform(10, 60) for _ in names]

    async def use(watch: SpaceWatch, timeline: Timeline) -> list[float]:
        waits = [asyncio.ensure_future(moment_of_arrival(watch, timeline, name)) for name in names]
        starts = [
            asyncio.ensure_future(start_app(hub, timeline, name, seconds))
            for name, seconds in zip(names, lasting, strict=True)
        ]
        ends, began = await asyncio.gather(*waits), await asyncio.gather(*starts)
        return [end - begin for end, begin in zip(ends, began, strict=True)]

    delays = sorted(use_watch(hub, use, quota=quota))
    assert delays[0] >= 0
    assert delays[25] <= 1.5
    assert delays[-1] <= 4
    polls = sum(2 + seconds // POLL_SECONDS for seconds in lasting)
    assert len(hub.requests) <= polls / 3
    assert statuses(hub) == {200}


def test_a_thousand_waits_of_one_owner_stay_within_the_share_of_a_free_account(hub: HubEmulator) -> None:
    names = [f"acme/s{number}" for number in range(1000)]
    add_building_spaces(hub, names)

    async def use(watch: SpaceWatch, timeline: Timeline) -> list[float]:
        waits = [asyncio.ensure_future(moment_of_arrival(watch, timeline, name)) for name in names]
        starts = [
            asyncio.ensure_future(start_app(hub, timeline, name, 5.0 * number))
            for number, name in enumerate(names[:12])
        ]
        began, ends = await asyncio.gather(*starts), await asyncio.gather(*waits[:12])
        for wait in waits:
            wait.cancel()
        return [end - begin for end, begin in zip(ends, began, strict=True)]

    delays = sorted(use_watch(hub, use))
    # A list of a thousand Spaces has five pages, for which the share of the quota lasts every 4.3 seconds.
    assert delays[len(delays) // 2] <= 4.3
    assert delays[-1] <= 8.6
    assert statuses(hub) == {200}
    # The first round, and one about every 4.3 seconds.
    assert len(hub.requests) <= 150 + 60 * 350 / 300


def test_arrivals_that_the_quota_cannot_confirm_one_by_one_end_with_the_lists(hub: HubEmulator) -> None:
    names = [f"acme/s{number}" for number in range(1000)]
    add_building_spaces(hub, names)
    draw = random.Random(7)

    async def use(watch: SpaceWatch, timeline: Timeline) -> list[float]:
        waits = [asyncio.ensure_future(moment_of_arrival(watch, timeline, name)) for name in names]
        starts = [
            asyncio.ensure_future(start_app(hub, timeline, name, draw.uniform(10, 60))) for name in names
        ]
        began, ends = await asyncio.gather(*starts), await asyncio.gather(*waits)
        return [end - begin for end, begin in zip(ends, began, strict=True)]

    delays = sorted(use_watch(hub, use))
    assert delays[len(delays) // 2] < 6
    assert delays[-1] < 25
    assert statuses(hub) == {200}
    assert len(hub.requests) < len(names) / 3


def test_waits_of_many_owners_are_looked_at_evenly_within_the_share(hub: HubEmulator) -> None:
    names = [f"owner{number}/x" for number in range(120)]
    add_building_spaces(hub, names)

    async def use(watch: SpaceWatch, timeline: Timeline) -> None:
        waits = [asyncio.ensure_future(moment_of_arrival(watch, timeline, name)) for name in names]
        await timeline.sleep(WINDOW - 1)
        for wait in waits:
            wait.cancel()

    use_watch(hub, use)
    assert statuses(hub) == {200}
    assert len(hub.requests) <= 500
    looks = Counter(request.path for request in hub.requests)
    assert {looks[f"/api/spaces/{name}/runtime"] for name in names} <= {3, 4, 5}


class TestLists:
    """When an arrival that a list shows ends a wait, and when the Space itself has to confirm it."""

    names = [f"acme/s{number}" for number in range(8)]

    def count_confirmations(
        self, hub: HubEmulator, after: float, end: Callable[[str], None], **options: Any
    ) -> tuple[list[Any], int]:
        """Wait for eight Spaces that change after some seconds. Returns the outcomes, and how often a Space
        itself was requested."""
        add_building_spaces(hub, self.names)

        async def use(watch: SpaceWatch, timeline: Timeline) -> list[Any]:
            waits = [
                asyncio.ensure_future(watch.wait_for(name, GPU, timeout=600, **options))
                for name in self.names
            ]
            await timeline.sleep(after)
            with hub.world.lock:
                for name in self.names:
                    end(name)
            return await asyncio.gather(*waits, return_exceptions=True)

        outcomes = use_watch(hub, use)
        return outcomes, sum(request.path.endswith("/runtime") for request in hub.requests)

    def run_app(self, hub: HubEmulator) -> Callable[[str], None]:
        def run(name: str) -> None:
            for event in ("built", "started"):
                hub.world.space(name).do(event)

        return run

    @pytest.mark.parametrize(("after", "requests"), [(15, 8), (45, 0)])
    def test_an_arrival_is_believed_when_the_wait_is_older_than_lists_lag(
        self, hub: HubEmulator, after: float, requests: int
    ) -> None:
        outcomes, confirmations = self.count_confirmations(hub, after, self.run_app(hub))
        assert {outcome.hardware for outcome in outcomes} == {"t4-small"}
        assert confirmations == requests

    def test_a_failure_is_always_confirmed(self, hub: HubEmulator) -> None:
        outcomes, confirmations = self.count_confirmations(
            hub, 45, lambda name: hub.world.space(name).do("pause")
        )
        assert {type(outcome) for outcome in outcomes} == {SpaceWaitFailed}
        assert confirmations == 8

    def test_lists_that_were_wrong_once_are_believed_no_more(self, hub: HubEmulator) -> None:
        # The list is 100 seconds behind: it still shows these Spaces on the GPU, from which they are moved.
        for name in self.names:
            hub.add_space(name, hardware="t4-small")
        hub.advance(1000)
        hub.settings.change({"timings": {"list_lag": 100, "build": 10_000}})
        for name in self.names:
            hub.world.space(name).do("restart")

        async def use(watch: SpaceWatch, timeline: Timeline) -> list[SpaceRuntime]:
            waits = [asyncio.ensure_future(watch.wait_for(name, GPU, timeout=600)) for name in self.names]
            await timeline.sleep(20)
            hub.advance(200)
            await timeline.sleep(40)
            assert not any(wait.done() for wait in waits)
            with hub.world.lock:
                for name in self.names:
                    self.run_app(hub)(name)
            hub.advance(200)
            before = len(hub.requests)
            ends = await asyncio.gather(*waits)
            assert sum(each.path.endswith("/runtime") for each in hub.requests[before:]) >= len(self.names)
            return ends

        assert {runtime.stage for runtime in use_watch(hub, use)} == {"RUNNING"}

    def test_a_list_that_has_not_shown_the_space_on_its_way_is_confirmed_however_old_the_wait(
        self, hub: HubEmulator
    ) -> None:
        names = self.names
        for name in names:
            hub.add_space(name, hardware="t4-small")

        async def use(watch: SpaceWatch, timeline: Timeline) -> None:
            await asyncio.gather(*(watch.wait_for(name, GPU, timeout=600, elapsed=300) for name in names))

        use_watch(hub, use)
        assert sum(request.path.endswith("/runtime") for request in hub.requests) == len(names)


@pytest.mark.parametrize(("owners", "seconds"), [(1, 2.0), (2, 2.0), (10, 10 / (350 / 300))])
def test_the_interval_grows_with_the_number_of_owners(hub: HubEmulator, owners: int, seconds: float) -> None:
    names = [f"owner{number}/x" for number in range(owners)]
    add_building_spaces(hub, names)

    async def use(watch: SpaceWatch, timeline: Timeline) -> int:
        waits = [asyncio.ensure_future(moment_of_arrival(watch, timeline, name)) for name in names]
        await timeline.sleep(seconds)
        before = len(timeline.looks)
        await timeline.sleep(10 * seconds)
        for wait in waits:
            wait.cancel()
        return len(timeline.looks) - before

    assert use_watch(hub, use) == pytest.approx(10 * owners, abs=owners)


def test_a_number_still_means_what_it_says(hub: HubEmulator) -> None:
    add_building_spaces(hub, ["acme/x", "other/y"])

    def of_x(timeline: Timeline, begin: float, end: float) -> int:
        return sum(path.endswith("acme/x/runtime") and begin <= at < end for path, at in timeline.looks)

    async def use(watch: SpaceWatch, timeline: Timeline) -> tuple[int, int, int]:
        patient = asyncio.ensure_future(moment_of_arrival(watch, timeline, "acme/x", poll_interval=20))
        other = asyncio.ensure_future(moment_of_arrival(watch, timeline, "other/y"))
        began = timeline.now
        await timeline.sleep(101)
        # A second wait for the same Space, without an interval, makes the looks more frequent while it lasts.
        hasty = asyncio.ensure_future(moment_of_arrival(watch, timeline, "acme/x"))
        await timeline.sleep(20)
        hasty.cancel()
        await timeline.sleep(104)
        assert not patient.done()
        patient.cancel()
        other.cancel()
        return (
            of_x(timeline, began, began + 101),
            of_x(timeline, began + 101, began + 121),
            of_x(timeline, began + 124, began + 224),
        )

    alone, together, afterwards = use_watch(hub, use)
    assert alone == 6
    assert together == pytest.approx(10, abs=1)
    assert afterwards == 5


def test_no_turn_of_the_event_loop_handles_more_than_a_few_spaces(hub: HubEmulator) -> None:
    names = [f"acme/s{number}" for number in range(400)]
    add_building_spaces(hub, names)
    turns: Counter[int] = Counter()

    async def use(watch: SpaceWatch, timeline: Timeline) -> None:
        turn = 0

        async def count() -> None:
            nonlocal turn
            while True:
                await asyncio.sleep(0)
                turn += 1

        def note(runtime: SpaceRuntime, elapsed: float) -> None:
            turns[turn] += 1

        counting = asyncio.ensure_future(count())
        waits = [
            asyncio.ensure_future(watch.wait_for(name, GPU, timeout=86_400, on_change=note)) for name in names
        ]
        while turns.total() < len(names):
            await timeline.sleep(1)
        for wait in waits:
            wait.cancel()
        counting.cancel()

    use_watch(hub, use)
    assert max(turns.values()) <= 25
