"""How a watch gets to know how Spaces are: by asking, about few of them one by one, about many of an
owner with one list.

What a list says may be out of date. It is believed as long as it says that there is nothing new to do;
before a wait ends, one request about that Space alone makes sure.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.errors import HubError, HubRateLimited
from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
from airflow_provider_hfspaces.hub.http.quota import Pace
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.stages import BUILD_STAGES

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.waiting.watch import Told

__all__ = ["Polling"]

log = logging.getLogger(__name__)

_FEW = 3
"""Up to so many Spaces of an owner are asked about one by one."""

_PAGES = 5
_SMALLEST_PAGE, _LARGEST_PAGE = 200, 500
"""Spaces in a page of a list. Small pages cost little memory and do not hold the event loop up while
they are decoded; large ones keep the lists of large fleets short."""

_AT_A_TIME = 6
"""Requests under way at the same time."""

_TOGETHER = 0.05
"""Seconds for which a new wait lets others join it, so that many begin with one list."""

_AT_ONCE = 25
"""Entries of a list that are told of before the event loop gets its turn."""

_NEXT_LIST = 2.0
"""Seconds between two lists at the least, where new waits ask for one."""

_TELL_AGAIN = 30.0
"""Seconds after which what a list says is told anew though it is the same."""

_ONCE = RetryPolicy(total=0, total_rate_limited=0)
_PATIENCE = 120.0
"""Seconds for which the Hub may fail without anybody being told; rate limits do not count."""

_LONGEST_PAUSE = 60.0
_SAMPLES = 3


@dataclass(eq=False, slots=True)
class _Space:
    """A Space that is followed.

    :ivar due: when to look at it again.
    :ivar digest: of what a list said of it last, and ``told_at`` when that was told.
    :ivar asked: whether a look at it alone is under way.
    :ivar failing_since: since when nothing but errors came.
    """

    repo_id: str
    interval: float
    due: float
    stage: str | None = None
    stage_since: float = 0.0
    asked: bool = False
    digest: int | None = None
    told_at: float = 0.0
    failures: int = 0
    failing_since: float | None = None


class Polling:
    """A source of truth that asks.

    Each owner has a task of its own, so that one owner's trouble is nobody else's; all of them take
    turns at the pace that the quota allows.

    :param told: is told what is seen.
    """

    def __init__(
        self,
        client: AsyncHubClient,
        told: Told,
        *,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = client
        self.pace = pace or Pace(client.budget)
        self._told = told
        self._clock = clock
        self._owners: dict[str, _Owner] = {}
        self.slots = asyncio.Semaphore(_AT_A_TIME)
        self.builds: deque[float] = deque(maxlen=50)

    def follow(self, repo_id: str, interval: float) -> None:
        """Tell of this Space from now on, and at once."""
        name = repo_id.partition("/")[0].lower()
        owner = self._owners.get(name)
        if owner is None:
            owner = self._owners[name] = _Owner(self, self._told, name, self._clock)
        owner.follow(repo_id, interval)

    def leave(self, repo_id: str) -> None:
        """Tell of it no more."""
        name = repo_id.partition("/")[0].lower()
        owner = self._owners.get(name)
        if owner is not None and owner.leave(repo_id):
            del self._owners[name]

    async def close(self) -> None:
        """Stop."""
        owners, self._owners = list(self._owners.values()), {}
        for owner in owners:
            await owner.close()

    def usual_build(self) -> float | None:
        """Seconds that a build takes at the least, from what this process has seen of builds."""
        return min(self.builds) if len(self.builds) >= _SAMPLES else None


class _Owner:
    """The followed Spaces of one owner."""

    def __init__(self, polling: Polling, told: Told, name: str, clock: Callable[[], float]) -> None:
        self._polling, self._told, self._clock = polling, told, clock
        self._name = name
        self._spaces: dict[str, _Space] = {}
        self._pages = 1
        self._asked_alone = 0
        self._listed_at = float("-inf")
        self._list_due = 0.0
        self._woken = asyncio.Event()
        self._looks: set[asyncio.Task[None]] = set()
        self._task = asyncio.create_task(self._run(), name=f"watch {name}")

    def follow(self, repo_id: str, interval: float) -> None:
        key, now = repo_id.lower(), self._clock()
        space = self._spaces.get(key)
        if space is None:
            space = self._spaces[key] = _Space(repo_id, interval, now + _TOGETHER)
        space.interval = min(space.interval, interval)
        space.due = min(space.due, now + _TOGETHER)
        self._woken.set()

    def leave(self, repo_id: str) -> bool:
        """Whether none is left."""
        self._spaces.pop(repo_id.lower(), None)
        if self._spaces:
            return False
        self._task.cancel()
        for look in self._looks:
            look.cancel()
        return True

    async def close(self) -> None:
        tasks = [self._task, *self._looks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while True:
                await self._look_where_due()
                await self._pause()
        except Exception as problem:  # whatever it is, nobody may wait for ever because of it
            for space in list(self._spaces.values()):
                self._told.lost(space.repo_id, problem)
            raise

    async def _look_where_due(self) -> None:
        now = self._clock()
        due = [space for space in self._spaces.values() if space.due <= now and not space.asked]
        if not self._lists:
            for space in due:
                self._ask(space)
            return
        new = [space for space in due if space.stage is None]
        many = len(new) + self._asked_alone > max(_FEW, self._pages)
        if many or (new and not self._polling.pace.has_room(len(new))):
            # A list has them all, but not one for each handful of those who come one after the other.
            self._list_due = min(self._list_due, self._listed_at + _NEXT_LIST)
            new = []
        if self._list_due <= now:
            await self._look_at_all()
        else:
            for space in new:
                self._ask(space)
            self._asked_alone += len(new)

    @property
    def _lists(self) -> bool:
        """Whether lists are cheaper than a request for each Space."""
        return len(self._spaces) > max(_FEW, self._pages + 1)

    async def _pause(self) -> None:
        """Until something is due, or somebody new comes."""
        now, lists = self._clock(), self._lists
        waiting = [
            space.due
            for space in self._spaces.values()
            if not space.asked and not (lists and (space.stage is not None or space.due <= now))
        ]
        if lists:
            waiting.append(self._list_due)
        seconds = min(waiting, default=now + _LONGEST_PAUSE) - now
        self._woken.clear()
        if seconds > 0:
            # Not wait_for: until Python 3.12 it loses a cancellation that comes with the wake-up.
            woken = asyncio.ensure_future(self._woken.wait())
            try:
                await asyncio.wait({woken}, timeout=seconds)
            finally:
                woken.cancel()
            if not self._woken.is_set():
                return
            # Those who come together are looked at together.
            await asyncio.sleep(_TOGETHER)

    def _ask(self, space: _Space) -> None:
        """Look at one Space alone."""
        space.asked = True
        look = asyncio.create_task(self._look_at(space))
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)

    async def _look_at(self, space: _Space) -> None:
        try:
            # Its turn counts from when it was due, so that looks do not drift apart from the interval.
            began = space.due
            await self._polling.pace.turn()
            async with self._polling.slots:
                runtime = await self._polling.client.send(calls.get_runtime(space.repo_id), retry=_ONCE)
        except HubError as error:
            self._failed([space], error)
        else:
            self._seen(space, runtime, began)
            self._told.saw(space.repo_id, runtime, certain=True)
        finally:
            space.asked = False
            self._woken.set()

    async def _look_at_all(self) -> None:
        """Look at a list of the owner's Spaces, and alone at those that are not in it."""
        looked: set[str] = set()
        known = list(self._spaces.items())
        began = self._listed_at = self._clock()
        pages = self._asked_alone = 0
        size = min(max(len(known) // _PAGES, _SMALLEST_PAGE), _LARGEST_PAGE)
        self._list_due = began + min(space.interval for space in self._spaces.values())
        call = calls.list_runtimes(author=self._name, limit=size)
        try:
            await self._polling.pace.turn()
            async with self._polling.slots:
                async for page in self._polling.client.pages(call, retry=_ONCE):
                    pages += 1
                    looked |= await self._read(page, began)
                    if len(looked) >= len(self._spaces) or pages > len(self._spaces):
                        break
                    await self._polling.pace.turn()
        except HubError as error:
            missed = [each for key, each in self._spaces.items() if key not in looked]
            self._failed(missed, error)
            self._list_due = max(self._list_due, min((each.due for each in missed), default=0.0))
            return
        self._pages = max(pages, 1)
        now = self._clock()
        for key, space in known:
            if key in self._spaces and key not in looked and space.due <= now and not space.asked:
                self._ask(space)

    async def _read(self, page: list[calls.ListedRuntime], began: float) -> set[str]:
        looked = set()
        for number, listed in enumerate(page):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            space = self._spaces.get(listed.repo_id.lower())
            if space is None:
                continue
            digest = hash(str(listed.payload.get("runtime")))
            if digest == space.digest and began - space.told_at < _TELL_AGAIN:
                looked.add(listed.repo_id.lower())
                space.due = began + space.interval
                continue
            runtime = listed.runtime()
            if runtime is None:
                continue
            looked.add(listed.repo_id.lower())
            space.digest, space.told_at = digest, began
            self._seen(space, runtime, began)
            if self._told.saw(space.repo_id, runtime, certain=False) and not space.asked:
                self._ask(space)
        return looked

    def _seen(self, space: _Space, runtime: SpaceRuntime, began: float) -> None:
        now = self._clock()
        space.failures, space.failing_since = 0, None
        if runtime.stage != space.stage:
            if space.stage in BUILD_STAGES and space.stage_since:
                self._polling.builds.append(now - space.stage_since)
            space.stage_since = now if space.stage is not None else 0.0
            space.stage = runtime.stage
        space.due = max(began + self._interval(space, now), now + space.interval * 0.5)

    def _interval(self, space: _Space, now: float) -> float:
        """Twice as long in the first half of a build, which no build has ever ended in."""
        usual = self._polling.usual_build()
        if usual is None or space.stage not in BUILD_STAGES or not space.stage_since:
            return space.interval
        early = now + 2 * space.interval < space.stage_since + usual / 2
        return 2 * space.interval if early else space.interval

    def _failed(self, spaces: list[_Space], error: HubError) -> None:
        now = self._clock()
        for space in spaces:
            space.failures += 1
            space.digest = None
            if not isinstance(error, HubRateLimited):
                space.failing_since = space.failing_since or now
            since = space.failing_since
            if error.permanent or (since is not None and now - since > _PATIENCE):
                error.tries = space.failures
                self._told.lost(space.repo_id, error)
            pause = space.interval * 2 ** min(space.failures - 1, 6)
            space.due = now + min(pause, max(_LONGEST_PAUSE, space.interval))
        if spaces and spaces[0].failures == 1:
            log.warning("%s Looking again later.", error)
