"""The Hub over ``requests``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.checks import checked_endpoint, checked_token, is_loopback
from airflow_provider_hfspaces.hub.errors import (
    missing_token,
    protocol_error,
    quota_used_up,
    unavailable,
)
from airflow_provider_hfspaces.hub.http import sse, wire
from airflow_provider_hfspaces.hub.http.retry import RateBudget, RetryPolicy

__all__ = ["HubClient"]

T = TypeVar("T")

_LOG_SILENCE = 5.0
"""Seconds without a new line after which a log counts as read to its end."""


class HubClient:
    """Sends calls to the Hub, tries again where that is right, and reads the answers.

    Safe for threads; one pool of connections. Close it, or use it as a context manager.

    :param token: a User Access Token; ``None`` reads public Spaces only.
    :param endpoint: the Hub's address.
    :param timeout: seconds to connect, and seconds of silence until an answer counts as lost.
    :param retry: when to try again.
    :param user_agent: sent with each request.
    :param allow_http: accept a plain ``http`` endpoint that is not on this host.
    :param connections: how many are kept open, for as many threads.
    :raises InvalidEndpoint: for an endpoint that would send the token in the clear.
    """

    def __init__(
        self,
        token: str | None = None,
        endpoint: str = wire.DEFAULT_ENDPOINT,
        *,
        timeout: tuple[float, float] = (5, 30),
        retry: RetryPolicy | None = None,
        user_agent: str | None = None,
        allow_http: bool = False,
        connections: int = 16,
    ) -> None:
        self.endpoint = checked_endpoint(endpoint, allow_http=allow_http)
        self._token = checked_token(token)
        self._timeout = timeout
        self._retry = retry or RetryPolicy()
        self._user_agent = user_agent or wire.DEFAULT_USER_AGENT
        self._allow_http = allow_http
        self._sleep: Callable[[float], None] = time.sleep
        self.budget = RateBudget.of(self.endpoint, self._token)
        self._session = requests.Session()
        # ~/.netrc must not replace the token, and a proxy cannot reach this host's loopback.
        self._session.auth = _keep_headers
        self._session.trust_env = not is_loopback(urlsplit(self.endpoint).hostname or "")
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=connections))

    def __repr__(self) -> str:
        return f"HubClient(endpoint={self.endpoint!r}, token={'***' if self._token else None})"

    @property
    def has_token(self) -> bool:
        """Whether requests carry a token."""
        return self._token is not None

    def send(self, call: Call[T]) -> T:
        """Send a call and return what the Hub answered.

        :raises HubError: of the kind that fits; see :mod:`~airflow_provider_hfspaces.hub.errors`.
        """
        answer, _ = self._send(call, self._request(call))
        return wire.read(call, answer, token=self._token)

    def pages(self, call: Call[T]) -> Iterator[T]:
        """Send a call for a list and yield page after page.

        :raises HubError: like :meth:`send`.
        """
        request: wire.Request | None = self._request(call)
        while request is not None:
            answer, request = self._send(call, request)
            yield wire.read(call, answer, token=self._token)
            request = wire.next_page(call, request, answer)

    def lines(self, call: Call[str], *, follow: bool = False) -> Iterator[str]:
        """Send a call for a log and yield its lines.

        :param follow: go on when the log has been read to its end, until the Hub closes it.
        :raises HubError: like :meth:`send`; not for a log that falls silent.
        """
        connect, silence = self._timeout
        timeout = (connect, None if follow else min(silence, _LOG_SILENCE))
        request = self._request(call)
        for attempt in self._retry.retrying(call, self._sleep):
            with attempt:
                response, _ = self._exchange(call, request, timeout=timeout, stream=True)
        with response:
            if "event-stream" not in (response.headers.get("content-type") or ""):
                text = next(response.iter_content(500, decode_unicode=False), b"")
                raise protocol_error(
                    call,
                    response.status_code,
                    response.headers,
                    text.decode(errors="replace"),
                    expected="a stream of events",
                    token=self._token,
                )
            response.encoding = "utf-8"
            for event in sse.events(_until_silent(response)):
                if not follow and sse.drained(event, response.headers.get("date")):
                    return
                try:
                    text_line = call.read(event)
                except KeyError:
                    continue
                yield from text_line.splitlines()

    def fresh(self, *, retry: RetryPolicy | None = None) -> HubClient:
        """A second client with the same token, and with connections and a budget of its own.

        For a signal handler, which may interrupt this one in the middle of a request, and has no
        time to wait for a new window.
        """
        client = self._twin(retry)
        client.budget = RateBudget()
        return client

    def queued(self, *, retry: RetryPolicy, sleep: Callable[[float], None], connections: int) -> HubClient:
        """A second client with the same token and the same budget.

        For a queue of calls, which decides itself what a call does that has to wait.

        :param retry: when a call is tried again.
        :param sleep: waits so many seconds; what it raises ends the call.
        :param connections: how many are kept open, for as many threads.
        """
        client = self._twin(retry, connections)
        client._sleep = sleep
        return client

    def _twin(self, retry: RetryPolicy | None, connections: int = 16) -> HubClient:
        return HubClient(
            self._token,
            self.endpoint,
            timeout=self._timeout,
            retry=retry or self._retry,
            user_agent=self._user_agent,
            allow_http=self._allow_http,
            connections=connections,
        )

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def __enter__(self) -> HubClient:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _request(self, call: Call[Any]) -> wire.Request:
        if call.needs_token and not self._token:
            raise missing_token(call)
        return wire.request_for(call, endpoint=self.endpoint, token=self._token, user_agent=self._user_agent)

    def _send(self, call: Call[Any], request: wire.Request) -> tuple[wire.Answer, wire.Request]:
        for attempt in self._retry.retrying(call, self._sleep):
            with attempt:
                response, sent = self._exchange(call, request, timeout=self._timeout)
                return _answer(response), sent
        raise AssertionError("a loop of tries ends with an answer or an error")

    def _exchange(
        self,
        call: Call[Any],
        request: wire.Request,
        *,
        timeout: tuple[float, float | None],
        stream: bool = False,
    ) -> tuple[requests.Response, wire.Request]:
        """One try, with the redirects that belong to it."""
        for _ in range(wire.MOST_REDIRECTS + 1):
            wait = self.budget.wait()
            if wait > self._retry.total_rate_limited:
                raise quota_used_up(call, wait)
            if wait:
                self._sleep(wait)
            with _network_errors(call, self._token):
                response = self._session.request(
                    request.method,
                    request.url,
                    headers=dict(request.headers),
                    data=request.content,
                    timeout=timeout,
                    allow_redirects=False,
                    stream=stream,
                )
                if stream and response.status_code >= 300:
                    response.content  # noqa: B018  (reads the body while the errors are translated)
            self.budget.learn(response.headers, response.status_code)
            if response.status_code >= 400:
                wire.read(call, _answer(response), token=self._token)
            further = None
            if response.is_redirect or 300 <= response.status_code < 400:
                further = wire.redirected(call, request, _answer(response))
            if further is None:
                return response, request
            request = further
        raise protocol_error(call, response.status_code, response.headers, "", expected="an end of redirects")


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _answer(response: requests.Response) -> wire.Answer:
    text = response.content.decode(response.encoding or "utf-8", errors="replace")
    return wire.Answer(response.status_code, response.headers, text)


def _until_silent(response: requests.Response) -> Iterator[str]:
    try:
        for line in response.iter_lines(chunk_size=1, decode_unicode=True):
            yield str(line)
    except requests.RequestException:
        return


@contextmanager
def _network_errors(call: Call[Any], token: str | None) -> Iterator[None]:
    try:
        yield
    except requests.exceptions.SSLError as problem:
        # Only a certificate is refused before the request goes out, and it will be the same next time.
        refused = "CERTIFICATE_VERIFY_FAILED" in str(problem)
        raise unavailable(
            call, _reason(problem), sent=not refused, permanent=refused, token=token
        ) from problem
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader) as problem:
        raise unavailable(call, _reason(problem), sent=False, permanent=True, token=token) from problem
    except requests.exceptions.ConnectTimeout as problem:
        raise unavailable(call, "connecting took too long", sent=False, token=token) from problem
    except requests.exceptions.ReadTimeout as problem:
        raise unavailable(call, "the answer took too long", sent=True, token=token) from problem
    except requests.exceptions.ConnectionError as problem:
        sent = not _never_connected(problem)
        raise unavailable(call, _reason(problem), sent=sent, token=token) from problem
    except requests.exceptions.RequestException as problem:
        raise unavailable(call, _reason(problem), sent=True, token=token) from problem


def _never_connected(problem: BaseException) -> bool:
    from urllib3.exceptions import MaxRetryError, NewConnectionError, ProxyError

    cause: Any = problem.args[0] if problem.args else None
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    return isinstance(cause, (NewConnectionError, ProxyError))


def _reason(problem: BaseException) -> str:
    cause: Any = problem.args[0] if problem.args else problem
    cause = getattr(cause, "reason", None) or cause
    text = str(cause) or type(problem).__name__
    return text.rsplit(": ", 1)[-1] if "NewConnectionError" in text else text
