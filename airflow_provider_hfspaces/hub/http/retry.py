"""When a request is sent again and how long to wait before it: one policy for both clients.

What may be sent again depends on what went wrong:

- 429: whatever the call, once the Hub takes requests again. It says when, in ``RateLimit`` or
  ``Retry-After``, and every client of the same token in this process waits for it.
- 502, 503, 504, no connection, no such host: whatever the call, since the Hub did not take it.
- 500, or an answer that was lost after the request went out: repeatable calls only.
- everything else: never.
"""

from __future__ import annotations

import hashlib
import logging
import random
import re
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import tenacity

from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.errors import HubError, HubRateLimited, HubUnavailable

__all__ = ["RateBudget", "RetryDeadline", "RetryPolicy", "may_repeat", "retry_after"]

log = logging.getLogger(__name__)

_RATE_LIMIT = re.compile(r'"(?P<bucket>\w+)"\s*;\s*r=(?P<remaining>\d+)\s*;\s*t=(?P<reset>\d+)')
_RATE_POLICY = re.compile(r'"(?P<bucket>\w+)"\s*;\s*q=(?P<quota>\d+)\s*;\s*w=(?P<window>\d+)')
_GATEWAY = frozenset({502, 503, 504})
_SPREAD = 2.0
"""Seconds over which those who waited for the same window come back, so as not to come at once."""


class RateBudget:
    """What one token may still send: learnt from the Hub's answers, shared within the process.

    :ivar quota: requests per window; ``None`` until the Hub has said so.
    :ivar window: seconds.
    :ivar remaining: requests left in this window, by the least that was heard of it.
    """

    _budgets: dict[str, RateBudget] = {}
    _registry_lock = threading.Lock()

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._closed_until = 0.0
        self._told_of = 0.0
        self._resets_at = 0.0
        self.quota: int | None = None
        self.window: int | None = None
        self.remaining: int | None = None

    @classmethod
    def of(cls, endpoint: str, token: str | None) -> RateBudget:
        """The one budget of a token on a Hub. Without a token the Hub counts by address."""
        key = hashlib.sha256(f"{endpoint}\n{token or ''}".encode()).hexdigest()
        with cls._registry_lock:
            return cls._budgets.setdefault(key, cls())

    @classmethod
    def forget_all(cls) -> None:
        """Begin anew, as a test does. Clients that exist keep what they know."""
        with cls._registry_lock:
            cls._budgets.clear()

    def learn(self, headers: Mapping[str, str], status: int) -> None:
        """Take in what an answer says of the quota."""
        left = _RATE_LIMIT.search(headers.get("ratelimit") or "")
        policy = _RATE_POLICY.search(headers.get("ratelimit-policy") or "")
        with self._lock:
            if policy:
                self.quota, self.window = int(policy["quota"]), int(policy["window"])
            if left:
                remaining, resets_at = int(left["remaining"]), self._clock() + int(left["reset"])
                if self.remaining is not None and self._is_this_window(resets_at):
                    # Of several answers at once the last to arrive need not be the last that was sent.
                    remaining = min(remaining, self.remaining)
                self.remaining, self._resets_at = remaining, resets_at
                if self.remaining == 0:
                    self._close(int(left["reset"]))
            elif status == 429:
                self._close(retry_after(headers) or 0)

    def wait(self) -> float:
        """Seconds to wait before the next request, 0 if there is nothing to wait for."""
        with self._lock:
            left = self._closed_until - self._clock()
            if left > 1 and self._told_of != self._closed_until:
                self._told_of = self._closed_until
                log.warning(
                    "The Hub's quota%s is used up: requests wait %.0f seconds for the next window.",
                    f" of {self.quota} requests in {self.window} seconds" if self.quota else "",
                    left,
                )
        return left + random.uniform(0, _SPREAD) if left > 0 else 0.0

    def seconds_to_reset(self) -> float:
        """Seconds until the present window ends, as last heard; 0 if that is over."""
        with self._lock:
            return max(0.0, self._resets_at - self._clock())

    def _is_this_window(self, resets_at: float) -> bool:
        same = abs(resets_at - self._resets_at) < (self.window or 0) / 2
        return same and self._clock() < self._resets_at

    def _close(self, seconds: float) -> None:
        self._closed_until = max(self._closed_until, self._clock() + seconds)


