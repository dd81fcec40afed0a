"""Polling: follows Spaces, one coroutine for each owner, and decides how often waits look.

A wait either has an interval of its own, or looks as often as its part of the quota allows.
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
"""Time for which a period that was worked out is used: with many Spaces that takes a while."""


class Polling:
    """Reads the runtimes of Spaces at their intervals and passes them on.

    One coroutine per owner polls that owner's Spaces, so that errors with one owner do not delay the
    others. All of them share the pace.

    :param client: sends the requests.
    :param seen: called with each look; returns True if a certain look is needed.
    :param failed: called when the requests about a Space begin to fail, and when they have failed for good.
    :param pace: how fast requests may be sent.
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
        """Look at this Space at once, and at least at this interval from now on."""
        name = _owner_of(repo_id)
        if name not in self._owners:
            self._owners[name] = FollowedOwner(self._shared, name)
        self._owners[name].follow(repo_id, interval)

    def slow_down(self, repo_id: str, interval: Interval) -> None:
        """Look at this Space only at this interval: a wait with a shorter interval has ended."""
        owner = self._owners.get(_owner_of(repo_id))
        if owner is not None:
            owner.slow_down(repo_id, interval)

    def leave(self, repo_id: str) -> None:
        """Look at this Space no more."""
        name = _owner_of(repo_id)
        owner = self._owners.get(name)
        if owner is not None and not owner.leave(repo_id):
            owner.cancel()
            del self._owners[name]

    async def close(self) -> None:
        """Stop."""
        owners, self._owners = list(self._owners.values()), {}
        tasks = [task for owner in owners for task in owner.cancel()]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _period(self) -> float:
        """The seconds between two looks at the Spaces without an interval of their own, of all owners."""
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
