"""The Hub over ``httpx``, for an event loop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.checks import checked_endpoint, checked_token, is_loopback
from airflow_provider_hfspaces.hub.errors import missing_token, protocol_error, quota_used_up, unavailable
from airflow_provider_hfspaces.hub.http import sse, wire
from airflow_provider_hfspaces.hub.http.retry import RateBudget, RetryPolicy

__all__ = ["AsyncHubClient", "prepare"]

T = TypeVar("T")

_LOG_SILENCE = 5.0
"""Seconds without a new line after which a log counts as read to its end."""

_CONNECTIONS = 8


class AsyncHubClient:
    """Sends calls to the Hub, tries again where that is right, and reads the answers.

    The same as :class:`~airflow_provider_hfspaces.hub.http.client.HubClient`, for coroutines of one event
    loop; one pool of connections. Close it, or use it as an asynchronous context manager.

    :param token: a User Access Token; ``None`` reads public Spaces only.
    :param endpoint: the Hub's address.
    :param timeout: seconds to connect, and seconds of silence until an answer counts as lost.
    :param retry: when to try again.
    :param user_agent: sent with each request.
    :param allow_http: accept a plain ``http`` endpoint that is not on this host.
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
    ) -> None:
        self.endpoint = checked_endpoint(endpoint, allow_http=allow_http)
        self._token = checked_token(token)
        self._timeout = timeout
        self._retry = retry or RetryPolicy()
        self._user_agent = user_agent or wire.DEFAULT_USER_AGENT
        self._sleep = asyncio.sleep
        self.budget = RateBudget.of(self.endpoint, self._token)
        own_host = is_loopback(urlsplit(self.endpoint).hostname or "")
        connect, silence = timeout
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(silence, connect=connect, pool=None),
            limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
            verify=_certificates() if self.endpoint.startswith("https:") else False,
            # A proxy cannot reach this host's loopback, and ~/.netrc must not replace the token.
            trust_env=not own_host,
            auth=_keep_headers,
        )

    def __repr__(self) -> str:
        return f"AsyncHubClient(endpoint={self.endpoint!r}, token={'***' if self._token else None})"

    @property
    def has_token(self) -> bool:
        """Whether requests carry a token."""
        return self._token is not None

    async def send(self, call: Call[T], *, retry: RetryPolicy | None = None) -> T:
        """Send a call and return what the Hub answered.

        :param retry: when to try again, if not as this client does otherwise.
        :raises HubError: of the kind that fits; see :mod:`~airflow_provider_hfspaces.hub.errors`.
        """
        answer, _ = await self._send(call, self._request(call), retry)
        return wire.read(call, answer, token=self._token)

    async def pages(self, call: Call[T], *, retry: RetryPolicy | None = None) -> AsyncIterator[T]:
        """Send a call for a list and yield page after page.

        :raises HubError: like :meth:`send`.
        """
        request: wire.Request | None = self._request(call)
        while request is not None:
            answer, request = await self._send(call, request, retry)
            yield wire.read(call, answer, token=self._token)
            request = wire.next_page(call, request, answer)

    async def lines(self, call: Call[str], *, follow: bool = False) -> AsyncIterator[str]:
        """Send a call for a log and yield its lines.

        :param follow: go on when the log has been read to its end, until the Hub closes it.
        :raises HubError: like :meth:`send`; not for a log that falls silent.
        """
        connect, silence = self._timeout
        quiet = None if follow else min(silence, _LOG_SILENCE)
        request = self._request(call)
        async for attempt in self._retry.async_retrying(call, self._sleep):
            with attempt:
                response, _ = await self._exchange(
                    call, request, timeout=httpx.Timeout(quiet, connect=connect), stream=True
                )
        try:
            if "event-stream" not in (response.headers.get("content-type") or ""):
                await response.aread()
                raise protocol_error(
                    call,
                    response.status_code,
                    response.headers,
                    response.text,
                    expected="a stream of events",
                    token=self._token,
                )
            async for line in _until_silent(response):
                for event in sse.events([line]):
                    if not follow and sse.drained(event, response.headers.get("date")):
                        return
                    if "data" in event:
                        for text in call.read(event).splitlines():
                            yield text
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncHubClient:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _request(self, call: Call[Any]) -> wire.Request:
        if call.needs_token and not self._token:
            raise missing_token(call)
        return wire.request_for(call, endpoint=self.endpoint, token=self._token, user_agent=self._user_agent)

    async def _send(
        self, call: Call[Any], request: wire.Request, retry: RetryPolicy | None
    ) -> tuple[wire.Answer, wire.Request]:
        async for attempt in (retry or self._retry).async_retrying(call, self._sleep):
            with attempt:
                response, sent = await self._exchange(call, request)
                return wire.Answer(response.status_code, response.headers, response.text), sent
        raise AssertionError("a loop of tries ends with an answer or an error")

    async def _exchange(
        self,
        call: Call[Any],
        request: wire.Request,
        *,
        timeout: httpx.Timeout | None = None,
        stream: bool = False,
    ) -> tuple[httpx.Response, wire.Request]:
        """One try, with the redirects that belong to it."""
        for _ in range(wire.MOST_REDIRECTS + 1):
            wait = self.budget.wait()
            if wait > self._retry.total_rate_limited:
                raise quota_used_up(call, wait)
            if wait:
                await self._sleep(wait)
            with _network_errors(call, self._token):
                response = await self._http.send(
                    self._http.build_request(
                        request.method,
                        request.url,
                        headers=dict(request.headers),
                        content=request.content,
                        timeout=timeout if timeout is not None else httpx.USE_CLIENT_DEFAULT,
                    ),
                    stream=stream,
                )
                if stream and response.status_code >= 300:
                    await response.aread()
            self.budget.learn(response.headers, response.status_code)
            if response.status_code < 300:
                return response, request
            answer = wire.Answer(response.status_code, response.headers, response.text)
            if response.status_code >= 400:
                wire.read(call, answer, token=self._token)
            further = wire.redirected(call, request, answer)
            if further is None:
                return response, request
            request = further
        raise protocol_error(call, response.status_code, response.headers, "", expected="an end of redirects")


