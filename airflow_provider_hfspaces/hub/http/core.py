"""ClientCore: the tries, redirects, rate limit and size limits of a call, shared by both clients.

Nothing here does I/O. Each method for a call is a generator that yields :class:`Fetch` and
:class:`~airflow_provider_hfspaces.hub.http.sequence.Delay`. A client carries out each of them, blocking or
asynchronously, and sends the answer or throws the error into the generator.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.checks import checked_endpoint, checked_token
from airflow_provider_hfspaces.hub.error_responses import (
    missing_token,
    protocol_error,
    quota_used_up,
    refused_with_reason,
)
from airflow_provider_hfspaces.hub.errors import HubError, HubProtocolError, HubUnavailable
from airflow_provider_hfspaces.hub.http import wire
from airflow_provider_hfspaces.hub.http.body import BodyReader
from airflow_provider_hfspaces.hub.http.dates import date_of
from airflow_provider_hfspaces.hub.http.environment import proxy_from_environment
from airflow_provider_hfspaces.hub.http.limits import AnswerLimits
from airflow_provider_hfspaces.hub.http.quota import RateBudget
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from airflow_provider_hfspaces.hub.http.sequence import Delay, Steps
from airflow_provider_hfspaces.hub.http.sse import LogReader
from airflow_provider_hfspaces.hub.http.wire import Answer, PageWalk, Request
from airflow_provider_hfspaces.hub.observing import Observer, notify, outcome_of

__all__ = ["ClientBase", "ClientCore", "Fetch"]

T = TypeVar("T")

LOG_SILENCE_SECONDS = 5.0
"""Time without a byte after which a log that is not followed counts as read to its end."""

LOOK_AFTER_TRIES = 3
"""Number of 503 answers to an action after which the client reads the runtime for the reason."""

REFUSED_TRIES = 5
"""Tries of an action that the Hub refuses with 503 while it answers other requests."""


@dataclass(frozen=True)
class Fetch:
    """A step that sends a request and returns the :class:`~.wire.Answer`.

    :ivar call: the call, for errors.
    :ivar request: the request to send.
    :ivar timeout: seconds to connect, and seconds without a byte; ``None`` for no limit.
    :ivar stream: True to leave the body of a successful answer unread.
    """

    call: Call[Any]
    request: Request
    timeout: tuple[float, float | None]
    stream: bool = False


class ClientBase:
    """The properties of both clients."""

    _core: ClientCore

    def __repr__(self) -> str:
        token = "***" if self.has_token else None
        return f"{type(self).__name__}(endpoint={self.endpoint!r}, token={token})"

    @property
    def endpoint(self) -> str:
        """The address of the Hub."""
        return self._core.endpoint

    @property
    def has_token(self) -> bool:
        """Whether requests carry a token."""
        return self._core.token is not None

    @property
    def budget(self) -> RateBudget:
        """The Hub's rate limit for the token, shared with the other clients of the token in this process."""
        return self._core.budget

    @property
    def hub_time(self) -> float | None:
        """When the Hub sent its last answer, in seconds since 1970 by its own clock.

        ``None`` before the first answer.
        """
        return self._core.hub_time

    @property
    def retry(self) -> RetryPolicy:
        """The retry policy for calls that are sent without a ``retry`` of their own."""
        return self._core.retry

    @retry.setter
    def retry(self, policy: RetryPolicy) -> None:
        self._core.retry = policy


