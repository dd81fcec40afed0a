"""RateBudget: the Hub's rate limit of a token, read from the headers of its answers.

Come here to change how a client waits for the rate limit, or how the share of other processes is estimated.
"""

from __future__ import annotations

import hashlib
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

__all__ = [
    "DEFAULT_QUOTA",
    "DEFAULT_WINDOW_SECONDS",
    "JITTER_SECONDS",
    "RateBudget",
    "limits_one_route",
    "retry_after",
]

log = logging.getLogger(__name__)

DEFAULT_QUOTA = 500
"""Requests per window until the Hub has sent its policy: the smallest known quota."""

DEFAULT_WINDOW_SECONDS = 300
"""Length of a rate-limit window until the Hub has sent its policy."""

LONGEST_WINDOW_SECONDS = 3600
"""Longest window in a policy of the Hub. A policy with a longer window is ignored."""

LONGEST_RETRY_AFTER_SECONDS = 86_400
"""Longest ``Retry-After``. A longer one is shortened to a day."""

JITTER_SECONDS = 2.0
"""Time over which clients that waited for a new window spread their next requests."""

MEASURING_SECONDS = 5.0
"""Shortest time between two measurements of the request rates."""

MEMORY_SECONDS = 20.0
"""Length of a measurement that replaces the previous one. A shorter measurement is averaged with it."""

_OTHER_QUOTAS = ("resolvers", "pages")
"""Names of the Hub's separate quotas for files and for web pages, which do not limit API requests."""