@dataclass(frozen=True)
class RetryPolicy:
    """How long, and how patiently, a client tries.

    :param total: seconds that a call may take with all its tries.
    :param total_rate_limited: the same where the Hub's rate limit made it wait.
    :param first_wait: seconds before the second try, at the most; it doubles from try to try.
    :param longest_wait: seconds between two tries, at the most.
    """

    total: float = 120.0
    total_rate_limited: float = 360.0
    first_wait: float = 1.0
    longest_wait: float = 20.0

    def retrying(self, call: Call[Any], sleep: Callable[[float], None]) -> tenacity.Retrying:
        """A loop of tries for one call."""
        return tenacity.Retrying(sleep=sleep, **self._options(call))

    def async_retrying(
        self, call: Call[Any], sleep: Callable[[float], Awaitable[None]]
    ) -> tenacity.AsyncRetrying:
        """The same for a coroutine."""
        return tenacity.AsyncRetrying(sleep=sleep, **self._options(call))

    def _options(self, call: Call[Any]) -> dict[str, Any]:
        attempts = _Attempts(self, call)
        return {
            "retry": tenacity.retry_if_exception(attempts.again),
            "wait": attempts.wait,
            "stop": attempts.stop,
            "before_sleep": attempts.tell,
            "retry_error_callback": attempts.give_up,
        }


@dataclass(frozen=True)
class RetryDeadline(RetryPolicy):
    """A policy for all calls of a client together: after a moment none is tried again.

    :param ends: that moment, on the clock of :func:`time.monotonic`.
    """

    ends: float = 0.0

    @classmethod
    def within(cls, seconds: float) -> RetryDeadline:
        """The deadline that is so many seconds from now."""
        return cls(seconds, seconds, ends=time.monotonic() + seconds)

    def _options(self, call: Call[Any]) -> dict[str, Any]:
        left = max(0.0, self.ends - time.monotonic())
        return RetryPolicy(left, left, self.first_wait, self.longest_wait)._options(call)


class _Attempts:
    """One call's tries, in tenacity's terms."""

    def __init__(self, policy: RetryPolicy, call: Call[Any]) -> None:
        self._policy = policy
        self._call = call
        self._rate_limited = False
        self._outcome_unknown = False
        self._tries = 0
        self._backoff = tenacity.wait_random_exponential(
            multiplier=policy.first_wait, max=policy.longest_wait
        )

    def again(self, error: BaseException) -> bool:
        if not isinstance(error, HubError):
            return False
        self._tries += 1
        error.tries = self._tries
        self._outcome_unknown |= error.outcome_unknown
        error.outcome_unknown = self._outcome_unknown
        self._rate_limited |= isinstance(error, HubRateLimited)
        return may_repeat(self._call, error)

    def wait(self, state: tenacity.RetryCallState) -> float:
        error = _error(state)
        if isinstance(error, HubRateLimited) and error.retry_after is not None:
            return error.retry_after + random.uniform(0, _SPREAD)
        return self._backoff(state)

    def stop(self, state: tenacity.RetryCallState) -> bool:
        limit = self._policy.total_rate_limited if self._rate_limited else self._policy.total
        return (state.seconds_since_start or 0) + state.upcoming_sleep > limit

    def tell(self, state: tenacity.RetryCallState) -> None:
        log.warning("%s Trying again in %.1f seconds.", _error(state), state.upcoming_sleep)

    def give_up(self, state: tenacity.RetryCallState) -> Any:
        raise _error(state)


def _error(state: tenacity.RetryCallState) -> HubError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, HubError)
    return error


def may_repeat(call: Call[Any], error: HubError) -> bool:
    """Whether a call may be sent again after this error."""
    if isinstance(error, HubRateLimited):
        return True
    if not isinstance(error, HubUnavailable) or error.permanent:
        return False
    if error.status in _GATEWAY:
        return True
    if error.status is None and not error.outcome_unknown:
        return True
    return call.repeatable and error.status in (None, 500)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the Hub asks to wait for: ``RateLimit`` first, then ``Retry-After``."""
    left = _RATE_LIMIT.search(headers.get("ratelimit") or "")
    if left and int(left["remaining"]) == 0:
        return float(left["reset"])
    said = (headers.get("retry-after") or "").strip()
    if said.isdigit():
        return float(said)
    try:
        moment = parsedate_to_datetime(said)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())
