"""Many waits share one watch: it sends few requests, and no wait affects another."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import json
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.errors import (
    HubProtocolError,
    HubUnavailable,
    SpaceNotFound,
    SpaceWaitFailed,
    SpaceWaitTimeout,
)
from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
from airflow_provider_hfspaces.hub.http.pace import Pace
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.hub.waiting.watch import SpaceWatch
from tests.stub import Say, StubHub

SPACE = "acme/whisper"
GPU = Goal(hardware="t4-small")


class Clock:
    """Virtual time, which passes only during sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 0}


def use_watch(
    hub: HubEmulator | StubHub, use: Callable[[SpaceWatch], Awaitable[Any]], clock: Clock | None = None
) -> Any:
    """Use a watch, in virtual time if there is a clock."""

    async def run() -> Any:
        token = "hf_stubstubstub" if isinstance(hub, StubHub) else hub.token
        async with AsyncHubClient(token, hub.url) as client:
            options: dict[str, Any] = {"clock": clock, "sleep": clock.sleep} if clock else {}
            pace = Pace(client.budget, **options)
            watch = SpaceWatch(client, pace=pace, **options)
            try:
                return await asyncio.wait_for(use(watch), 30)
            finally:
                await watch.close()

    return asyncio.run(run())


def requests_of(hub: HubEmulator) -> Counter[str]:
    """Returns the number of requests for lists, and for single Spaces."""
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


