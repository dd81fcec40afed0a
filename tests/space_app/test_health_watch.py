"""Waits for apps: requests begin with RUNNING, one wait makes them for all, and they end with the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub import AsyncHubClient, Goal, SpaceWaitFailed, SpaceWaitTimeout
from airflow_provider_hfspaces.hub.waiting.watch import SpaceWatch
from airflow_provider_hfspaces.space_app.health_check import AppNotHealthy, HealthCheck
from airflow_provider_hfspaces.space_app.health_watch import HealthWatch

SPACE = "acme/whisper"
CHECK = HealthCheck("/health")


class App:
    """Answers health checks after a number of requests.

    :param after: the number of requests with another answer.
    """

    def __init__(self, after: int = 0) -> None:
        self.after = after
        self.requests: list[str] = []
        self.on_request: Callable[[], Any] = lambda: None

    async def probe(self, repo_id: str, check: HealthCheck) -> str | None:
        self.requests.append(repo_id)
        self.on_request()
        await asyncio.sleep(0)
        return None if len(self.requests) > self.after else "HTTP 503"


def with_watch(hub: HubEmulator, app: App, work: Callable[[HealthWatch], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with AsyncHubClient(hub.token, hub.url) as client:
            watch = SpaceWatch(client)
            try:
                return await work(HealthWatch(watch, app.probe, endpoint=hub.url))
            finally:
                await watch.close()

    return asyncio.run(run())


def wait(health: HealthWatch, **options: Any) -> Any:
    defaults: dict[str, Any] = {"timeout": 20, "poll_interval": 0.02}
    return health.wait_for(SPACE, Goal(), CHECK, **{**defaults, **options})


def test_requests_begin_when_the_space_runs_and_end_with_the_answer(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, stage="BUILDING")
    app, stages = App(after=3), set()
    app.on_request = lambda: stages.add(space.stage)
    assert with_watch(hub, app, wait).stage == "RUNNING"
    assert stages == {"RUNNING"}
    assert len(app.requests) == 4


def test_many_waits_share_the_requests_to_an_app(hub: HubEmulator) -> None:
    hub.add_space(SPACE, stage="BUILDING")
    app, reasons = App(after=3), []

    async def many(health: HealthWatch) -> Any:
        return await asyncio.gather(*(wait(health, on_reason=reasons.append) for _ in range(50)))

    assert [runtime.stage for runtime in with_watch(hub, app, many)] == ["RUNNING"] * 50
    assert len(app.requests) == 4
    assert reasons == ["HTTP 503"] * 50


def test_a_wait_that_ends_early_ends_the_requests(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    app = App(after=10**9)

    async def cancel_early(health: HealthWatch) -> int:
        waiting = asyncio.create_task(wait(health))
        twice = asyncio.Event()
        app.on_request = lambda: twice.set() if len(app.requests) == 2 else None
        await twice.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        count = len(app.requests)
        await asyncio.sleep(0.1)
        return len(app.requests) - count

    assert with_watch(hub, app, cancel_early) == 0


def test_a_crash_before_the_answer_fails_the_wait_with_its_reason(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    app = App(after=10**9)
    app.on_request = lambda: space.crash("Exit code: 137") if len(app.requests) == 2 else None
    with pytest.raises(SpaceWaitFailed, match=r"its app failed .*Exit code: 137"):
        with_watch(hub, app, wait)


def test_a_restart_before_the_answer_begins_the_wait_again(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    app, stages = App(after=4), []

    def restart() -> None:
        stages.append(space.stage)
        if len(app.requests) == 2:
            hub.world.space(SPACE).do("restart")

    app.on_request = restart
    assert with_watch(hub, app, wait).stage == "RUNNING"
    assert stages[-1] == "RUNNING"
    assert any(moment.stage != "RUNNING" for moment in space.history)


def test_an_app_that_does_not_answer_in_time_is_named_with_its_last_answer(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    with pytest.raises(
        AppNotHealthy,
        match=r"^Space acme/whisper runs, but its app did not answer GET /health as expected in 1 seconds: "
        r"HTTP 503\. Raise timeout, correct health, or read the app's log: .*logs=container$",
    ) as excinfo:
        with_watch(hub, App(after=10**9), lambda health: wait(health, timeout=1))
    assert excinfo.value.runtime is not None


def test_a_space_that_does_not_run_in_time_gets_no_request(hub: HubEmulator) -> None:
    hub.settings.change({"timings": {"build": 10**6}})
    hub.add_space(SPACE, stage="BUILDING")
    app = App()
    with pytest.raises(SpaceWaitTimeout, match="did not reach RUNNING"):
        with_watch(hub, app, lambda health: wait(health, timeout=0.5))
    assert app.requests == []


def test_a_wait_whose_time_is_over_still_sends_one_request(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    app = App()
    runtime = with_watch(hub, app, lambda health: wait(health, timeout=5, elapsed=3600))
    assert (runtime.stage, len(app.requests)) == ("RUNNING", 1)


def test_an_error_of_a_request_ends_every_wait_for_the_app(hub: HubEmulator) -> None:
    hub.add_space(SPACE)

    class Broken(App):
        async def probe(self, repo_id: str, check: HealthCheck) -> str | None:
            raise SpaceWaitFailed("The Hub names no address.", repo_id=repo_id, runtime=None)

    async def two(health: HealthWatch) -> Any:
        return await asyncio.gather(wait(health), wait(health), return_exceptions=True)

    assert [str(error) for error in with_watch(hub, Broken(), two)] == ["The Hub names no address."] * 2
