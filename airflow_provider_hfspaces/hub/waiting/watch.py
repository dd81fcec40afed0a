"""SpaceWatch: many waits, few requests.

All waits of a process for Spaces of one Hub and one token share a watch. It asks the Hub about each Space
that somebody waits for, once for all waits, and tells every wait what is new.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow_provider_hfspaces.hub.errors import SpaceWaitFailed, wait_failed, wait_timed_out
from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.waiting.goal import Changes, Failed, Goal, Reached, Wait
from airflow_provider_hfspaces.hub.waiting.polling import Polling

__all__ = ["Source", "SpaceWatch", "Told"]

_LAST_LOOK = 5.0
"""Seconds for the one look of a wait whose time is over when it begins."""

OnChange = Callable[[SpaceRuntime, float], None]


class Told(Protocol):
    """Whom a source tells what it has seen."""

    def saw(self, repo_id: str, runtime: SpaceRuntime, *, certain: bool) -> bool:
        """A Space's state.

        :param certain: whether it cannot be out of date, as what a list says may be.
        :return: whether a certain look is needed now.
        """

    def lost(self, repo_id: str, error: Exception) -> None:
        """Nothing more will be seen of this Space, and why."""


class Source(Protocol):
    """Where a watch gets to know how Spaces are."""

    def follow(self, repo_id: str, interval: float) -> None:
        """Tell of this Space from now on, and at once; no more often than every ``interval`` seconds."""

    def leave(self, repo_id: str) -> None:
        """Tell of it no more."""

    async def close(self) -> None:
        """Stop."""


@dataclass(eq=False, slots=True)
class _Waiter:
    """One wait."""

    wait: Wait | Changes
    interval: float
    since: float
    on_change: OnChange | None
    done: asyncio.Future[SpaceRuntime]
    reason: str = "nothing was seen of it yet"
    runtime: SpaceRuntime | None = None
    state: tuple[str | None, ...] | None = None


@dataclass(eq=False, slots=True)
class _Watched:
    """One Space with all who wait for it."""

    repo_id: str
    waiters: list[_Waiter] = field(default_factory=list)

    @property
    def interval(self) -> float:
        return min(waiter.interval for waiter in self.waiters)


class SpaceWatch:
    """Waits for Spaces, however many, with as few requests as will do.

    For one event loop.

    :param client: asks the Hub; whoever made it closes it, after the watch.
    :param source: makes the source of truth, for whom it tells what it sees; by default polling.
    """

    def __init__(
        self,
        client: AsyncHubClient,
        *,
        source: Callable[[Told], Source] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = client
        self._clock = clock
        self._spaces: dict[str, _Watched] = {}
        self._source = source(self) if source else Polling(client, self)

    @property
    def waits(self) -> int:
        """How many wait."""
        return sum(len(watched.waiters) for watched in self._spaces.values())

    async def wait_for(
        self,
        repo_id: str,
        goal: Goal,
        *,
        timeout: float,
        poll_interval: float = 10.0,
        before: SpaceRuntime | None = None,
        answer: SpaceRuntime | None = None,
        grace: float = 30.0,
        elapsed: float = 0.0,
        whole_timeout: float | None = None,
        on_change: OnChange | None = None,
    ) -> SpaceRuntime:
        """Wait until a Space is where it should be; the same words and rules as the hook's ``wait_for``.

        :param timeout: seconds from now.
        :param poll_interval: seconds between two looks at the Space, at least.
        :param before: what was there when something was asked of the Space.
        :param answer: what the Hub answered to that.
        :param grace: seconds for which a Space that looks as before is only late.
        :param elapsed: seconds that the wait has lasted already, elsewhere.
        :param whole_timeout: seconds from its beginning, for the words of the error.
        :param on_change: called with each new state and the seconds since the wait began.
        :raises SpaceWaitFailed: when it cannot get there any more.
        :raises SpaceWaitTimeout: when it has not got there in time.
        :raises HubError: when the Hub refuses to tell, or has not answered for long.
        """
        whole = timeout + elapsed if whole_timeout is None else whole_timeout
        wait = Wait(goal, before=before, answer=answer, grace=min(grace, whole / 2))
        waiter = self._join(repo_id, wait, poll_interval, elapsed, on_change)
        try:
            # A wait that is late already, as after a restart, still deserves a look.
            return await asyncio.wait_for(waiter.done, timeout if timeout > 0 else _LAST_LOOK)
        except (asyncio.TimeoutError, TimeoutError):
            raise wait_timed_out(
                repo_id, str(goal), whole, waiter.reason, waiter.runtime, self.client.endpoint
            ) from None
        finally:
            self._leave(repo_id, waiter)

    async def changes(
        self, repo_id: str, *, poll_interval: float = 30.0
    ) -> AsyncIterator[tuple[SpaceRuntime | None, SpaceRuntime]]:
        """What is new about a Space, for ever: how it was before (``None`` at first) and how it is.

        :param poll_interval: seconds between two looks at the Space, at least.
        :raises HubError: when the Hub refuses to tell, or has not answered for long.
        """
        news: asyncio.Queue[tuple[SpaceRuntime | None, SpaceRuntime]] = asyncio.Queue()
        wait = Changes(lambda before, now: news.put_nowait((before, now)))
        waiter = self._join(repo_id, wait, poll_interval)
        try:
            while True:
                told = asyncio.ensure_future(news.get())
                try:
                    either: set[asyncio.Future[Any]] = {told, waiter.done}
                    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                    if not told.done():
                        waiter.done.result()
                        return
                finally:
                    if not told.done():
                        told.cancel()
                yield told.result()
        finally:
            self._leave(repo_id, waiter)

    def _join(
        self,
        repo_id: str,
        wait: Wait | Changes,
        interval: float,
        elapsed: float = 0.0,
        on_change: OnChange | None = None,
    ) -> _Waiter:
        done: asyncio.Future[SpaceRuntime] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(wait, interval, self._clock() - elapsed, on_change, done)
        watched = self._spaces.setdefault(repo_id.lower(), _Watched(repo_id))
        watched.waiters.append(waiter)
        self._source.follow(watched.repo_id, watched.interval)
        return waiter

    def _leave(self, repo_id: str, waiter: _Waiter) -> None:
        if waiter.done.done() and not waiter.done.cancelled():
            waiter.done.exception()  # somebody who has left need not be told
        waiter.done.cancel()
        watched = self._spaces[repo_id.lower()]
        watched.waiters.remove(waiter)
        if not watched.waiters:
            del self._spaces[repo_id.lower()]
            self._source.leave(watched.repo_id)

    async def close(self) -> None:
        """Stop; whoever still waits is told so."""
        for watched in list(self._spaces.values()):
            for waiter in watched.waiters:
                if not waiter.done.done():
                    stopped = f"The wait for Space {watched.repo_id} was stopped."
                    waiter.done.set_exception(
                        SpaceWaitFailed(stopped, repo_id=watched.repo_id, runtime=waiter.runtime)
                    )
        await self._source.close()

    def saw(self, repo_id: str, runtime: SpaceRuntime, *, certain: bool) -> bool:
        """Tell all who wait for a Space how it is.

        :return: whether somebody's wait would end if this is certain, and it is not.
        """
        watched = self._spaces.get(repo_id.lower())
        unsure = False
        for waiter in list(watched.waiters) if watched else ():
            if not waiter.done.done():
                unsure |= self._judge(repo_id, waiter, runtime, certain)
        return unsure

    def lost(self, repo_id: str, error: Exception) -> None:
        """Tell all who wait for a Space that nothing more will be seen of it."""
        watched = self._spaces.get(repo_id.lower())
        for waiter in list(watched.waiters) if watched else ():
            if not waiter.done.done():
                waiter.done.set_exception(error)

    def _judge(self, repo_id: str, waiter: _Waiter, runtime: SpaceRuntime, certain: bool) -> bool:
        """Whether a certain look is needed."""
        elapsed = self._clock() - waiter.since
        if not certain and waiter.wait.wants_certainty(runtime, elapsed):
            return True
        state = (runtime.stage, runtime.hardware, runtime.requested_hardware)
        if state != waiter.state:
            waiter.state = state
            if waiter.on_change:
                waiter.on_change(runtime, elapsed)
        waiter.runtime = runtime
        if not certain:
            return False
        verdict = waiter.wait.look(runtime, elapsed)
        if isinstance(verdict, Reached):
            waiter.done.set_result(runtime)
        elif isinstance(verdict, Failed):
            waiter.done.set_exception(
                wait_failed(repo_id, str(waiter.wait.goal), verdict.reason, runtime, verdict.permanent)
            )
        else:
            waiter.reason = verdict.reason
        return False