_NUMBER = r"[0-9]{1,9}(?![0-9])"
_RATE_LIMIT = re.compile(rf'"(?P<name>\w+)"\s*;\s*r=(?P<remaining>{_NUMBER})\s*;\s*t=(?P<reset>{_NUMBER})')
_RATE_POLICY = re.compile(rf'"\w+"\s*;\s*q=(?P<quota>{_NUMBER})\s*;\s*w=(?P<window>{_NUMBER})')


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds after which the Hub accepts the request; ``None`` if the headers do not say.

    A ``RateLimit`` header with no remaining requests takes precedence over ``Retry-After``.

    :param headers: headers of the answer, with case-insensitive names.
    """
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
    """Return True if a 429 comes from a limit on one kind of request, such as creating Spaces.

    Such an answer shows requests remaining in the token's quota, or has neither a quota nor ``Retry-After``.

    :param headers: headers of the answer, with case-insensitive names.
    """
    state = _RATE_LIMIT.search(headers.get("ratelimit") or "")
    return retry_after(headers) is None if state is None else int(state["remaining"]) > 0


class RateBudget:
    """Tracks how many requests a token may still send, from the headers of the Hub's answers.

    All clients with one token share a budget within the process, see :meth:`shared`::

        budget = client.budget
        print(budget.remaining, "of", budget.quota, "requests,", budget.seconds_to_reset(), "seconds left")

    :ivar quota: requests per window; ``None`` until the Hub has sent its policy.
    :ivar window: length of a window in seconds; ``None`` until the Hub has sent its policy.
    :ivar remaining: requests left in this window, the smallest number in any answer; ``None`` before the
        first answer.
    :ivar own_rate: requests per second that this process sent recently; 0 before the first measurement.
    :ivar others_rate: requests per second that other processes and people sent recently with the token; 0
        before the first measurement. It is estimated from the requests that are missing from the quota and
        that this process did not send.
    """

    _budgets: dict[str, RateBudget] = {}
    _registry_lock = threading.Lock()

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._closed_until = 0.0
        self._logged_until = 0.0
        self._resets_at = 0.0
        self._sent = 0
        self._measured_at = self._own_before = self._others_before = 0.0
        self.quota: int | None = None
        self.window: int | None = None
        self.remaining: int | None = None
        self.own_rate = self.others_rate = 0.0
        self._has_measured = False

    @classmethod
    def shared(
        cls, endpoint: str, token: str | None, clock: Callable[[], float] = time.monotonic
    ) -> RateBudget:
        """Return the budget that all clients of a token share in this process.

        :param endpoint: the Hub's address.
        :param token: the token; ``None`` for clients without a token, which the Hub limits by IP address.
        :param clock: returns the time in seconds, for a new budget.
        """
        key = hashlib.sha256(f"{endpoint}\n{token or ''}".encode()).hexdigest()
        with cls._registry_lock:
            return cls._budgets.setdefault(key, cls(clock))

    @classmethod
    def forget_all(cls) -> None:
        """Forget all shared budgets, for example between two tests. Existing clients keep their budget."""
        with cls._registry_lock:
            cls._budgets.clear()

    def count(self) -> None:
        """Count a request that this process is about to send."""
        with self._lock:
            self._sent += 1

    def learn(self, headers: Mapping[str, str], status: int) -> None:
        """Read the rate limit from the headers of an answer.

        An answer makes requests wait for one window at most. Headers of a separate quota, such as the one for
        files, are ignored.

        :param headers: headers of the answer, with case-insensitive names.
        :param status: HTTP status of the answer.
        """
        state = _RATE_LIMIT.search(headers.get("ratelimit") or "")
        if state and state["name"] in _OTHER_QUOTAS:
            return
        policy = _RATE_POLICY.search(headers.get("ratelimit-policy") or "")
        with self._lock:
            if policy:
                quota, window = int(policy["quota"]), int(policy["window"])
                if quota > 0 and 0 < window <= LONGEST_WINDOW_SECONDS:
                    self.quota, self.window = quota, window
            if state:
                reset = self._within_window(int(state["reset"]))
                remaining, resets_at = int(state["remaining"]), self._clock() + reset
                is_first = self.remaining is None
                if self.remaining is not None and self._is_this_window(resets_at):
                    # Answers to parallel requests may arrive in another order than the Hub counted them.
                    remaining = min(remaining, self.remaining)
                else:
                    self._begin_window(resets_at)
                self.remaining, self._resets_at = remaining, resets_at
                self._measure(begin=is_first)
                if self.remaining == 0:
                    self._close(reset)
            elif status == 429:
                self._close(self._within_window(retry_after(headers) or 0))

    def _within_window(self, seconds: float) -> float:
        return min(seconds, self.window or DEFAULT_WINDOW_SECONDS)

    def wait(self) -> float:
        """Return the seconds to wait before the next request; 0 if it may be sent now."""
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
        """Return the seconds until the current window ends; 0 if it has ended or is unknown."""
        with self._lock:
            return max(0.0, self._resets_at - self._clock())

    def _is_this_window(self, resets_at: float) -> bool:
        same = abs(resets_at - self._resets_at) < (self.window or 0) / 2
        return same and self._clock() < self._resets_at

    def _begin_window(self, resets_at: float) -> None:
        """Start to count at the beginning of a window, since which its quota shrinks."""
        self._sent = 1
        self._own_before = self._others_before = 0.0
        self._measured_at = min(resets_at - (self.window or DEFAULT_WINDOW_SECONDS), self._clock())

    def _measure(self, *, begin: bool) -> None:
        """Measure the request rates of this process and of others, from the used part of the quota.

        :param begin: start a measurement without a rate, because earlier requests of others say little about
            their current rate.
        """
        seconds = self._clock() - self._measured_at
        if self.quota is None or self.remaining is None or not (begin or seconds >= MEASURING_SECONDS):
            return
        others = max(float(self.quota - self.remaining - self._sent), self._others_before)
        if begin:
            self._measured_at, self._own_before, self._others_before = self._clock(), 1.0, others
            return
        weight = min(seconds / MEMORY_SECONDS, 1.0) if self._has_measured else 1.0
        self.own_rate += weight * ((self._sent - self._own_before) / seconds - self.own_rate)
        self.others_rate += weight * ((others - self._others_before) / seconds - self.others_rate)
        self._has_measured = True
        self._measured_at, self._own_before, self._others_before = self._clock(), float(self._sent), others

    def _close(self, seconds: float) -> None:
        self._closed_until = max(self._closed_until, self._clock() + seconds)