async def prepare(endpoint: str) -> None:
    """Do in a thread, once, what takes longer than many a request and would hold the event loop up."""
    await asyncio.to_thread(_prepared, endpoint.startswith("https:"))


@lru_cache(maxsize=2)
def _prepared(secure: bool) -> None:
    import anyio  # comes with httpx, which loads the rest of it for its first connection

    anyio.run(anyio.sleep, 0)
    if secure:
        _certificates()


@lru_cache(maxsize=1)
def _certificates() -> ssl.SSLContext:
    """Read the certificates, once: that takes longer than many a request, and the event loop waits."""
    return httpx.create_ssl_context()


def _keep_headers(request: httpx.Request) -> httpx.Request:
    return request


async def _until_silent(response: httpx.Response) -> AsyncIterator[str]:
    try:
        async for line in response.aiter_lines():
            yield line
    except httpx.TransportError:
        return


@contextmanager
def _network_errors(call: Call[Any], token: str | None) -> Iterator[None]:
    try:
        yield
    except httpx.ConnectTimeout as problem:
        raise unavailable(call, "connecting took too long", sent=False, token=token) from problem
    except (httpx.ConnectError, httpx.ProxyError) as problem:
        refused = "CERTIFICATE_VERIFY_FAILED" in str(problem)
        raise unavailable(call, _reason(problem), sent=False, permanent=refused, token=token) from problem
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError) as problem:
        raise unavailable(call, _reason(problem), sent=False, permanent=True, token=token) from problem
    except httpx.PoolTimeout as problem:
        raise unavailable(call, "no connection became free", sent=False, token=token) from problem
    except httpx.ReadTimeout as problem:
        raise unavailable(call, "the answer took too long", sent=True, token=token) from problem
    except (httpx.HTTPError, httpx.StreamError) as problem:
        raise unavailable(call, _reason(problem), sent=True, token=token) from problem


def _reason(problem: BaseException) -> str:
    return str(problem) or type(problem).__name__
