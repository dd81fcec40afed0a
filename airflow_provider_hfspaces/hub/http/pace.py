"""Pace: limits how fast waits poll Spaces, to stay within a share of the Hub's rate limit."""

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
"""Part of its share that a watch may use at once. The rest is spread evenly over the window, so that no
window ever sees more than the share."""

RESERVE_SHARE = 0.1
"""Part of the quota that the waits of all processes leave to other programs and people. It also covers
requests of other processes between two answers."""

LEAST_PERIOD_SECONDS = 2.0
"""Shortest time between two polls of a wait without a ``poll_interval``."""

_EXTRA_PART = 0.01
"""Addition to the part of the remaining requests that each process claims. It favours processes with a small
part, until all parts are equal."""


class Pace:
    """Admits requests one by one, in the order of their callers, within a share of the quota.

    ::

        pace = Pace(client.budget, share=0.25)
        await pace.turn()
        runtime = await client.send(calls.get_runtime("acme/whisper"))

    Each process with the token has its own pace. The processes do not communicate: each one estimates the
    requests of the others from the remaining requests that the Hub reports. If all of them together would use
    up the quota before the window ends, each slows down in proportion to its own rate, so that the quota
    lasts until the next window.

    :param budget: the rate limit, as the Hub has reported it.
    :param share: share of the quota, above 0 and at most 1; by default 0.5.
    :param clock: returns the time in seconds.
    :param sleep: waits for a number of seconds.
    :raises ValueError: for a share that is not valid.
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
            raise ValueError(f"share must be above 0 and at most 1; got {share!r}.")
        self.budget, self.share = budget, share
        self._clock, self._sleep = clock, sleep
        self._turn = asyncio.Lock()
        self._left = self._burst = 0.0
        self._counted_at = clock()
        self._is_slow = False
        self._phase = random.random()

    @property
    def spacing(self) -> float:
        """Seconds between two requests in the long run, at the current rates."""
        return self._rate()[0]

    def period(self, requests: float = 1.0, *, besides: float = 0.0) -> float:
        """Return the shortest time between two rounds of polls that the share allows.

        :param requests: number of requests in a round; by default 1.
        :param besides: requests per second that are sent in addition to the rounds; by default 0.
        :returns: seconds: at least 2, and at most the length of a window.
        """
        reset, new = self.budget.seconds_to_reset(), self._new_window()
        seconds = requests / max(new - besides, new / 10)
        if reset > 0:
            now = 1 / self._rate()[0]
            # The next window may allow more requests than this one.
            seconds = min(requests / max(now - besides, now / 10), reset + self._phase * seconds)
        return min(max(seconds, LEAST_PERIOD_SECONDS), float(self._policy()[1]))

    def has_room(self, requests: int = 1) -> bool:
        """Return True if this number of requests may be sent without waiting."""
        self._refill()
        return self._left >= requests

    async def turn(self) -> None:
        """Wait until one more request may be sent."""
        async with self._turn:
            spacing = self._refill()
            if self._left < 1:
                self._log_slow(spacing)
                await self._sleep((1 - self._left) * spacing)
                self._refill()
            self._left -= 1

    def _rate(self) -> tuple[float, float]:
        """Return the seconds between two requests, and how many requests may be sent at once."""
        budget = self.budget
        quota, window = self._policy()
        own = quota * self.share
        spacing, burst = window / max(own * (1 - BURST_SHARE), 1), own * BURST_SHARE
        remaining, reset = budget.remaining, budget.seconds_to_reset()
        if remaining is None or reset <= 0:
            # A new window: nothing of its quota is used, as far as this process knows.
            remaining, reset = quota, float(window)
        free = remaining - quota * RESERVE_SHARE
        if free < 1:
            return max(spacing, reset + self._phase / self._new_window()), 1.0
        lasting = free / reset
        part = self._part(lasting)
        # The next window may allow more requests than this one.
        lasting_spacing = min(1 / (lasting * part), reset + self._phase / self._new_window())
        return max(spacing, lasting_spacing), max(min(burst, free * BURST_SHARE) * part, 1.0)

    def _new_window(self) -> float:
        """Return the requests per second of this process at the beginning of a window."""
        quota, window = self._policy()
        lasting = quota * (1 - RESERVE_SHARE) / window
        own = quota * self.share * (1 - BURST_SHARE) / window
        return min(own, lasting * self._part(lasting))

    def _policy(self) -> tuple[int, int]:
        """Return the requests per window, and the seconds of a window."""
        if self.budget.quota and self.budget.window:
            return self.budget.quota, self.budget.window
        return DEFAULT_QUOTA, DEFAULT_WINDOW_SECONDS

    def _part(self, lasting: float) -> float:
        """Return the part of the remaining requests that this process may send.

        :param lasting: requests per second with which the quota lasts until the next window.
        """
        others = self.budget.others_rate / lasting
        own = self.budget.own_rate / lasting + _EXTRA_PART
        return max(1 - others, own / (own + others))

    def _refill(self) -> float:
        """Add the requests that the elapsed time allows, and return the seconds between two requests."""
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
                "Waits poll more slowly, with one request every %.1f seconds, to stay within %d %% of the "
                "Hub's quota of %s requests in %s seconds.",
                spacing,
                self.share * 100,
                self.budget.quota or DEFAULT_QUOTA,
                self.budget.window or DEFAULT_WINDOW_SECONDS,
            )
