"""FollowedOwner: decides when to poll the followed Spaces of one owner, and with which requests.

Few Spaces are polled one by one; many are read from the list of the owner's Spaces. A list may lag behind: if
it shows a runtime that might end a wait, a request about the Space alone decides. For the exception, see
:class:`~airflow_provider_hfspaces.hub.waiting.watch.SpaceWatch`.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.errors import HubError, HubProtocolError, HubRateLimited, HubUnavailable
from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
from airflow_provider_hfspaces.hub.http.pace import Pace
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.stages import BUILD_STAGES
from airflow_provider_hfspaces.hub.waiting.looks import Interval, Source

__all__ = ["Failed", "FollowedOwner", "Seen", "SharedByOwners"]

log = logging.getLogger(__name__)

_MAX_SINGLE_SPACES = 3
"""Number of Spaces of one owner up to which they are polled one by one."""

_FEWEST_PAGES = 5
"""Number of pages into which a list is split, within the page sizes below."""

_LEAST_PAGE_SPACES, _MOST_PAGE_SPACES = 200, 500
"""Smallest and largest page of a list. Small pages need little memory and do not block the event loop for
long; large pages need fewer requests for many Spaces."""

_JOIN_SECONDS = 0.05
"""Time between the beginning of a wait and its first poll, so that waits that begin together share a list."""

_CHUNK_SPACES = 25
"""Number of Spaces that are handled before other coroutines run."""

_LIST_GAP_SECONDS = 2.0
"""Shortest time between two lists that are read early for new waits."""

_LIST_REPEAT_SECONDS = 30.0
"""Time after which an unchanged entry of a list is passed on again."""

_PATIENCE_SECONDS = 120.0
"""Time for which requests may fail before a wait ends with the error. Rate limits do not count."""

_LONGEST_PAUSE_SECONDS = 60.0
"""Longest pause after errors."""

_LEAST_BUILDS = 3
"""Number of observed builds before their durations are used."""

_MAX_PARALLEL_REQUESTS = 6
"""Number of requests of a watch in flight."""
_NO_RETRY = RetryPolicy(total=0, total_rate_limited=0)

Seen = Callable[[str, SpaceRuntime, Source], bool]
"""Called with a Space, its runtime, and the kind of answer that the runtime comes from."""

Failed = Callable[[str, Exception, bool], None]
"""Called with a Space, the error of the request about it, and whether the error is final."""


@dataclass(eq=False)
class SharedByOwners:
    """The objects that all owners of a watch share.

    :ivar seen: called with each runtime; returns True if a request about the Space alone has to confirm it.
    :ivar failed: called when the requests about a Space begin to fail, and when they have finally failed.
    :ivar pace: limits how fast requests are sent.
    :ivar clock: returns the time in seconds.
    :ivar sleep: waits for a number of seconds.
    :ivar period: returns the seconds between two polls of Spaces without an interval.
    :ivar slots: limits the requests in flight.
    :ivar builds: durations of the last 50 builds, in seconds.
    """

    client: AsyncHubClient
    seen: Seen
    failed: Failed
    pace: Pace
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[Any]]
    period: Callable[[], float]
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MAX_PARALLEL_REQUESTS))
    builds: deque[float] = field(default_factory=lambda: deque(maxlen=50))

    def shortest_build(self) -> float | None:
        """Return the duration of the shortest recent build in seconds; ``None`` after fewer than 3 builds."""
        return min(self.builds) if len(self.builds) >= _LEAST_BUILDS else None


@dataclass(eq=False, slots=True)
class _Space:
    """A followed Space. Times are on the clock of the watch.

    :ivar interval: how often to poll the Space.
    :ivar due: when to poll the Space next.
    :ivar stage: the last known stage, since ``stage_since``; ``None`` before the first poll.
    :ivar requested: whether a request about the Space alone is in flight.
    :ivar listed: the runtime in a list that the request in flight has to confirm.
    :ivar digest: hash of the last entry in a list, which was passed on at ``passed_on_at``.
    :ivar failing_since: when requests began to fail; ``None`` after a success.
    """

    repo_id: str
    interval: Interval
    due: float
    stage: str | None = None
    stage_since: float = 0.0
    requested: bool = False
    listed: SpaceRuntime | None = None
    digest: int | None = None
    passed_on_at: float = 0.0
    failures: int = 0
    failing_since: float | None = None


class FollowedOwner:
    """Polls the followed Spaces of one owner, whose name is in lower case."""

    def __init__(self, shared: SharedByOwners, name: str) -> None:
        self._shared, self._name = shared, name
        self._clock = shared.clock
        self._spaces: dict[str, _Space] = {}
        self._pages = 1
        self._single_requests = 0
        self._listed_at = float("-inf")
        self._list_due = 0.0
        self._list_usable_at = 0.0
        self._source = Source.LIST
        self._woken = asyncio.Event()
        self._looks: set[asyncio.Task[None]] = set()
        self._task = _start(self._run(), name=f"watch {name}")

    def follow(self, repo_id: str, interval: Interval) -> None:
        """Poll this Space at once, and at least at this interval from now on."""
        key, now = repo_id.lower(), self._clock()
        space = self._spaces.get(key)
        if space is None:
            space = self._spaces[key] = _Space(repo_id, interval, now + _JOIN_SECONDS)
        space.interval = interval
        space.due = min(space.due, now + _JOIN_SECONDS)
        self._woken.set()

    def slow_down(self, repo_id: str, interval: Interval) -> None:
        """Poll this Space at this longer interval."""
        space = self._spaces.get(repo_id.lower())
        if space is not None:
            space.interval = interval

    def leave(self, repo_id: str) -> bool:
        """Stop polling this Space; return True if other Spaces are still followed."""
        self._spaces.pop(repo_id.lower(), None)
        return bool(self._spaces)

    def load(self) -> tuple[float, float]:
        """Return the requests in a round of automatic polls, and the requests per second of other polls."""
        is_listed = self._uses_lists(self._clock())
        intervals = [space.interval for space in self._spaces.values()]
        automatic = sum(interval.automatic for interval in intervals)
        if is_listed and automatic:
            return float(self._pages), 0.0
        if is_listed:
            return 0.0, self._pages / min(interval.seconds for interval in intervals)
        return float(automatic), sum(1 / each.seconds for each in intervals if not each.automatic)

    def cancel(self) -> list[asyncio.Task[None]]:
        """Cancel the coroutines of this owner, and return them."""
        tasks = [self._task, *self._looks]
        for task in tasks:
            task.cancel()
        return tasks

    async def _run(self) -> None:
        while True:
            await self._turn()

    async def _turn(self) -> None:
        try:
            await self._look_at_due()
            await self._pause()
        except Exception:  # a bug here must not end the polling, because every wait would then time out
            log.exception("Polling the Spaces of %s failed. The next poll comes later.", self._name)
            await self._shared.sleep(_LONGEST_PAUSE_SECONDS)

    async def _look_at_due(self) -> None:
        now = self._clock()
        due = [space for space in self._spaces.values() if space.due <= now and not space.requested]
        if not self._uses_lists(now):
            self._look_at_each(due)
            return
        new = [space for space in due if space.stage is None]
        many = len(new) + self._single_requests > max(_MAX_SINGLE_SPACES, self._pages)
        if many or (new and not self._shared.pace.has_room(len(new))):
            # One list covers all new waits, but waits that begin one by one must not cause a list each.
            self._list_due = min(self._list_due, self._listed_at + _LIST_GAP_SECONDS)
            new = []
        if self._list_due <= now:
            await self._look_at_list()
        else:
            self._look_at_each(new)
            self._single_requests += len(new)

    def _uses_lists(self, now: float) -> bool:
        """Return True if a list needs fewer requests than polling each Space, and lists can be read."""
        return len(self._spaces) > max(_MAX_SINGLE_SPACES, self._pages + 1) and self._list_usable_at <= now

    async def _pause(self) -> None:
        """Sleep until a poll is due or a new wait begins."""
        now = self._clock()
        lists = self._uses_lists(now)
        due = [
            space.due
            for space in self._spaces.values()
            if not space.requested and not (lists and (space.stage is not None or space.due <= now))
        ]
        if lists:
            due.append(self._list_due)
        seconds = min(due) - now if due else None
        self._woken.clear()
        if seconds is None or seconds > 0:
            # Not wait_for(): before Python 3.12 it loses a cancellation that coincides with the wake-up.
            sleepers: set[asyncio.Future[Any]] = {asyncio.ensure_future(self._woken.wait())}
            if seconds is not None:
                sleepers.add(asyncio.ensure_future(self._shared.sleep(seconds)))
            try:
                await asyncio.wait(sleepers, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for sleeper in sleepers:
                    sleeper.cancel()
            if not self._woken.is_set():
                return
            # Let waits that begin together share one poll.
            await self._shared.sleep(_JOIN_SECONDS)

    def _look_at_each(self, spaces: Iterable[_Space]) -> None:
        for space in spaces:
            space.requested = True
            look = _start(self._look_at(space), name=f"look at {space.repo_id}")
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)

    async def _look_at(self, space: _Space) -> None:
        try:
            # Count from when the poll was due, so that polls do not drift away from the interval.
            began = space.due
            await self._shared.pace.turn()
            async with self._shared.slots:
                runtime = await self._shared.client.send(calls.get_runtime(space.repo_id), retry=_NO_RETRY)
            self._record(space, runtime, began)
            self._compare(space, runtime)
            self._shared.seen(space.repo_id, runtime, Source.SPACE)
        except Exception as error:
            await self._back_off([space], _as_hub_error(error, space.repo_id))
        finally:
            space.requested = False
            self._woken.set()

    def _confirm(self, space: _Space, runtime: SpaceRuntime) -> None:
        """Request the runtime of a Space to confirm what a list shows, if the quota has room.

        Other Spaces wait for the next list, which hundreds of requests would delay.
        """
        waiting = len(self._looks)
        if not waiting or self._shared.pace.has_room(waiting + 1):
            space.listed = runtime
            self._look_at_each([space])
        else:
            space.digest = None

    def _compare(self, space: _Space, runtime: SpaceRuntime) -> None:
        """Distrust the lists of this owner from now on if the Space does not confirm what a list showed."""
        listed, space.listed = space.listed, None
        if listed is not None and (listed.stage, listed.hardware) != (runtime.stage, runtime.hardware):
            self._source = Source.DOUBTFUL_LIST

    async def _look_at_list(self) -> None:
        """Read the owner's list, then poll the Spaces that are not in it one by one."""
        looked: set[str] = set()
        followed = list(self._spaces.items())
        began = self._listed_at = self._clock()
        self._single_requests = pages = 0
        size = min(max(len(followed) // _FEWEST_PAGES, _LEAST_PAGE_SPACES), _MOST_PAGE_SPACES)
        self._list_due = began + self._shortest_interval()
        try:
            await self._shared.pace.turn()
            call = calls.list_runtimes(author=self._name, limit=size)
            async with self._shared.slots:
                async for page in self._shared.client.pages(call, retry=_NO_RETRY):
                    pages += 1
                    looked |= await self._read(page, began)
                    if self._spaces.keys() <= looked or pages > len(self._spaces):
                        break
                    await self._shared.pace.turn()
        except (HubRateLimited, HubUnavailable) as error:
            missed = [space for key, space in followed if key not in looked and key in self._spaces]
            await self._back_off(missed, error)
            self._list_due = max(self._list_due, min((space.due for space in missed), default=0.0))
            return
        except Exception as error:
            log.warning("%s The Spaces of %s are polled one by one.", error, self._name)
            self._list_usable_at = began + _LONGEST_PAUSE_SECONDS
        self._pages = max(pages, 1)
        now = self._clock()
        self._look_at_each(
            space
            for key, space in followed
            if key in self._spaces and key not in looked and space.due <= now and not space.requested
        )

    async def _read(self, page: Iterable[calls.ListedRuntime], began: float) -> set[str]:
        looked, period = set(), self._shared.period()
        for number, listed in enumerate(page):
            if number % _CHUNK_SPACES == 0:
                await asyncio.sleep(0)
            key = listed.repo_id.lower()
            space = self._spaces.get(key)
            if space is None:
                continue
            digest = hash(str(listed.payload.get("runtime")))
            if digest == space.digest and began - space.passed_on_at < _LIST_REPEAT_SECONDS:
                looked.add(key)
                space.due = began + space.interval.limit(period)
                continue
            runtime = listed.runtime()
            if runtime is None:
                continue
            looked.add(key)
            space.digest, space.passed_on_at = digest, began
            self._record(space, runtime, began)
            if self._shared.seen(space.repo_id, runtime, self._source) and not space.requested:
                self._confirm(space, runtime)
        return looked

    def _record(self, space: _Space, runtime: SpaceRuntime, began: float) -> None:
        now = self._clock()
        space.failures, space.failing_since = 0, None
        if runtime.stage != space.stage:
            if space.stage in BUILD_STAGES and space.stage_since:
                self._shared.builds.append(now - space.stage_since)
            space.stage_since = now if space.stage is not None else 0.0
            space.stage = runtime.stage
        interval = space.interval.limit(self._shared.period())
        space.due = max(began + self._stretch(interval, space, now), now + interval * 0.5)

    def _shortest_interval(self) -> float:
        period = self._shared.period()
        return min(space.interval.limit(period) for space in self._spaces.values())

    def _stretch(self, interval: float, space: _Space, now: float) -> float:
        """Return twice the interval in the first half of the shortest known build, otherwise the interval."""
        shortest = self._shared.shortest_build()
        if shortest is None or space.stage not in BUILD_STAGES or not space.stage_since:
            return interval
        early = now + 2 * interval < space.stage_since + shortest / 2
        return 2 * interval if early else interval

    async def _back_off(self, spaces: list[_Space], error: HubError) -> None:
        """Double the interval of these Spaces with each failure; report the first and the final failure."""
        now = self._clock()
        for number, space in enumerate(spaces):
            if number % _CHUNK_SPACES == _CHUNK_SPACES - 1:
                await asyncio.sleep(0)
            space.failures += 1
            space.digest = None
            if not isinstance(error, HubRateLimited):
                space.failing_since = space.failing_since or now
            interval = space.interval.limit(self._shared.period())
            pause = interval * 2 ** min(space.failures - 1, 6)
            space.due = now + min(pause, max(_LONGEST_PAUSE_SECONDS, interval))
            since = space.failing_since
            final = error.permanent or (since is not None and now - since > _PATIENCE_SECONDS)
            if final:
                error.tries = space.failures
            if final or space.failures == 1:
                self._shared.failed(space.repo_id, error, final)


def _start(coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Start a coroutine in an empty context, because its log lines belong to no single wait."""
    return contextvars.Context().run(asyncio.create_task, coroutine, name=name)


def _as_hub_error(error: Exception, repo_id: str) -> HubError:
    if isinstance(error, HubError):
        return error
    return HubProtocolError(
        f"Space {repo_id}: the Hub's answer could not be read ({type(error).__name__}).", repo_id=repo_id
    )
