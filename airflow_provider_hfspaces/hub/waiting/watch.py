"""SpaceWatch: waits for many Spaces with few requests, which all waits on one event loop share."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
from airflow_provider_hfspaces.hub.http.pace import Pace
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.seconds import checked_interval
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.hub.waiting.looks import Interval, Source
from airflow_provider_hfspaces.hub.waiting.polling import Polling
from airflow_provider_hfspaces.hub.waiting.wait import GRACE_SECONDS, Changes, OnChange, Wait

__all__ = ["SpaceWatch"]

log = logging.getLogger(__name__)

LIST_LAG_SECONDS = 30.0
"""Time by which a list may lag behind. If a list has shown the Space on its way, and shows it at the goal
later than this after the wait began, the Space has reached the goal during the wait."""

_LAST_POLL_SECONDS = 5.0
"""Time for one last poll if the timeout passed before the wait began, as after a restart of the process."""


@dataclass(eq=False, slots=True)
class _Waiter:
    """One wait for a Space. Times are on the clock of the watch.

    :ivar interval: seconds between two polls; ``None`` leaves them to the quota.
    :ivar began: when the wait began, possibly in another process.
    :ivar joined: when the wait joined this watch.
    :ivar done: the result of the wait.
    :ivar was_pending: whether a list has shown the Space on its way since the wait joined.
    :ivar context: the context in which the wait began, to which its log lines belong.
    """

    wait: Wait | Changes
    interval: float | None
    began: float
    joined: float
    done: asyncio.Future[SpaceRuntime]
    was_pending: bool = False
    context: contextvars.Context = field(default_factory=contextvars.copy_context)

    def observe(self, runtime: SpaceRuntime, now: float, source: Source) -> bool:
        """Pass one runtime to the wait.

        An exception ends this wait only.

        :returns: True if a request about the Space alone has to confirm that the wait is over.
        """
        elapsed = now - self.began
        try:
            if source is not Source.SPACE:
                might_end = self.context.run(self.wait.glance, runtime, elapsed)
                believes = source is Source.LIST and self.was_pending
                self.was_pending |= not might_end
                if not (might_end and believes and self._has_arrived(runtime, now)):
                    return might_end
            reached = self.context.run(self.wait.observe, runtime, elapsed)
        except StopIteration as error:  # a future does not accept a StopIteration
            self.done.set_exception(RuntimeError(f"on_change raised {error!r}"))
        except Exception as error:
            self.done.set_exception(error)
        else:
            if reached is not None:
                self.done.set_result(reached)
            elif source is not Source.SPACE:
                return True
        return False

    def _has_arrived(self, runtime: SpaceRuntime, now: float) -> bool:
        """Return True if a list shows that the Space reached the goal during the wait."""
        is_recent = now - self.joined >= LIST_LAG_SECONDS
        return is_recent and isinstance(self.wait, Wait) and self.wait.goal.is_reached_by(runtime)

    def fail(self, error: Exception, final: bool) -> None:
        """Pass a failed request to the wait. A final error ends the wait."""
        self.wait.not_answered(error)
        if final:
            self.done.set_exception(copy.copy(error))
        else:
            self.context.run(log.warning, "%s The wait continues; the next poll comes later.", error)


@dataclass(eq=False, slots=True)
class _Watched:
    """One Space, and all waits for it."""

    repo_id: str
    waiters: list[_Waiter] = field(default_factory=list)

    @property
    def intervals(self) -> list[float | None]:
        return [waiter.interval for waiter in self.waiters]

    def open_waiters(self) -> list[_Waiter]:
        return [waiter for waiter in self.waiters if not waiter.done.done()]


class SpaceWatch:
    """Waits for any number of Spaces with as few requests as possible, on one event loop.

    ::

        watch = SpaceWatch(client)
        runtime = await watch.wait_for("acme/whisper", Goal(hardware="t4-small"), timeout=1800)
        await watch.close()

    Waits for many Spaces of an owner share a list of the owner's Spaces, which may lag behind by seconds. A
    list ends a wait only if the list shows that the Space reached the goal, has shown the Space on its way
    before, and the wait is older than 30 seconds. In all other cases, and for owners whose lists have been
    wrong, a request about the Space alone decides.

    :param client: sends the requests. Close it after the watch.
    :param pace: limits how fast the watch sends requests; by default to half of the token's quota.
    :param clock: returns the time in seconds.
    :param sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        client: AsyncHubClient,
        *,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._endpoint = client.endpoint
        self._clock = clock
        self._spaces: dict[str, _Watched] = {}
        self._polling = Polling(
            client, self._seen, self._failed, pace=pace or Pace(client.budget), clock=clock, sleep=sleep
        )

    @property
    def waits(self) -> int:
        """The number of waits in progress."""
        return sum(len(watched.waiters) for watched in self._spaces.values())

    async def wait_for(
        self,
        repo_id: str,
        goal: Goal,
        *,
        timeout: float,
        poll_interval: float | None = None,
        before: SpaceRuntime | None = None,
        answer: SpaceRuntime | None = None,
        grace: float = GRACE_SECONDS,
        elapsed: float = 0.0,
        on_change: OnChange | None = None,
        start_timeout: float | None = None,
    ) -> SpaceRuntime:
        """Wait until a Space reaches a goal, and return its runtime.

        :param repo_id: the Space, as ``owner/name``.
        :param goal: the state to wait for.
        :param timeout: seconds after which the wait ends with an error.
        :param poll_interval: seconds between two polls of the Space; by default as few as the share of the
            quota allows, but at least 2.
        :param before: for a wait after a request, the runtime before the request.
        :param answer: for a wait after a request, the runtime in the Hub's answer.
        :param grace: seconds for which the Hub may still report the state before the request; by default 30.
        :param elapsed: seconds since the wait began, if it began earlier or in another process; by default 0.
        :param on_change: called with each new state and the seconds since the wait began, in the context of
            the caller.
        :param start_timeout: seconds that the Space may take to start after its build; by default no limit.
        :raises InvalidInput: for a duration that is not valid. Nothing was sent.
        :raises SpaceWaitFailed: if the Space can no longer reach the goal by itself.
        :raises SpaceWaitTimeout: if the Space did not reach the goal in time.
        :raises HubError: if the Hub rejects the requests, or has not answered for two minutes.
        """
        wait = Wait(
            repo_id,
            goal,
            timeout=timeout,
            before=before,
            answer=answer,
            grace=grace,
            on_change=on_change,
            start_timeout=start_timeout,
        )
        elapsed = max(elapsed, 0.0)
        waiter = self._join(wait, poll_interval, elapsed)
        try:
            remaining = wait.timeout - elapsed
            return await asyncio.wait_for(waiter.done, remaining if remaining > 0 else _LAST_POLL_SECONDS)
        except (asyncio.TimeoutError, TimeoutError):
            raise wait.timed_out(self._endpoint) from None
        finally:
            self._leave(waiter)

    async def changes(
        self, repo_id: str, *, poll_interval: float | None = 30.0
    ) -> AsyncIterator[tuple[SpaceRuntime | None, SpaceRuntime]]:
        """Yield each change of a Space, without end: the runtimes before and after the change.

        The first pair has ``None`` and the current runtime.

        :param repo_id: the Space, as ``owner/name``.
        :param poll_interval: seconds between two polls of the Space; by default 30. ``None`` stands for as
            few as the share of the quota allows, but at least 2.
        :raises SpaceWaitFailed: if the watch is closed.
        :raises HubError: if the Hub rejects the requests, or has not answered for two minutes.
        """
        news: asyncio.Queue[tuple[SpaceRuntime | None, SpaceRuntime]] = asyncio.Queue()
        waiter = self._join(Changes(repo_id, lambda *change: news.put_nowait(change)), poll_interval)
        try:
            while True:
                change = asyncio.ensure_future(news.get())
                try:
                    either: set[asyncio.Future[Any]] = {change, waiter.done}
                    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                    if not change.done():
                        waiter.done.result()
                        return
                finally:
                    if not change.done():
                        change.cancel()
                yield change.result()
        finally:
            self._leave(waiter)

    async def close(self) -> None:
        """Stop the watch. Waits in progress end with :class:`SpaceWaitFailed`."""
        for watched in list(self._spaces.values()):
            for waiter in watched.open_waiters():
                waiter.done.set_exception(waiter.wait.stopped())
        await self._polling.close()

    def _join(self, wait: Wait | Changes, poll_interval: float | None, elapsed: float = 0.0) -> _Waiter:
        # Register the waiter last: after an exception, nothing would remove it, and the Space would be polled
        # for ever.
        interval = checked_interval(poll_interval, "poll_interval")
        done: asyncio.Future[SpaceRuntime] = asyncio.get_running_loop().create_future()
        now = self._clock()
        waiter = _Waiter(wait, interval, now - elapsed, now, done)
        watched = self._spaces.get(wait.repo_id.lower()) or _Watched(wait.repo_id)
        self._polling.follow(watched.repo_id, Interval.shortest([interval, *watched.intervals]))
        watched.waiters.append(waiter)
        self._spaces[wait.repo_id.lower()] = watched
        return waiter

    def _leave(self, waiter: _Waiter) -> None:
        if waiter.done.done() and not waiter.done.cancelled():
            waiter.done.exception()  # marks the exception as retrieved, so that asyncio does not log it
        waiter.done.cancel()
        key = waiter.wait.repo_id.lower()
        watched = self._spaces[key]
        watched.waiters.remove(waiter)
        if watched.waiters:
            self._polling.slow_down(watched.repo_id, Interval.shortest(watched.intervals))
        else:
            del self._spaces[key]
            self._polling.leave(watched.repo_id)

    def _seen(self, repo_id: str, runtime: SpaceRuntime, source: Source) -> bool:
        """Pass a runtime to all waits for the Space, and return True if one of them needs a confirmation."""
        watched = self._spaces.get(repo_id.lower())
        now = self._clock()
        needed = False
        for waiter in watched.open_waiters() if watched else ():
            needed |= waiter.observe(runtime, now, source)
        return needed

    def _failed(self, repo_id: str, error: Exception, final: bool) -> None:
        """Pass a failed request to all waits for the Space."""
        watched = self._spaces.get(repo_id.lower())
        for waiter in watched.open_waiters() if watched else ():
            waiter.fail(error, final)
