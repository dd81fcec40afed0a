"""Fixtures of the tests of the app's client: an app, a clock, and the sync and the async client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_hfspaces.space_app import SpaceApp
from tests.space_app.gradio_app import GradioApp

SPACE = "acme/caption"
TOKEN = "hf_" + "AbCdEfGh" * 4


class Clock:
    """A clock that advances only during sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)
        await asyncio.sleep(0)


class Caller:
    """Runs the methods of a client in a thread, or on an event loop."""

    def __init__(self, app: SpaceApp, loop: asyncio.AbstractEventLoop | None) -> None:
        self.app = app
        self._loop = loop

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if self._loop is None:
            method: Callable[..., Any] = getattr(self.app, name)
            return method
        loop = self._loop
        return lambda *args, **options: loop.run_until_complete(
            getattr(self.app, f"a{name}")(*args, **options)
        )


@pytest.fixture
def gradio() -> Iterator[GradioApp]:
    """A Gradio 6 app."""
    with GradioApp(6) as app:
        yield app


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["threads", "coroutines"])
def client(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Callable[..., Caller]]:
    """Makes a client for an address. Each test runs with the sync methods and with the async ones."""
    loop = asyncio.new_event_loop() if request.param == "coroutines" else None
    callers: list[Caller] = []

    def make(url: str, token: str | None = TOKEN, **options: Any) -> Caller:
        options = {
            "clock": clock,
            "sleep": clock.sleep,
            "async_sleep": clock.async_sleep,
            **options,
        }
        callers.append(Caller(SpaceApp(SPACE, url, token, **options), loop))
        return callers[-1]

    yield make
    for caller in callers:
        caller.close()
    if loop is not None:
        loop.close()
