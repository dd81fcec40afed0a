"""HealthWatch: waits until the apps of many Spaces answer, with at most one request at a time to each app.

A request to an app is a visit, which wakes a sleeping Space and keeps it awake. So requests begin only when
the Hub reports that the Space has reached the goal, all waits for an app share them, and they stop as soon as
the app answers as expected.
"""

from __future__ import annotations

import asyncio
import contextvars
import copy
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.hub.errors import HubError, SpaceWaitFailed, SpaceWaitTimeout
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.hub.waiting.wait import PROBED_SPACE_SECONDS
from airflow_provider_hfspaces.hub.waiting.watch import SpaceWatch
from airflow_provider_hfspaces.space_app.health_check import PROBE_PAUSE_SECONDS, HealthCheck, not_healthy

__all__ = ["HealthWatch", "Probe"]

_LAST_PROBE_SECONDS = 0.5
"""Time for one last request if the timeout passed before the first, as after a restart of the process."""

Probe = Callable[[str, HealthCheck], Awaitable[str | None]]
"""Sends one request to the app of a Space. Returns what is wrong with the answer; ``None`` if nothing is."""


@dataclass(eq=False)
class _Waiter:
    """One wait for the answer of an app.

    :ivar poll_interval: seconds between two polls of the Space; ``None`` leaves them to the quota.
    :ivar on_reason: called with each new reason.
    :ivar answer: True if the app answered as expected, False if the Space changed before.
    :ivar reason: what was wrong with the last answer; ``None`` before the first answer.
    :ivar context: the context in which the wait began, to which its log lines belong.
    """

    poll_interval: float | None
    on_reason: Callable[[str], None]
    answer: asyncio.Future[bool]
    reason: str | None = None
    context: contextvars.Context = field(default_factory=contextvars.copy_context)

    def note(self, reason: str) -> None:
        """Report what is wrong with the app's answer, if the reason is new."""
        if reason != self.reason:
            self.reason = reason
            self.context.run(self.on_reason, reason)


@dataclass(eq=False)
class _Probing:
    """The requests to one app, and the waits that share them."""

    waiters: list[_Waiter] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    @property
    def poll_interval(self) -> float:
        """Seconds between two polls of the Space."""
        intervals = [waiter.poll_interval for waiter in self.waiters]
        return min((each for each in intervals if each is not None), default=PROBED_SPACE_SECONDS)

    def open_waiters(self) -> list[_Waiter]:
        return [waiter for waiter in self.waiters if not waiter.answer.done()]


