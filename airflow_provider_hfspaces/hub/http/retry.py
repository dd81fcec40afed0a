"""RetryPolicy: when a client retries a request, and how long it waits between two tries.

Which calls are retried depends on the error:

- 429 for the whole token: every call, at the time in ``RateLimit`` or ``Retry-After``. All clients with the
  token in this process wait until then.
- 429 for one kind of request (the token's quota has requests left, or the answer names no time): every call,
  at most four times. Other clients do not wait.
- 502, 503, 504, no connection, unknown host: every call, because the Hub did not process the request.
- 500, or an answer that was lost after the request was sent: repeatable calls only.
- an error response that is not the Hub's, such as the page of a proxy: every call, at most three times,
  because the Hub did not process the request.
- all other errors: never.
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
from airflow_provider_hfspaces.hub.errors import (
    GATEWAY_STATUSES,
    HubError,
    HubProtocolError,
    HubRateLimited,
    HubUnavailable,
)
from airflow_provider_hfspaces.hub.http.quota import JITTER_SECONDS
from airflow_provider_hfspaces.hub.http.sequence import Delay
from airflow_provider_hfspaces.hub.observing import Observer, notify

__all__ = ["RetryDeadline", "RetryPolicy", "may_repeat"]

log = logging.getLogger(__name__)

T = TypeVar("T")

ROUTE_LIMIT_TRIES = 4
"""Tries of a call that meets a limit on one kind of request. Few, because such limits last for hours."""

ROUTE_LIMIT_FIRST_WAIT_SECONDS = 15.0
"""Time before the second of these tries. It doubles with each further try."""

FOREIGN_REFUSAL_TRIES = 3
"""Tries of a call that a proxy or a gateway refuses instead of the Hub."""


@dataclass(frozen=True)
class RetryPolicy:
    """How long a client retries a call, and how long it waits between two tries.

    ::

        HubClient(token, retry=RetryPolicy(total=30))

    :param total: seconds that a call may take with all its tries; by default 120.
    :param total_rate_limited: seconds that a call may take after a 429; by default 360.
    :param first_wait: longest wait before the second try, in seconds; by default 1. It doubles with each try.
    :param longest_wait: longest wait between two tries, in seconds; by default 20.
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
        """Yield the steps of each attempt, and a :class:`.Delay` between attempts, until one succeeds.

        :param call: the call, whose properties decide whether it may be sent again.
        :param attempt: returns the generator of one attempt.
        :param clock: returns the time in seconds.
        :raises HubError: the error of the last attempt.
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
    """A policy with one deadline for all calls of a client, after which no call is retried.

    ::

        HubClient(token, retry=RetryDeadline.within(5))

    :param ends: the deadline, on the clock of :func:`time.monotonic`.
    """

    ends: float = 0.0

    @classmethod
    def within(cls, seconds: float) -> RetryDeadline:
        """Return a policy whose deadline is this number of seconds away."""
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
    """Tenacity's loop as a generator, so that the client does the waiting."""

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
    """The state of one call's attempts, with the callbacks that tenacity expects."""

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
        log.warning("%s Retrying in %.1f seconds.", problem, state.upcoming_sleep)

    def give_up(self, state: tenacity.RetryCallState) -> Any:
        raise _error(state)


def _error(state: tenacity.RetryCallState) -> HubError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, HubError)
    return error


def may_repeat(call: Call[Any], error: HubError) -> bool:
    """Return True if the client may send a call again after this error."""
    if error.tried_enough:
        return False
    if isinstance(error, HubRateLimited):
        return not error.one_route or error.tries < ROUTE_LIMIT_TRIES
    if isinstance(error, HubProtocolError):
        is_refusal = error.status is not None and error.status >= 400
        return is_refusal and error.tries < FOREIGN_REFUSAL_TRIES
    if not isinstance(error, HubUnavailable) or error.permanent:
        return False
    if error.status in GATEWAY_STATUSES:
        return True
    if error.status is None and not error.outcome_unknown:
        return True
    return call.repeatable and error.status in (None, 408, 500)
