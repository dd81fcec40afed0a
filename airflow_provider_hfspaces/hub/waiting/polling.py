"""Polling: reads the runtimes of followed Spaces, with one coroutine for each owner.

Come here to change how often Spaces are polled. A wait either has an interval of its own, or its Space is
polled as often as the share of the quota allows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
from airflow_provider_hfspaces.hub.http.pace import Pace
from airflow_provider_hfspaces.hub.waiting.looks import Interval
from airflow_provider_hfspaces.hub.waiting.owner import Failed, FollowedOwner, Seen, SharedByOwners

__all__ = ["Polling"]

_PERIOD_SECONDS = 0.5
"""Time for which a calculated period is reused, because the calculation is slow with many Spaces."""


class Polling:
    """Polls Spaces at their intervals, and passes each runtime on.

    One coroutine per owner polls the Spaces of this owner, so that errors of one owner do not delay the
    others. All coroutines share the pace.

    :param client: sends the requests.
    :param seen: called with each runtime; returns True if a request about the Space alone has to confirm it.
    :param failed: called when the requests about a Space begin to fail, and when they have finally failed.
    :param pace: limits how fast requests are sent.
    :param clock: returns the time in seconds.
    :param sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        client: AsyncHubClient,
        seen: Seen,
        failed: Failed,
        *,
        pace: Pace,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._pace, self._clock = pace, clock
        self._shared = SharedByOwners(client, seen, failed, pace, clock, sleep, self._period)
        self._owners: dict[str, FollowedOwner] = {}
        self._last_period, self._period_until = 0.0, float("-inf")

    def follow(self, repo_id: str, interval: Interval) -> None:
        """Poll this Space at once, and at least at this interval from now on."""
        name = _owner_of(repo_id)
        if name not in self._owners:
            self._owners[name] = FollowedOwner(self._shared, name)
        self._owners[name].follow(repo_id, interval)

    def slow_down(self, repo_id: str, interval: Interval) -> None:
        """Poll this Space at this longer interval: a wait with a shorter interval has ended."""
        owner = self._owners.get(_owner_of(repo_id))
        if owner is not None:
            owner.slow_down(repo_id, interval)

    def leave(self, repo_id: str) -> None:
        """Stop polling this Space."""
        name = _owner_of(repo_id)
        owner = self._owners.get(name)
        if owner is not None and not owner.leave(repo_id):
            owner.cancel()
            del self._owners[name]

    async def close(self) -> None:
        """Stop polling all Spaces."""
        owners, self._owners = list(self._owners.values()), {}
        tasks = [task for owner in owners for task in owner.cancel()]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _period(self) -> float:
        """Return the seconds between two polls of the Spaces without an interval, of all owners."""
        now = self._clock()
        if now >= self._period_until:
            requests = besides = 0.0
            for owner in self._owners.values():
                per_round, per_second = owner.load()
                requests, besides = requests + per_round, besides + per_second
            self._last_period = self._pace.period(max(requests, 1.0), besides=besides)
            self._period_until = now + _PERIOD_SECONDS
        return self._last_period


def _owner_of(repo_id: str) -> str:
    return repo_id.partition("/")[0].lower()