class HealthWatch:
    """Waits until Spaces have reached a goal and their apps answer as expected, on one event loop.

    ::

        health = HealthWatch(watch, probe, endpoint="https://huggingface.co")
        runtime = await health.wait_for("acme/whisper", Goal(), HealthCheck("/health"), timeout=1800)

    :param watch: polls the runtimes. Close it after the health watch.
    :param probe: sends one request to an app, and returns what is wrong with the answer.
    :param endpoint: the address of the Hub, for links in errors.
    :param clock: returns the time in seconds.
    :param sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        watch: SpaceWatch,
        probe: Probe,
        *,
        endpoint: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._watch, self._probe, self._endpoint = watch, probe, endpoint
        self._clock, self._sleep = clock, sleep
        self._probing: dict[tuple[str, HealthCheck], _Probing] = {}

    async def wait_for(
        self,
        repo_id: str,
        goal: Goal,
        check: HealthCheck,
        *,
        timeout: float,
        poll_interval: float | None = None,
        elapsed: float = 0.0,
        on_reason: Callable[[str], None] = lambda reason: None,
        **arguments: Any,
    ) -> SpaceRuntime:
        """Wait until a Space has reached a goal and its app answers, and return the runtime.

        If the Space leaves the goal before its app has answered, the wait for the goal begins again.

        :param repo_id: the Space, as ``owner/name``.
        :param goal: the state to wait for.
        :param check: the request to the app, and its expected answer.
        :param timeout: seconds after which the whole wait ends with an error.
        :param poll_interval: seconds between two polls of the Space; by default as few as the share of the
            quota allows, but at least 2, and 10 once the Space has reached the goal. Between two requests to
            the app, the same time passes, but at most 5 seconds.
        :param elapsed: seconds since the wait began, if it began earlier or in another process; by default 0.
        :param on_reason: called with what is wrong with the app's answer, when the reason is new, in the
            context of the caller.
        :param arguments: further arguments of
            :meth:`SpaceWatch.wait_for <airflow_provider_hfspaces.hub.waiting.watch.SpaceWatch.wait_for>`.
        :raises AppNotHealthy: if the app did not answer as expected in time.
        :raises SpaceWaitFailed: if the Space can no longer reach the goal by itself.
        :raises SpaceWaitTimeout: if the Space did not reach the goal in time.
        :raises HubError: if the Hub rejects the requests, or has not answered for two minutes.
        """
        began = self._clock() - max(elapsed, 0.0)
        key = (repo_id, check)
        runtime: SpaceRuntime | None = None
        reason: str | None = None
        while True:
            try:
                runtime = await self._watch.wait_for(
                    repo_id,
                    goal,
                    timeout=timeout,
                    poll_interval=poll_interval,
                    elapsed=self._clock() - began,
                    **arguments,
                )
            except SpaceWaitTimeout:
                if reason is None:
                    raise
                break
            # Only the first wait follows a request. In later waits, a stopped Space is a failure at once.
            arguments = {name: arguments[name] for name in arguments if name == "on_change"}
            waiter = _Waiter(poll_interval, on_reason, asyncio.get_running_loop().create_future(), reason)
            try:
                remaining = timeout - (self._clock() - began)
                if await self._wait_for_answer(runtime, key, waiter, remaining):
                    return runtime
            except (asyncio.TimeoutError, TimeoutError):
                break
            finally:
                reason = waiter.reason
        raise not_healthy(repo_id, check, reason, timeout=timeout, runtime=runtime, endpoint=self._endpoint)

    async def _wait_for_answer(
        self, runtime: SpaceRuntime, key: tuple[str, HealthCheck], waiter: _Waiter, remaining: float
    ) -> bool:
        """Return True if the app answered as expected, False if the Space changed before.

        :param runtime: the runtime with which the Space reached the goal.
        :raises TimeoutError: if neither happened in time.
        """
        shared = self._probing.setdefault(key, _Probing())
        shared.waiters.append(waiter)
        if shared.task is None:
            # In an empty context, because its log lines belong to no single wait.
            probing = self._probe_until_answered(runtime, key, shared)
            shared.task = contextvars.Context().run(asyncio.create_task, probing, name=f"probe {key[0]}")
        try:
            return await asyncio.wait_for(waiter.answer, max(remaining, _LAST_PROBE_SECONDS))
        finally:
            waiter.answer.cancel()
            shared.waiters.remove(waiter)
            if not shared.open_waiters():
                self._forget(key, shared)
                shared.task.cancel()

    async def _probe_until_answered(
        self, runtime: SpaceRuntime, key: tuple[str, HealthCheck], shared: _Probing
    ) -> None:
        repo_id, check = key
        changed = asyncio.create_task(self._wait_for_change(repo_id, runtime, shared.poll_interval))
        try:
            while not changed.done():
                reason = await self._until(changed, self._probe(repo_id, check))
                if reason is None:
                    break
                for waiter in shared.open_waiters():
                    waiter.note(reason)
                pause = min(shared.poll_interval, PROBE_PAUSE_SECONDS)
                await self._until(changed, self._sleep(pause))
            self._forget(key, shared)
            for waiter in shared.open_waiters():
                waiter.answer.set_result(not changed.done())
        except Exception as error:
            self._forget(key, shared)
            for waiter in shared.open_waiters():
                waiter.answer.set_exception(copy.copy(error))
        finally:
            changed.cancel()

    def _forget(self, key: tuple[str, HealthCheck], shared: _Probing) -> None:
        """Let later waits for this app begin requests of their own."""
        if self._probing.get(key) is shared:
            del self._probing[key]

    async def _until(self, changed: asyncio.Task[None], work: Awaitable[Any]) -> Any:
        """Return the result of ``work``; ``None`` if the Space changes before ``work`` is done."""
        working = asyncio.ensure_future(work)
        try:
            await asyncio.wait({working, changed}, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            working.cancel()

    async def _wait_for_change(self, repo_id: str, runtime: SpaceRuntime, poll_interval: float) -> None:
        """Return as soon as the state of the Space differs from ``runtime``."""
        with suppress(HubError, SpaceWaitFailed):
            # The wait for the goal begins again after this, and reports errors of the Hub.
            async for before, now in self._watch.changes(repo_id, poll_interval=poll_interval):
                if before is not None or (now.stage, now.hardware) != (runtime.stage, runtime.hardware):
                    return