class ClientCore:
    """The settings of a client, and the steps of its calls. The parameters are those of the clients."""

    def __init__(
        self,
        token: str | None,
        endpoint: str,
        *,
        timeout: tuple[float, float],
        retry: RetryPolicy | None,
        user_agent: str | None,
        allow_http: bool,
        limits: AnswerLimits | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.endpoint = checked_endpoint(endpoint, allow_http=allow_http)
        self.token = checked_token(token)
        self.proxy = proxy_from_environment(self.endpoint)
        self.timeout = timeout
        self.retry = retry or RetryPolicy()
        self.user_agent = user_agent or wire.DEFAULT_USER_AGENT
        self.allow_http = allow_http
        self.limits = limits or AnswerLimits()
        self.clock = clock
        self.budget = RateBudget.shared(self.endpoint, self.token, clock)
        self.hub_time: float | None = None

    def send(self, call: Call[T], retry: RetryPolicy | None = None) -> Steps[T]:
        """The steps that send a call and return its result."""
        answer, _ = yield from self.tries(call, self.request(call), retry)
        return wire.read(call, answer, token=self.token)

    def pages(self, call: Call[T]) -> PageWalk[T]:
        """Return the walk through the pages of a list. Fetch each page with :meth:`tries`."""
        return PageWalk(call, self.request(call), self.limits, token=self.token)

    def open_log(
        self, call: Call[Any], follow: bool, retry: RetryPolicy | None, silence: float | None
    ) -> Steps[Answer]:
        """The steps that open a log and return the answer with its unread stream."""
        connect, usual = self.timeout
        timeout = (connect, silence if follow else min(usual, LOG_SILENCE_SECONDS))
        answer, _ = yield from self.tries(call, self.request(call), retry, timeout=timeout, stream=True)
        return answer

    def not_a_log(self, call: Call[Any], answer: Answer, start: bytes) -> HubProtocolError:
        """Return the error for an answer that is not a stream of events.

        :param start: the beginning of the body.
        """
        text = start.decode("utf-8", errors="replace")
        return protocol_error(
            call, answer.status, answer.headers, text, expected="a stream of events", token=self.token
        )

    def log_reader(self, call: Call[T], answer: Answer, follow: bool) -> LogReader[T]:
        """Return the reader that turns the chunks of a log into events."""
        return LogReader(call, answer.headers, self.limits, follow=follow, clock=self.clock)

    def body_reader(self, call: Call[Any], answer: Answer) -> BodyReader:
        """Return the reader that turns the chunks of an answer into text."""
        return BodyReader(
            call, answer.status, answer.headers, self.limits, clock=self.clock, token=self.token
        )

    def request(self, call: Call[Any]) -> Request:
        """Return the request for a call.

        :raises HubAuthError: if the call needs a token and the client has none.
        """
        if call.needs_token and not self.token:
            raise missing_token(call)
        return wire.request_for(call, endpoint=self.endpoint, token=self.token, user_agent=self.user_agent)

    def tries(
        self,
        call: Call[Any],
        request: Request,
        retry: RetryPolicy | None = None,
        *,
        timeout: tuple[float, float | None] | None = None,
        stream: bool = False,
    ) -> Steps[tuple[Answer, Request]]:
        """The steps of all tries of one request.

        They return the answer and the request to which it belongs: the last one after redirects.
        """
        refusals = _Refusals()
        # A watch passes a policy of one try, and its requests still wait for a new window. Only a stream
        # obeys the policy here, because a log is not worth a long wait.
        longest_wait = (retry if retry and stream else self.retry).total_rate_limited

        def attempt() -> Steps[tuple[Answer, Request]]:
            try:
                return (
                    yield from self._attempt(call, request, timeout or self.timeout, stream, longest_wait)
                )
            except HubUnavailable as error:
                if error.status == 503 and error.hub_message and call.method != "GET" and call.repo_id:
                    yield from refusals.count(error, self._reason(call.repo_id))
                raise

        return (yield from (retry or self.retry).tries(call, attempt, self.clock))

    def _attempt(
        self,
        call: Call[Any],
        request: Request,
        timeout: tuple[float, float | None],
        stream: bool,
        longest_wait: float,
    ) -> Steps[tuple[Answer, Request]]:
        """The steps of one try, including its redirects."""
        for _ in range(wire.MOST_REDIRECTS + 1):
            wait = self.budget.wait()
            if wait > longest_wait:
                raise quota_used_up(call, wait)
            if wait:
                notify(Observer.request_delayed, "quota", wait)
                yield Delay(wait)
            self.budget.count()
            answer = yield from self._fetch_and_notify(Fetch(call, request, timeout, stream))
            self.budget.learn(answer.headers, answer.status)
            self.hub_time = date_of(answer.headers) or self.hub_time
            if self.budget.remaining is not None:
                notify(Observer.quota_reported, self.budget.remaining, self.budget.quota)
            if answer.status >= 400:
                raise wire.refusal(call, answer, token=self.token)
            further = wire.redirected(call, request, answer, token=self.token)
            if further is None:
                return answer, request
            request = further
        raise protocol_error(
            call, answer.status, answer.headers, "", expected="a final answer", token=self.token
        )

    def _fetch_and_notify(self, fetch: Fetch) -> Steps[Answer]:
        """Fetch the answer to one request, and notify the observers."""
        began, outcome = self.clock(), "no_answer"
        try:
            answer: Answer = yield fetch
            outcome = outcome_of(answer.status)
            return answer
        finally:
            notify(Observer.request_answered, fetch.call.method, outcome, self.clock() - began)

    def _reason(self, repo_id: str) -> Steps[str]:
        """The steps that read the error message in a Space's runtime; empty text without a message."""
        call = calls.get_runtime(repo_id)
        answer, _ = yield from self._attempt(call, self.request(call), self.timeout, False, 0.0)
        return wire.read(call, answer, token=self.token).error_message or ""


class _Refusals:
    """Counts the 503 answers to one action, to stop the retries early if the Hub itself is up.

    The Hub answers 503 when it is down, but also to the restart of a Space that it has flagged or that
    exceeds a quota. Only the runtime of the Space tells the two apart.
    """

    def __init__(self) -> None:
        self._number = 0
        self._hub_is_up = False

    def count(self, error: HubUnavailable, reason: Steps[str]) -> Steps[None]:
        """Count one more 503 answer, and read the reason once."""
        self._number += 1
        if self._number == LOOK_AFTER_TRIES:
            try:
                words = yield from reason
            except HubError:
                return
            self._hub_is_up = True
            if words:
                refused_with_reason(error, words)
                error.tried_enough = True
        elif self._hub_is_up and self._number >= REFUSED_TRIES:
            error.tried_enough = True
