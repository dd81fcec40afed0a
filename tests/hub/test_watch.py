"""Many waits, few requests: one watch for all, on an emulated Hub."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub.errors import SpaceNotFound, SpaceWaitFailed, SpaceWaitTimeout
from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
from airflow_provider_hfspaces.hub.http.quota import Pace
from airflow_provider_hfspaces.hub.http.retry import RateBudget
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.hub.waiting.polling import Polling, _Owner, _Space
from airflow_provider_hfspaces.hub.waiting.watch import SpaceWatch

SPACE = "acme/whisper"
GPU = Goal(hardware="t4-small")


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 0}


def watched(hub: HubEmulator, use: Callable[[SpaceWatch], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with AsyncHubClient(hub.token, hub.url) as client:
            watch = SpaceWatch(client)
            try:
                return await asyncio.wait_for(use(watch), 30)
            finally:
                await watch.close()

    return asyncio.run(run())


def asked(hub: HubEmulator) -> Counter[str]:
    """How often for a list, and how often for a Space alone."""
    return Counter(
        "list" if request.path == "/api/spaces" else request.path.rpartition("/")[2]
        for request in hub.requests
    )


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the emulator has no events to wait for
        await asyncio.sleep(0.01)


def upgrade(hub: HubEmulator, *repo_ids: str) -> None:
    for repo_id in repo_ids:
        hub.world.space(repo_id).request_hardware("t4-small", None)


def test_waits_until_a_space_really_runs_there(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    upgrade(hub, SPACE)
    states: list[tuple[str, str | None]] = []

    async def use(watch: SpaceWatch) -> SpaceRuntime:
        def tell(runtime: SpaceRuntime, elapsed: float) -> None:
            states.append((runtime.stage, runtime.hardware))
            hub.advance(125)

        return await watch.wait_for(SPACE, GPU, timeout=10, poll_interval=0.02, on_change=tell)

    assert watched(hub, use).hardware == "t4-small"
    assert states[0] == ("RUNNING", "cpu-basic")
    assert states[-1] == ("RUNNING", "t4-small")


def test_the_first_look_is_at_once_and_who_waits_for_the_same_shares_it(hub: HubEmulator) -> None:
    hub.add_space(SPACE, hardware="t4-small")

    async def use(watch: SpaceWatch) -> list[SpaceRuntime]:
        return await asyncio.gather(
            *(watch.wait_for(SPACE, GPU, timeout=10, poll_interval=3600) for _ in range(20))
        )

    assert len(watched(hub, use)) == 20
    assert asked(hub) == {"runtime": 1}


def test_few_are_asked_about_one_by_one(hub: HubEmulator) -> None:
    names = [f"acme/s{number}" for number in range(3)]
    for name in names:
        hub.add_space(name, hardware="t4-small")

    async def use(watch: SpaceWatch) -> None:
        await asyncio.gather(*(watch.wait_for(name, GPU, timeout=10) for name in names))

    watched(hub, use)
    assert asked(hub) == {"runtime": 3}


def test_many_of_an_owner_are_asked_about_with_one_list(hub: HubEmulator) -> None:
    names = [f"acme/s{number}" for number in range(200)]
    for name in names:
        hub.add_space(name)
    upgrade(hub, *names)

    async def use(watch: SpaceWatch) -> None:
        waits = [
            asyncio.ensure_future(watch.wait_for(name, GPU, timeout=20, poll_interval=0.2)) for name in names
        ]
        await until(lambda: asked(hub)["list"] >= 5)
        assert asked(hub)["runtime"] == 0
        hub.advance(600)
        await asyncio.gather(*waits)

    watched(hub, use)
    # One list after the other, and one look at each Space to make sure.
    assert 200 <= asked(hub)["runtime"] <= 220
    assert asked(hub)["list"] < 50


def test_a_list_that_is_behind_delays_but_does_not_mislead(hub: HubEmulator) -> None:
    names = [f"acme/s{number}" for number in range(20)]
    for name in names:
        hub.add_space(name, hardware="t4-small")
    hub.advance(1000)
    hub.settings.change({"timings": {"list_lag": 500}})
    for name in names:
        hub.world.space(name).do("pause")

    async def use(watch: SpaceWatch) -> list[Any]:
        return await asyncio.gather(
            *(watch.wait_for(name, GPU, timeout=10, poll_interval=0.05) for name in names),
            return_exceptions=True,
        )

    for outcome in watched(hub, use):
        assert isinstance(outcome, SpaceWaitFailed)
        assert "is paused" in str(outcome)


def test_a_space_that_the_list_does_not_show_is_asked_about_directly(hub: HubEmulator) -> None:
    names = [f"acme/s{number}" for number in range(20)]
    for name in names:
        hub.add_space(name, hardware="t4-small")
    hub.rename_space("acme/s0", "elsewhere/s0")
    hub.world.delete_space("acme/s1")

    async def use(watch: SpaceWatch) -> list[Any]:
        return await asyncio.gather(
            *(watch.wait_for(name, GPU, timeout=10, poll_interval=0.05) for name in names),
            return_exceptions=True,
        )

    outcomes = watched(hub, use)
    assert outcomes[0].hardware == "t4-small"
    assert isinstance(outcomes[1], SpaceNotFound)
    assert {type(outcome) for outcome in outcomes[2:]} == {SpaceRuntime}


def test_an_owner_with_more_pages_than_waits_is_not_listed(hub: HubEmulator) -> None:
    for number in range(4200):
        hub.add_space(f"acme/s{number}", likes=4200 - number)
    names = [f"acme/s{number}" for number in range(4190, 4195)]
    upgrade(hub, *names)

    async def use(watch: SpaceWatch) -> None:
        waits = [
            asyncio.ensure_future(watch.wait_for(name, GPU, timeout=20, poll_interval=0.1)) for name in names
        ]
        await until(lambda: asked(hub)["runtime"] >= 30)
        assert asked(hub)["list"] <= 9
        hub.advance(600)
        await asyncio.gather(*waits)

    watched(hub, use)


def test_words_and_kinds_are_those_of_the_hooks_wait(hub: HubEmulator) -> None:
    hub.add_space(SPACE, stage="BUILD_ERROR", error_message="Job failed with exit code: 137")
    hub.add_space("acme/slow", stage="PAUSED")

    async def use(watch: SpaceWatch) -> None:
        with pytest.raises(SpaceWaitFailed, match="does not get to RUNNING: it is in stage BUILD_ERROR: Job"):
            await watch.wait_for(SPACE, Goal(), timeout=10)
        patient = Goal(failed_stages=frozenset())
        with pytest.raises(
            SpaceWaitTimeout,
            match=r"acme/slow is not RUNNING after \d seconds: stage PAUSED\. Look at its logs",
        ):
            await watch.wait_for("acme/slow", patient, timeout=1.5, poll_interval=0.05)
        with pytest.raises(SpaceNotFound):
            await watch.wait_for("acme/nowhere", Goal(), timeout=10)
        assert watch.waits == 0

    watched(hub, use)


def test_a_wait_that_is_late_already_still_gets_its_look(hub: HubEmulator) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    assert watched(hub, lambda watch: watch.wait_for(SPACE, GPU, timeout=-30, elapsed=60)).stage == "RUNNING"


def test_an_outage_is_waited_out(hub: HubEmulator, caplog: pytest.LogCaptureFixture) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    hub.faults.add(kind="status", status=503, times=3)
    assert watched(hub, lambda watch: watch.wait_for(SPACE, GPU, timeout=10, poll_interval=0.05))
    assert caplog.text.count("Looking again later") == 1


def test_one_owners_trouble_is_nobody_elses(hub: HubEmulator) -> None:
    hub.faults.add(kind="silence", path="/api/spaces/broken/")
    hub.add_space("broken/x")
    for number in range(30):
        hub.add_space(f"owner{number}/x", hardware="t4-small")

    async def use(watch: SpaceWatch) -> None:
        stuck = asyncio.ensure_future(watch.wait_for("broken/x", GPU, timeout=20))
        await asyncio.gather(*(watch.wait_for(f"owner{number}/x", GPU, timeout=10) for number in range(30)))
        assert not stuck.done()
        stuck.cancel()

    watched(hub, use)


def test_early_in_a_build_it_looks_half_as_often(hub: HubEmulator) -> None:
    hub.add_space(SPACE, stage="RUNNING_BUILDING", hardware="t4-small")
    now = [0.0]

    async def looks(builds: list[float]) -> list[float]:
        async with AsyncHubClient(hub.token, hub.url) as client:
            polling = Polling(client, Nobody(), clock=lambda: now[0])
            polling.builds.extend(builds)
            owner = _Owner(polling, Nobody(), "acme", lambda: now[0])
            space = _Space(SPACE, 10, 0)
            found = []
            for moment, stage in ((0, "RUNNING"), (5, "BUILDING"), (45, "BUILDING"), (90, "BUILDING")):
                now[0] = moment
                owner._seen(space, SpaceRuntime(stage), moment)
                found.append(space.due - moment)
            await owner.close()
            return found

    assert asyncio.run(looks([120.0, 130.0, 140.0])) == [10, 20, 10, 10]
    assert asyncio.run(looks([120.0])) == [10, 10, 10, 10]


class Nobody:
    """Is told, and does nothing."""

    def saw(self, repo_id: str, runtime: SpaceRuntime, *, certain: bool) -> bool:
        return False

    def lost(self, repo_id: str, error: Exception) -> None:
        """Nothing."""


def test_every_change_is_told_to_who_wants_to_know(hub: HubEmulator) -> None:
    hub.add_space(SPACE)

    async def use(watch: SpaceWatch) -> list[tuple[str | None, str]]:
        seen = []
        async for before, now in watch.changes(SPACE, poll_interval=0.02):
            seen.append((before.stage if before else None, now.stage))
            if len(seen) == 3:
                return seen
            hub.space(SPACE).crash() if now.stage == "RUNNING" else hub.world.space(SPACE).do("pause")
        raise AssertionError

    assert watched(hub, use) == [
        (None, "RUNNING"),
        ("RUNNING", "RUNTIME_ERROR"),
        ("RUNTIME_ERROR", "PAUSED"),
    ]


def test_another_source_of_truth_can_take_pollings_place(hub: HubEmulator) -> None:
    class Oracle:
        def __init__(self, told: Any) -> None:
            self.told, self.closed = told, False

        def follow(self, repo_id: str, interval: float) -> None:
            runtime = SpaceRuntime("RUNNING", "t4-small", "t4-small")
            asyncio.get_running_loop().call_soon(lambda: self.told.saw(repo_id, runtime, certain=True))

        def leave(self, repo_id: str) -> None:
            self.closed = True

        async def close(self) -> None:
            self.closed = True

    async def run() -> SpaceRuntime:
        async with AsyncHubClient(hub.token, hub.url) as client:
            watch = SpaceWatch(client, source=Oracle)
            return await watch.wait_for(SPACE, GPU, timeout=5)

    assert asyncio.run(run()).hardware == "t4-small"
    assert hub.requests == []


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class TestPace:
    def pace(self, clock: Clock, quota: int = 1000, **options: Any) -> Pace:
        budget = RateBudget(clock)
        budget.learn(
            {
                "ratelimit": f'"api";r={quota};t=300',
                "ratelimit-policy": f'"fixed window";"api";q={quota};w=300',
            },
            200,
        )
        return Pace(budget, clock=clock, sleep=clock.sleep, **options)

    def taken(self, pace: Pace, clock: Clock, seconds: float) -> int:
        async def take() -> int:
            end, taken = clock.now + seconds, 0
            while True:
                await pace.turn()
                if clock.now > end:
                    return taken
                taken += 1

        return asyncio.run(take())

    @pytest.mark.parametrize("quota", [100, 1000, 2500])
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_no_window_ever_sees_more_than_the_share(self, quota: int, share: float) -> None:
        clock = Clock()
        pace = self.pace(clock, quota, share=share)
        for _ in range(3):
            assert share * quota * 0.6 < self.taken(pace, clock, 300) <= share * quota + 1

    def test_some_may_go_at_once_and_a_slow_down_is_told_once(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        clock = Clock()
        pace = self.pace(clock)
        assert pace.has_room(100)
        assert self.taken(pace, clock, 0.001) >= 150
        assert not pace.has_room(10)
        self.taken(pace, clock, 300)
        assert caplog.text.count("slowed down to one request in 0.9 seconds, to stay within 50 %") == 1

    def test_what_others_use_up_is_left_to_them(self) -> None:
        clock = Clock()
        pace = self.pace(clock)
        end, left = clock.now + 150, 60

        async def take() -> None:
            nonlocal left
            while clock.now < end:
                reset = max(int(end - clock.now), 1)
                pace.budget.learn({"ratelimit": f'"api";r={left};t={reset}'}, 200)
                await pace.turn()
                left -= 1

        asyncio.run(take())
        assert 10 < left < 40

    def test_a_share_is_a_share(self) -> None:
        with pytest.raises(ValueError, match="above 0 and at most 1"):
            Pace(RateBudget(), share=0)


def test_owners_beyond_the_quota_are_served_evenly_within_the_share(hub: HubEmulator) -> None:
    hub.set_quota(200, window=2)
    names = [f"owner{number}/x" for number in range(40)]
    for name in names:
        hub.add_space(name)

    async def use(watch: SpaceWatch) -> None:
        waits = [
            asyncio.ensure_future(watch.wait_for(name, GPU, timeout=20, poll_interval=0.05)) for name in names
        ]
        await until(lambda: len(hub.requests) >= 240)
        for wait in waits:
            wait.cancel()

    watched(hub, use)
    looks = Counter(request.path for request in hub.requests)
    average = looks.total() / len(names)
    # An answer that is late keeps its own owner waiting, and nobody else.
    assert all(average / 3 <= looks[f"/api/spaces/{name}/runtime"] <= 2 * average for name in names)
    assert {request.status for request in hub.requests} == {200}


def test_nothing_goes_on_after_a_wait_that_is_given_up_as_something_happens(hub: HubEmulator) -> None:
    hub.add_space(SPACE)

    async def use(watch: SpaceWatch) -> set[str]:
        for steps in range(6):
            wait = asyncio.ensure_future(watch.wait_for(SPACE, GPU, timeout=10, poll_interval=5))
            looks = len(hub.requests)
            await until(lambda looks=looks: len(hub.requests) > looks)  # type: ignore[misc]
            await asyncio.sleep(0.1)
            (owner,) = watch._source._owners.values()  # type: ignore[attr-defined]
            wait.cancel()
            for _ in range(steps // 2):
                await asyncio.sleep(0)
            owner._woken.set()
            for _ in range(steps % 2):
                await asyncio.sleep(0)
            await asyncio.wait({wait})
        await asyncio.sleep(0.05)
        return {task.get_coro().__qualname__ for task in asyncio.all_tasks() if "_Owner" in str(task)}

    assert watched(hub, use) == set()
