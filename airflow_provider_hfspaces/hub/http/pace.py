"""Pace: how fast waits may look at Spaces within their share of the Hub's quota."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

from airflow_provider_hfspaces.hub.http.quota import DEFAULT_QUOTA, DEFAULT_WINDOW_SECONDS, RateBudget

__all__ = ["LEAST_PERIOD_SECONDS", "Pace"]

log = logging.getLogger(__name__)

BURST_SHARE = 0.3
"""How much of its share a watch may use at once; the rest is spread evenly, so that no window ever sees
more than the share."""

RESERVE_SHARE = 0.1
"""How much of the quota all waits of all processes leave to other programs and people. It also covers what
other processes send between two answers."""

LEAST_PERIOD_SECONDS = 2.0
"""Least time between two looks of a wait without an interval of its own."""

_EXTRA_PART = 0.01
"""What every process adds to its part of what remains. Small parts gain by it and large ones lose, until all
parts are equal."""


class Pace:
    """Lets requests go one after the other, in the order of their callers, within a share of the quota.

    Other processes with the same token keep a pace of their own. None knows of the others, but the Hub
    reports how many requests remain: what is missing, and was not sent by this process, was sent by others.
    If all of them together would use up the quota before the window ends, each becomes slower in proportion
    to what it sends, so that together they last until the next window.

    :param budget: the quota, as the Hub has reported it.
    :param share: the share of the quota, above 0 and at most 1; by default a half.
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
        self._is_slow = False
        self._phase = random.random()

    @property
    def spacing(self) -> float:
        """Seconds between two requests in the long run."""
        return self._rate()[0]

    def period(self, requests: float = 1.0, *, besides: float = 0.0) -> float:
        """Return the seconds between two rounds of looks, as short as the share allows.

        :param requests: requests that make a round.
        :param besides: requests per second that are sent in any case.
        :return: at least 2 seconds, and at most the length of a window.
        """
        reset, new = self.budget.seconds_to_reset(), self._new_window()
        seconds = requests / max(new - besides, new / 10)
        if reset > 0:
            now = 1 / self._rate()[0]
            # In the next window there may be more room than in this one.
            seconds = min(requests / max(now - besides, now / 10), reset + self._phase * seconds)
        return min(max(seconds, LEAST_PERIOD_SECONDS), float(self._policy()[1]))

    def has_room(self, requests: int = 1) -> bool:
        """Whether this number of requests may go without waiting."""
        self._refill()
        return self._left >= requests

    async def turn(self) -> None:
        """Wait until one more request may go."""
        async with self._turn:
            spacing = self._refill()
            if self._left < 1:
                self._log_slow(spacing)
                await self._sleep((1 - self._left) * spacing)
                self._refill()
            self._left -= 1

    def _rate(self) -> tuple[float, float]:
        """Seconds between two requests, and how many may go at once."""
        budget = self.budget
        quota, window = self._policy()
        own = quota * self.share
        spacing, burst = window / max(own * (1 - BURST_SHARE), 1), own * BURST_SHARE
        remaining, reset = budget.remaining, budget.seconds_to_reset()
        if remaining is None or reset <= 0:
            # A new window, of which nothing is known yet.
            remaining, reset = quota, float(window)
        free = remaining - quota * RESERVE_SHARE
        if free < 1:
            return max(spacing, reset + self._phase / self._new_window()), 1.0
        lasting = free / reset
        part = self._part(lasting)
        # In the next window there may be more room than in this one.
        lasting_spacing = min(1 / (lasting * part), reset + self._phase / self._new_window())
        return max(spacing, lasting_spacing), max(min(burst, free * BURST_SHARE) * part, 1.0)

    def _new_window(self) -> float:
        """Requests per second of this process at the beginning of a window."""
        quota, window = self._policy()
        lasting = quota * (1 - RESERVE_SHARE) / window
        own = quota * self.share * (1 - BURST_SHARE) / window
        return min(own, lasting * self._part(lasting))

    def _policy(self) -> tuple[int, int]:
        """Requests per window, and its seconds."""
        if self.budget.quota and self.budget.window:
            return self.budget.quota, self.budget.window
        return DEFAULT_QUOTA, DEFAULT_WINDOW_SECONDS

    def _part(self, lasting: float) -> float:
        """The part of the requests that remain which is this process's own.

        :param lasting: requests per second with which the quota lasts until the next window.
        """
        others = self.budget.others_rate / lasting
        own = self.budget.own_rate / lasting + _EXTRA_PART
        return max(1 - others, own / (own + others))

    def _refill(self) -> float:
        """Count what the time since the last request allows; returns the seconds between two."""
        now = self._clock()
        spacing, burst = self._rate()
        if self._left >= burst:
            self._is_slow = False
        allowed = (now - self._counted_at) / spacing + max(burst - self._burst, 0.0)
        self._left = min(self._left + allowed, burst)
        self._burst = max(self._burst, burst)
        self._counted_at = now
        return spacing

    def _log_slow(self, spacing: float) -> None:
        if not self._is_slow:
            self._is_slow = True
            log.warning(
                "Waiting for Spaces is slowed down to one request in %.1f seconds, to stay within %d %% of "
                "the Hub's quota of %s requests in %s seconds.",
                spacing,
                self.share * 100,
                self.budget.quota or DEFAULT_QUOTA,
                self.budget.window or DEFAULT_WINDOW_SECONDS,
            )
