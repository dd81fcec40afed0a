"""The Hub's rate limit: how many requests a token may still send, and how fast a watch may send them."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import re
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

__all__ = ["Pace", "RateBudget", "limits_one_route", "retry_after"]

log = logging.getLogger(__name__)

DEFAULT_QUOTA = 500
"""Requests per window until the Hub has sent its policy: the smallest quota that it is known to have."""

DEFAULT_WINDOW_SECONDS = 300
"""Length of a window until the Hub has sent its policy."""

LONGEST_WINDOW_SECONDS = 3600
"""No answer closes a token's budget for longer. A policy with a longer window is ignored."""

LONGEST_RETRY_AFTER_SECONDS = 86_400
"""A longer ``Retry-After`` is shortened to this."""

JITTER_SECONDS = 2.0
"""Clients that have waited for a new window spread their next requests over this time."""

BURST_SHARE = 0.3
"""How much of its share a watch may use at once; the rest is spread evenly, so that no window ever sees
more than the share."""

_NUMBER = r"[0-9]{1,9}(?![0-9])"
_RATE_LIMIT = re.compile(rf'"\w+"\s*;\s*r=(?P<remaining>{_NUMBER})\s*;\s*t=(?P<reset>{_NUMBER})')
_RATE_POLICY = re.compile(rf'"\w+"\s*;\s*q=(?P<quota>{_NUMBER})\s*;\s*w=(?P<window>{_NUMBER})')


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the Hub asks to wait: ``RateLimit`` first, then ``Retry-After``."""
    state = _RATE_LIMIT.search(headers.get("ratelimit") or "")
    if state and int(state["remaining"]) == 0:
        return float(min(int(state["reset"]), LONGEST_WINDOW_SECONDS))
    value = (headers.get("retry-after") or "").strip()
    if re.fullmatch(r"[0-9]+", value):
        return float(min(int(value[:9]), LONGEST_RETRY_AFTER_SECONDS))
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        seconds = (moment - datetime.now(timezone.utc)).total_seconds()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return min(max(0.0, seconds), float(LONGEST_RETRY_AFTER_SECONDS))


def limits_one_route(headers: Mapping[str, str]) -> bool:
    """Return True if a 429 comes from a limit on one kind of request.

    The token's quota has room left, or the answer names neither a quota nor a time to come back.
    """
    state = _RATE_LIMIT.search(headers.get("ratelimit") or "")
    return retry_after(headers) is None if state is None else int(state["remaining"]) > 0


class RateBudget:
    """The requests that a token may still send, learnt from the Hub's answers, shared within the process.

    :ivar quota: requests per window; ``None`` until the Hub has sent its policy.
    :ivar window: seconds.
    :ivar remaining: requests left in this window, the least that any answer has reported.
    """

    _budgets: dict[str, RateBudget] = {}
    _registry_lock = threading.Lock()

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._closed_until = 0.0
        self._logged_until = 0.0
        self._resets_at = 0.0
        self.quota: int | None = None
        self.window: int | None = None
        self.remaining: int | None = None

    @classmethod
    def shared(
        cls, endpoint: str, token: str | None, clock: Callable[[], float] = time.monotonic
    ) -> RateBudget:
        """Return the budget that all clients of a token share. Without a token the Hub counts by address."""
        key = hashlib.sha256(f"{endpoint}\n{token or ''}".encode()).hexdigest()
        with cls._registry_lock:
            return cls._budgets.setdefault(key, cls(clock))

    @classmethod
    def forget_all(cls) -> None:
        """Forget every budget, as between two tests. Existing clients keep theirs."""
        with cls._registry_lock:
            cls._budgets.clear()

    def learn(self, headers: Mapping[str, str], status: int) -> None:
        """Read the quota from the headers of an answer.

        One answer never closes the budget for longer than a window lasts.
        """
        state = _RATE_LIMIT.search(headers.get("ratelimit") or "")
        policy = _RATE_POLICY.search(headers.get("ratelimit-policy") or "")
        with self._lock:
            if policy:
                quota, window = int(policy["quota"]), int(policy["window"])
                if quota > 0 and 0 < window <= LONGEST_WINDOW_SECONDS:
                    self.quota, self.window = quota, window
            if state:
                reset = self._within_window(int(state["reset"]))
                remaining, resets_at = int(state["remaining"]), self._clock() + reset
                if self.remaining is not None and self._is_this_window(resets_at):
                    # Parallel answers may arrive in another order than the Hub counted their requests.
                    remaining = min(remaining, self.remaining)
                self.remaining, self._resets_at = remaining, resets_at
                if self.remaining == 0:
                    self._close(reset)
            elif status == 429:
                self._close(self._within_window(retry_after(headers) or 0))

    def _within_window(self, seconds: float) -> float:
        return min(seconds, self.window or DEFAULT_WINDOW_SECONDS)

    def wait(self) -> float:
        """Return the seconds to wait before the next request, 0 if it may go now."""
        with self._lock:
            rest = self._closed_until - self._clock()
            if rest > 1 and self._logged_until != self._closed_until:
                self._logged_until = self._closed_until
                log.warning(
                    "The Hub's quota%s is used up: requests wait %.0f seconds for the next window.",
                    f" of {self.quota} requests in {self.window} seconds" if self.quota else "",
                    rest,
                )
        return rest + random.uniform(0, JITTER_SECONDS) if rest > 0 else 0.0

    def seconds_to_reset(self) -> float:
        """Return the seconds until the present window ends, 0 if it is over."""
        with self._lock:
            return max(0.0, self._resets_at - self._clock())

    def _is_this_window(self, resets_at: float) -> bool:
        same = abs(resets_at - self._resets_at) < (self.window or 0) / 2
        return same and self._clock() < self._resets_at

    def _close(self, seconds: float) -> None:
        self._closed_until = max(self._closed_until, self._clock() + seconds)


class Pace:
    """Lets requests go one after the other, in the order of their callers, within a share of the quota.

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
        self._used = 0
        self._window_ends = 0.0
        self._slow = False

    @property
    def spacing(self) -> float:
        """Seconds between two requests in the long run."""
        return self._rate()[0]

    def _rate(self) -> tuple[float, float]:
        """Seconds between two requests, and how many may go at once."""
        quota, window = DEFAULT_QUOTA, DEFAULT_WINDOW_SECONDS
        if self.budget.quota and self.budget.window:
            quota, window = self.budget.quota, self.budget.window
        own = quota * self.share
        spacing, burst = window / max(own * (1 - BURST_SHARE), 1), own * BURST_SHARE
        reset = self.budget.seconds_to_reset()
        if self._clock() >= self._window_ends:
            self._used = 0
            self._window_ends = self._clock() + reset
        if reset > 0 and self.budget.remaining is not None:
            others = quota - self.budget.remaining - self._used
            if others > quota - own:
                # Other clients have used more than their part of this window: take a share of the rest.
                rest = max((quota - others) * self.share - self._used, 0.1)
                spacing, burst = max(spacing, reset / rest), min(burst, max(rest * BURST_SHARE, 1.0))
        return spacing, burst

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

    def _log_slow(self, spacing: float) -> None:
        if not self._slow:
            self._slow = True
            log.warning(
                "Waiting for Spaces is slowed down to one request in %.1f seconds, to stay within %d %% of "
                "the Hub's quota of %s requests in %s seconds.",
                spacing,
                self.share * 100,
                self.budget.quota or DEFAULT_QUOTA,
                self.budget.window or DEFAULT_WINDOW_SECONDS,
            )
