"""When a request is sent again, and how long to wait before it: one policy for both clients.

What may be sent again depends on what went wrong:

- 429: every call, once the Hub takes requests again. It says when, in ``RateLimit`` or ``Retry-After``,
  and every client of the same token in this process waits for it. A limit on one kind of request (the
  token's quota has room left, or the answer does not say when to come back) is tried a few times only,
  and delays no other client.
- 502, 503, 504, no connection, an unknown host: every call, since the Hub did not take the request.
- 500, or an answer that was lost after the request went out: repeatable calls only.
- a refusal that is not the Hub's, such as a proxy's page: every call, a few times, since the Hub did not
  take the request.
- everything else: never.
"""

from __future__ import annotations

import logging
import random
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

import tenacity

from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.error_responses import TRY_LATER
from airflow_provider_hfspaces.hub.errors import HubError, HubProtocolError, HubRateLimited, HubUnavailable
from airflow_provider_hfspaces.hub.http.quota import JITTER_SECONDS
from airflow_provider_hfspaces.hub.http.sequence import Delay
from airflow_provider_hfspaces.hub.observing import Observer, notify

__all__ = ["RetryDeadline", "RetryPolicy", "may_repeat"]

log = logging.getLogger(__name__)

T = TypeVar("T")

ROUTE_LIMIT_TRIES = 4
"""How often a call is sent if it meets a limit on one kind of request. Such limits last for hours."""

ROUTE_LIMIT_FIRST_WAIT_SECONDS = 15.0

FOREIGN_REFUSAL_TRIES = 3
"""How often a call is sent if a proxy or a gateway refuses it, not the Hub itself."""

_GATEWAY = frozenset({502, 503, 504})


@dataclass(frozen=True)
class RetryPolicy:
    """How long a client tries, and how long it waits between two tries.

    :param total: seconds that a call may take with all its tries, by default 120.
    :param total_rate_limited: seconds that it may take if the Hub's rate limit makes it wait, by default 360.
    :param first_wait: seconds before the second try, at most; it doubles from try to try.
    :param longest_wait: seconds between two tries, at most.
    """

    total: float = 120.0
    total_rate_limited: float = 360.0
    first_wait: float = 1.0
    longest_wait: float = 20.0

    def tries(
        self,
        call: Call[Any],
        attempt: Callable[[], Generator[Any, Any, T]],
        clock: Callable[[], float] = time.monotonic,
    ) -> Generator[Any, Any, T]:
        """Run one attempt after the other, without I/O: yields what an attempt yields, and :class:`.Delay`.

        :param attempt: makes the generator of one attempt.
        :raises HubError: of the last attempt.
        """
        attempts = _Attempts(self, call, clock)
        retrying = _StepRetrying(
            retry=tenacity.retry_if_exception(attempts.again),
            wait=attempts.wait,
            stop=attempts.stop,
            before_sleep=attempts.log_wait,
            retry_error_callback=attempts.give_up,
        )
        steps: Generator[Any, Any, T] = retrying(attempt)
        return steps


@dataclass(frozen=True)
class RetryDeadline(RetryPolicy):
    """One deadline for all calls of a client, after which no call is tried again.

    :param ends: the deadline, on the clock of :func:`time.monotonic`.
    """

    ends: float = 0.0

    @classmethod
    def within(cls, seconds: float) -> RetryDeadline:
        """Return the policy with a deadline that is this number of seconds away."""
        return cls(seconds, seconds, ends=time.monotonic() + seconds)

    def tries(
        self,
        call: Call[Any],
        attempt: Callable[[], Generator[Any, Any, T]],
        clock: Callable[[], float] = time.monotonic,
    ) -> Generator[Any, Any, T]:
        rest = max(0.0, self.ends - time.monotonic())
        return RetryPolicy(rest, rest, self.first_wait, self.longest_wait).tries(call, attempt, clock)


class _StepRetrying(tenacity.BaseRetrying):
    """Tenacity's loop as a generator, so that the transport does the waiting."""

    def __call__(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        self.begin()
        state = tenacity.RetryCallState(retry_object=self, fn=None, args=args, kwargs=kwargs)
        while True:
            step = self.iter(retry_state=state)
            if isinstance(step, tenacity.DoAttempt):
                try:
                    result = yield from fn()
                except HubError:
                    state.set_exception(sys.exc_info())  # type: ignore[arg-type]
                else:
                    state.set_result(result)
            elif isinstance(step, tenacity.DoSleep):
                state.prepare_for_next_attempt()
                yield Delay(float(step))
            else:
                return step


class _Attempts:
    """One call's attempts, in tenacity's terms."""

    def __init__(self, policy: RetryPolicy, call: Call[Any], clock: Callable[[], float]) -> None:
        self._policy = policy
        self._call = call
        self._clock = clock
        self._began = clock()
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
        if isinstance(error, HubRateLimited):
            if error.retry_after is not None:
                return error.retry_after + random.uniform(0, JITTER_SECONDS)
            if error.one_route:
                doubled: float = ROUTE_LIMIT_FIRST_WAIT_SECONDS * 2 ** (self._tries - 1)
                return doubled + random.uniform(0, JITTER_SECONDS)
        return self._backoff(state)

    def stop(self, state: tenacity.RetryCallState) -> bool:
        limit = self._policy.total_rate_limited if self._rate_limited else self._policy.total
        return self._clock() - self._began + state.upcoming_sleep > limit

    def log_wait(self, state: tenacity.RetryCallState) -> None:
        notify(Observer.request_delayed, "retry", state.upcoming_sleep)
        problem = str(_error(state)).replace(TRY_LATER, "")
        log.warning("%s Trying again in %.1f seconds.", problem, state.upcoming_sleep)

    def give_up(self, state: tenacity.RetryCallState) -> Any:
        raise _error(state)


def _error(state: tenacity.RetryCallState) -> HubError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, HubError)
    return error


def may_repeat(call: Call[Any], error: HubError) -> bool:
    """Return True if a call may be sent again after this error."""
    if error.tried_enough:
        return False
    if isinstance(error, HubRateLimited):
        return not error.one_route or error.tries < ROUTE_LIMIT_TRIES
    if isinstance(error, HubProtocolError):
        is_refusal = error.status is not None and error.status >= 400
        return is_refusal and error.tries < FOREIGN_REFUSAL_TRIES
    if not isinstance(error, HubUnavailable) or error.permanent:
        return False
    if error.status in _GATEWAY:
        return True
    if error.status is None and not error.outcome_unknown:
        return True
    return call.repeatable and error.status in (None, 408, 500)