def test_waits_until_a_space_runs_on_the_requested_hardware(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    upgrade(hub, SPACE)
    states: list[tuple[str, str | None]] = []

    async def use(watch: SpaceWatch) -> SpaceRuntime:
        def tell(runtime: SpaceRuntime, elapsed: float) -> None:
            states.append((runtime.stage, runtime.hardware))
            hub.advance(125)

        return await watch.wait_for(SPACE, GPU, timeout=10, poll_interval=0.02, on_change=tell)

    assert use_watch(hub, use).hardware == "t4-small"
    assert states[0] == ("RUNNING", "cpu-basic")
    assert states[-1] == ("RUNNING", "t4-small")


def test_the_first_look_is_at_once_and_shared_by_all_waits_for_the_space(hub: HubEmulator) -> None:
    hub.add_space(SPACE, hardware="t4-small")

    async def use(watch: SpaceWatch) -> list[SpaceRuntime]:
        return await asyncio.gather(
            *(watch.wait_for(SPACE, GPU, timeout=10, poll_interval=3600) for _ in range(20))
        )

    assert len(use_watch(hub, use)) == 20
    assert requests_of(hub) == {"runtime": 1}


def test_a_few_spaces_are_looked_at_one_by_one(hub: HubEmulator) -> None:
    names = [f"acme/s{number}" for number in range(3)]
    for name in names:
        hub.add_space(name, hardware="t4-small")

    async def use(watch: SpaceWatch) -> None:
        await asyncio.gather(*(watch.wait_for(name, GPU, timeout=10) for name in names))

    use_watch(hub, use)
    assert requests_of(hub) == {"runtime": 3}


def test_many_spaces_of_an_owner_are_read_from_one_list(hub: HubEmulator) -> None:
    names = [f"acme/s{number}" for number in range(200)]
    for name in names:
        hub.add_space(name)
    upgrade(hub, *names)

    async def use(watch: SpaceWatch) -> None:
        waits = [
            asyncio.ensure_future(watch.wait_for(name, GPU, timeout=20, poll_interval=0.2)) for name in names
        ]
        await until(lambda: requests_of(hub)["list"] >= 5)
        assert requests_of(hub)["runtime"] == 0
        hub.advance(600)
        await asyncio.gather(*waits)

    use_watch(hub, use)
    # One list after the other, and one look at each Space to make sure.
    assert 200 <= requests_of(hub)["runtime"] <= 220
    assert requests_of(hub)["list"] < 50


def test_a_list_that_lags_behind_delays_a_wait_but_does_not_mislead_it(hub: HubEmulator) -> None:
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

    for outcome in use_watch(hub, use):
        assert isinstance(outcome, SpaceWaitFailed)
        assert "is paused" in str(outcome)


def test_a_space_that_is_not_in_the_list_is_looked_at_alone(hub: HubEmulator) -> None:
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

    outcomes = use_watch(hub, use)
    assert outcomes[0].hardware == "t4-small"
    assert isinstance(outcomes[1], SpaceNotFound)
    assert {type(outcome) for outcome in outcomes[2:]} == {SpaceRuntime}


def test_an_owner_with_more_pages_than_waits_is_not_listed(hub: HubEmulator) -> None:
    for number in range(1600):
        hub.add_space(f"acme/s{number}", likes=1600 - number)
    names = [f"acme/s{number}" for number in range(1590, 1595)]
    upgrade(hub, *names)

    async def use(watch: SpaceWatch) -> None:
        waits = [
            asyncio.ensure_future(watch.wait_for(name, GPU, timeout=20, poll_interval=0.1)) for name in names
        ]
        await until(lambda: requests_of(hub)["runtime"] >= 30)
        assert requests_of(hub)["list"] <= 9
        hub.advance(600)
        await asyncio.gather(*waits)

    use_watch(hub, use)


def test_a_watch_raises_the_errors_of_the_hooks_wait(hub: HubEmulator) -> None:
    hub.add_space(SPACE, stage="BUILD_ERROR", error_message="Job failed with exit code: 137")
    hub.add_space("acme/slow", stage="PAUSED")

    async def use(watch: SpaceWatch) -> None:
        with pytest.raises(SpaceWaitFailed, match=r"did not reach RUNNING: its build failed .* Job failed"):
            await watch.wait_for(SPACE, Goal(), timeout=10)
        patient = Goal(failed_stages=frozenset())
        with pytest.raises(
            SpaceWaitTimeout,
            match=r"acme/slow did not reach RUNNING in \d seconds: stage PAUSED\. Raise timeout",
        ):
            await watch.wait_for("acme/slow", patient, timeout=3, poll_interval=0.05)
        with pytest.raises(SpaceNotFound):
            await watch.wait_for("acme/nowhere", Goal(), timeout=10)
        assert watch.waits == 0

    use_watch(hub, use)


def test_a_wait_that_is_over_when_it_begins_gets_one_look(hub: HubEmulator) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    assert use_watch(hub, lambda watch: watch.wait_for(SPACE, GPU, timeout=30, elapsed=60)).stage == "RUNNING"


def test_an_outage_is_waited_out(hub: HubEmulator, caplog: pytest.LogCaptureFixture) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    hub.faults.add(kind="status", status=503, times=3)
    assert use_watch(hub, lambda watch: watch.wait_for(SPACE, GPU, timeout=10, poll_interval=0.05))
    assert caplog.text.count("The wait continues") == 1


def test_errors_for_one_owner_delay_no_other_owner(hub: HubEmulator) -> None:
    hub.faults.add(kind="silence", path="/api/spaces/broken/")
    hub.add_space("broken/x")
    for number in range(30):
        hub.add_space(f"owner{number}/x", hardware="t4-small")

    async def use(watch: SpaceWatch) -> None:
        other_wait = asyncio.ensure_future(watch.wait_for("broken/x", GPU, timeout=20))
        await asyncio.gather(*(watch.wait_for(f"owner{number}/x", GPU, timeout=10) for number in range(30)))
        assert not other_wait.done()
        other_wait.cancel()

    use_watch(hub, use)


def test_a_build_is_looked_at_half_as_often_in_its_first_half() -> None:
    def say(stage: str, hardware: str = "cpu-basic") -> Say:
        return Say(200, {"stage": stage, "hardware": {"current": hardware, "requested": "t4-small"}})

    earlier_builds = [say("RUNNING"), *[*[say("BUILDING")] * 12, say("RUNNING")] * 3]
    clock = Clock()
    seconds: list[float] = []

    def note(runtime: SpaceRuntime, elapsed: float) -> None:
        seconds.append(elapsed)

    with StubHub(*earlier_builds, *[say("BUILDING")] * 3, otherwise=say("RUNNING", "t4-small")) as stub:
        use_watch(
            stub,
            lambda watch: watch.wait_for(SPACE, GPU, timeout=20, poll_interval=10, on_change=note),
            clock,
        )
    lengths = [later - earlier for earlier, later in itertools.pairwise(seconds)]
    assert lengths == pytest.approx([10, 120, 10, 120, 10, 120, 10, 20 + 20 + 10], abs=1)


def test_every_change_is_reported(hub: HubEmulator) -> None:
    hub.add_space(SPACE)

    async def use(watch: SpaceWatch) -> list[tuple[str | None, str]]:
        changes = []
        async for before, now in watch.changes(SPACE, poll_interval=0.02):
            changes.append((before.stage if before else None, now.stage))
            if len(changes) == 3:
                return changes
            hub.space(SPACE).crash() if now.stage == "RUNNING" else hub.world.space(SPACE).do("pause")
        raise AssertionError

    assert use_watch(hub, use) == [
        (None, "RUNNING"),
        ("RUNNING", "RUNTIME_ERROR"),
        ("RUNTIME_ERROR", "PAUSED"),
    ]


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

    use_watch(hub, use)
    looks = Counter(request.path for request in hub.requests)
    average = looks.total() / len(names)
    # A late answer delays only the waits of its own owner.
    assert all(average / 3 <= looks[f"/api/spaces/{name}/runtime"] <= 2 * average for name in names)
    assert {request.status for request in hub.requests} == {200}


def test_a_cancelled_wait_leaves_nothing_running(hub: HubEmulator) -> None:
    hub.add_space(SPACE)

    async def use(watch: SpaceWatch) -> set[str]:
        for steps in range(6):
            wait = asyncio.ensure_future(watch.wait_for(SPACE, GPU, timeout=10, poll_interval=0.01))
            looks = len(hub.requests)
            await until(lambda looks=looks: len(hub.requests) > looks + 1)  # type: ignore[misc]
            for _ in range(steps):
                await asyncio.sleep(0)
            wait.cancel()
            await asyncio.wait({wait})
        await until(lambda: not running())
        return running()

    def running() -> set[str]:
        return {task.get_name() for task in asyncio.all_tasks() if "acme" in task.get_name()}

    assert use_watch(hub, use) == set()


def test_a_wait_with_a_short_interval_speeds_up_the_others_only_while_it_lasts() -> None:
    def say(stage: str) -> Say:
        return Say(200, {"stage": stage, "hardware": {"current": "cpu-basic", "requested": "cpu-basic"}})

    clock = Clock()

    async def use(watch: SpaceWatch) -> float:
        patient = asyncio.ensure_future(
            watch.wait_for(SPACE, Goal(stages=frozenset({"PAUSED"})), timeout=20, poll_interval=100)
        )
        await watch.wait_for(SPACE, Goal(), timeout=20, poll_interval=1)
        began = clock.now
        await patient
        return clock.now - began

    with StubHub(
        say("BUILDING"), say("BUILDING"), say("RUNNING"), say("RUNNING"), otherwise=say("PAUSED")
    ) as hub:
        assert use_watch(hub, use, clock) > 100


class TestWhateverOneWaitDoes:
    """No other wait notices, neither those under way nor later ones."""

    @pytest.mark.parametrize("spaces", [2, 12], ids=["looked at one by one", "read from a list"])
    @pytest.mark.parametrize("poll_interval", ["ten", "", -1, float("nan"), [], object()])
    def test_a_poll_interval_that_is_not_valid_is_refused(
        self, hub: HubEmulator, spaces: int, poll_interval: Any
    ) -> None:
        names = [f"acme/s{number}" for number in range(spaces)]
        for name in names:
            hub.add_space(name)
        upgrade(hub, *names)

        async def use(watch: SpaceWatch) -> None:
            good = [
                asyncio.ensure_future(watch.wait_for(name, GPU, timeout=20, poll_interval=0.05))
                for name in names
            ]
            await until(lambda: len(hub.requests) >= 2)
            with pytest.raises(InvalidInput, match=r"^poll_interval must be"):
                await watch.wait_for(names[0], GPU, timeout=10, poll_interval=poll_interval)
            assert watch.waits == spaces
            hub.advance(600)
            await asyncio.gather(*good)
            assert await watch.wait_for(names[0], GPU, timeout=10, poll_interval="0.05")  # type: ignore[arg-type]

        use_watch(hub, use)

    @pytest.mark.parametrize("spaces", [1, 12], ids=["looked at one by one", "read from a list"])
    @pytest.mark.parametrize("error", [TypeError("broken"), StopIteration("broken")], ids=["type", "stop"])
    def test_an_unexpected_error_ends_only_its_own_wait(
        self, hub: HubEmulator, spaces: int, error: Exception
    ) -> None:
        names = [f"acme/s{number}" for number in range(spaces)]
        for name in names:
            hub.add_space(name)
        upgrade(hub, *names)

        def break_down(runtime: SpaceRuntime, elapsed: float) -> None:
            raise error

        async def use(watch: SpaceWatch) -> None:
            good = [
                asyncio.ensure_future(watch.wait_for(name, GPU, timeout=20, poll_interval=0.05))
                for name in names
            ]
            with pytest.raises((TypeError, RuntimeError), match="broken"):
                await watch.wait_for(names[0], GPU, timeout=10, poll_interval=0.05, on_change=break_down)
            hub.advance(600)
            await asyncio.gather(*good)

        use_watch(hub, use)


def test_a_timeout_beside_many_waits_names_the_stage_from_the_list(hub: HubEmulator) -> None:
    hub.settings.change({"timings": {"build": 10**6}})
    names = [f"acme/s{number}" for number in range(12)]
    for name in names:
        hub.add_space(name, stage="BUILDING")

    async def use(watch: SpaceWatch) -> list[Any]:
        waits = [watch.wait_for(name, Goal(), timeout=3, poll_interval=0.05) for name in names]
        return await asyncio.gather(*waits, return_exceptions=True)

    for outcome in use_watch(hub, use):
        assert isinstance(outcome, SpaceWaitTimeout)
        assert "seconds: stage BUILDING." in str(outcome)
        assert outcome.runtime is not None
    assert requests_of(hub)["runtime"] == 0


def test_a_commit_that_only_the_space_itself_reports_is_reached_beside_many_waits(hub: HubEmulator) -> None:
    names = [f"acme/s{number}" for number in range(12)]
    spaces = [hub.add_space(name) for name in names]

    async def use(watch: SpaceWatch) -> None:
        goals = [Goal(sha=space.runtime().sha) for space in spaces]
        waits = [
            watch.wait_for(name, goal, timeout=10, poll_interval=0.05)
            for name, goal in zip(names, goals, strict=True)
        ]
        await asyncio.gather(*waits)

    use_watch(hub, use)


wait_name: contextvars.ContextVar[str] = contextvars.ContextVar("wait_name", default="no wait")


def test_a_wait_logs_in_its_own_context(hub: HubEmulator) -> None:
    hub.faults.add(kind="status", status=503, times=1)
    names = [f"acme/s{number}" for number in range(12)]
    for name in names:
        hub.add_space(name)
    upgrade(hub, *names)
    records: list[tuple[str, str, str]] = []
    warnings: list[str] = []

    class Warned(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            warnings.append(wait_name.get())

    async def wait(watch: SpaceWatch, name: str) -> None:
        wait_name.set(f"wait for {name}")

        def note(runtime: SpaceRuntime, elapsed: float) -> None:
            records.append((wait_name.get(), name, f"{runtime.stage} on {runtime.hardware}"))

        await watch.wait_for(name, GPU, timeout=20, poll_interval=0.05, on_change=note)

    async def use(watch: SpaceWatch) -> None:
        waits = [asyncio.ensure_future(wait(watch, name)) for name in names]
        await until(lambda: len(records) >= len(names))
        hub.advance(600)
        await asyncio.gather(*waits)

    handler = Warned(logging.WARNING)
    logger = logging.getLogger("airflow_provider_hfspaces.hub.waiting")
    logger.addHandler(handler)
    try:
        use_watch(hub, use)
    finally:
        logger.removeHandler(handler)
    assert {context for context, name, _ in records if context != f"wait for {name}"} == set()
    assert len(records) == len(set(records))
    assert sorted(warnings) == sorted(f"wait for {name}" for name in names)


def a_malformed_answer(draw: random.Random) -> Say:
    """Returns an answer to a request for a runtime that the Hub would not give."""
    odd: list[Any] = [None, 0, -1, True, "", "x" * 5000, [], {}, [[]], {"a": {}}, 10**400]
    runtime = {"stage": "BUILDING", "hardware": {"current": "cpu-basic", "requested": "cpu-basic"}}
    field = draw.choice(["stage", "hardware", "gcTimeout", "replicas", "volumes", "domains", "sha"])
    body = json.dumps({**runtime, field: draw.choice(odd)})
    headers = {"Content-Type": "application/json"}
    match draw.randrange(5):
        case 0:
            body = body[: draw.randrange(len(body))]
        case 1:
            body = draw.choice("[{") * draw.randint(1, 50_000)
        case 2:
            headers["Content-Type"] = draw.choice(
                ["", "application/json; charset=klingon", "text/html", ";;"]
            )
        case 3:
            headers["RateLimit"] = f'"api";r={"9" * draw.randint(1, 5000)};t={"9" * draw.randint(1, 5000)}'
        case _:
            headers["Retry-After"] = draw.choice(["\xb2", "-1", "soon", "9" * 5000])
    return Say(draw.choice([200, 200, 200, 201, 500, 503]), body, headers)


class TestAnswersThatCannotBeRead:
    """They cost the usual back-off and end no other wait."""

    def runtime(self, stage: str = "RUNNING") -> Say:
        return Say(200, {"stage": stage, "hardware": {"current": "t4-small", "requested": "t4-small"}})

    @pytest.mark.parametrize(
        "body",
        ["[" * 100_000, "{", '{"stage": null}', '{"stage": "RUNNING", "gcTimeout": 1e999}', "[]", "null"],
        ids=["deep nesting", "cut off", "no stage", "infinite sleep time", "a list", "null"],
    )
    def test_a_malformed_answer_is_followed_by_a_pause_and_the_wait_continues(self, body: str) -> None:
        clock = Clock()
        malformed_answer = Say(200, body, {"Content-Type": "application/json"})
        with StubHub(*[malformed_answer] * 3, otherwise=self.runtime()) as stub:
            wait = lambda watch: watch.wait_for(SPACE, GPU, timeout=20, poll_interval=10)  # noqa: E731
            assert use_watch(stub, wait, clock).stage == "RUNNING"
            assert len(stub.requests) == 4
        assert clock.now >= 1000 + 10 + 20 + 40

    @pytest.mark.parametrize("answers", [20, pytest.param(200, marks=pytest.mark.slow)])
    def test_no_malformed_answer_costs_more_than_one_more_request(self, answers: int) -> None:
        draw = random.Random(17)
        clock = Clock()

        async def use(watch: SpaceWatch) -> None:
            for number in range(answers):
                stub.script[:] = [a_malformed_answer(draw)]
                looks = len(stub.requests)
                name = f"owner{number % 7}/s{number}"
                await watch.wait_for(name, GPU, timeout=20, poll_interval=10)
                assert len(stub.requests) - looks <= 2, stub.script

        with StubHub(otherwise=self.runtime()) as stub:
            use_watch(stub, use, clock)

    def test_answers_that_stay_malformed_end_the_wait_after_two_minutes(self) -> None:
        clock = Clock()
        with StubHub(otherwise=Say(200, "{", {"Content-Type": "application/json"})) as stub:
            with pytest.raises(HubProtocolError):
                use_watch(stub, lambda watch: watch.wait_for(SPACE, GPU, timeout=25), clock)
            assert len(stub.requests) < 12
        assert clock.now > 1000 + 120

    def test_a_malformed_list_leaves_every_space_looked_at_alone(self, hub: HubEmulator) -> None:
        hub.faults.add(kind="html", path="^/api/spaces$")
        names = [f"acme/s{number}" for number in range(12)]
        for name in names:
            hub.add_space(name, hardware="t4-small")

        async def use(watch: SpaceWatch) -> None:
            await asyncio.gather(
                *(watch.wait_for(name, GPU, timeout=10, poll_interval=0.05) for name in names)
            )

        use_watch(hub, use)
        assert requests_of(hub)["list"] == 1


def test_an_outage_of_more_than_two_minutes_ends_the_wait_with_its_error(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    hub.faults.add(kind="status", status=503, message="down for maintenance")
    with pytest.raises(HubUnavailable, match="down for maintenance"):
        use_watch(hub, lambda watch: watch.wait_for(SPACE, GPU, timeout=20), Clock())
