"""How fast a watch may ask: a share of the quota, whatever others use of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from airflow_provider_hfspaces.hub.http.retry import RateBudget

__all__ = ["Pace"]

log = logging.getLogger(__name__)

_UNKNOWN = (500, 300)
"""Requests and seconds: the smallest quota there is, until the Hub has said which it is."""

_AT_ONCE = 0.3
"""How much of its share a watch may use up at once; the rest is spread evenly, so that no window
ever sees more than the share."""


class Pace:
    """Lets requests go one after the other, first come, first served, within a share of the quota.

    :param budget: what the Hub has said of the quota.
    :param share: of the quota, 0 to 1.
    """

    def __init__(
        self,
        budget: RateBudget,
        *,
        share: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"The share of the quota is above 0 and at most 1; got {share!r}.")
        self.budget, self.share = budget, share
        self._clock, self._sleep = clock, sleep
        self._turn = asyncio.Lock()
        self._left = self._burst = 0.0
        self._counted_at = clock()
        self._used = 0
        self._window_ends = 0.0
        self._slow = False

    @property
    def spacing(self) -> float:
        """Seconds between two requests in the long run."""
        return self._rate()[0]

    def _rate(self) -> tuple[float, float]:
        """Seconds between two requests, and how many may go at once."""
        quota, window = _UNKNOWN
        if self.budget.quota and self.budget.window:
            quota, window = self.budget.quota, self.budget.window
        own = quota * self.share
        spacing, burst = window / max(own * (1 - _AT_ONCE), 1), own * _AT_ONCE
        reset = self.budget.seconds_to_reset()
        if self._clock() >= self._window_ends:
            self._used = 0
            self._window_ends = self._clock() + reset
        if reset > 0 and self.budget.remaining is not None:
            others = quota - self.budget.remaining - self._used
            if others > quota - own:
                # They have used more than their part of this window: share what they leave.
                rest = max((quota - others) * self.share - self._used, 0.1)
                spacing, burst = max(spacing, reset / rest), min(burst, max(rest * _AT_ONCE, 1.0))
        return spacing, burst

    def has_room(self, requests: int = 1) -> bool:
        """Whether so many requests could go at once."""
        self._refill()
        return self._left >= requests

    async def turn(self) -> None:
        """Wait until one more request may go."""
        async with self._turn:
            spacing = self._refill()
            if self._left < 1:
                self._tell(spacing)
                await self._sleep((1 - self._left) * spacing)
                self._refill()
            self._left -= 1
            self._used += 1

    def _refill(self) -> float:
        """Count what the time since the last request allows; returns the seconds between two."""
        now = self._clock()
        spacing, burst = self._rate()
        if self._left >= burst:
            self._slow = False
        allowed = (now - self._counted_at) / spacing + max(burst - self._burst, 0.0)
        self._left = min(self._left + allowed, burst)
        self._burst = max(self._burst, burst)
        self._counted_at = now
        return spacing

    def _tell(self, spacing: float) -> None:
        if not self._slow:
            self._slow = True
            log.warning(
                "Waiting for Spaces is slowed down to one request in %.1f seconds, to stay within %d %% of "
                "the Hub's quota of %s requests in %s seconds.",
                spacing,
                self.share * 100,
                self.budget.quota or _UNKNOWN[0],
                self.budget.window or _UNKNOWN[1],
            )
