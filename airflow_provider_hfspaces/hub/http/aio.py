"""AsyncHubClient: calls to the Hub over ``httpx``, for coroutines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, TypeVar

import httpx

from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.closing import AsyncClosing
from airflow_provider_hfspaces.hub.error_responses import unavailable
from airflow_provider_hfspaces.hub.http import wire
from airflow_provider_hfspaces.hub.http.certificates import prepare, trusted_certificates
from airflow_provider_hfspaces.hub.http.core import ClientBase, ClientCore, Fetch
from airflow_provider_hfspaces.hub.http.limits import AnswerLimits
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from airflow_provider_hfspaces.hub.http.sequence import Steps, aexecute
from airflow_provider_hfspaces.hub.http.wire import Answer

__all__ = ["AsyncHubClient", "prepare"]

T = TypeVar("T")


class AsyncHubClient(ClientBase, AsyncClosing):
    """Sends calls to the Hub from coroutines, retries them where a retry can help, and returns the results.

    .. code-block:: python

        async with AsyncHubClient(token) as client:
            runtime = await client.send(calls.get_runtime("acme/whisper"))

    The counterpart of :class:`~airflow_provider_hfspaces.hub.http.client.HubClient` for the coroutines of one
    event loop, which share one connection pool. Close the client, or use it as an asynchronous context
    manager. Proxies and certificates come from the environment (``HTTPS_PROXY``, ``NO_PROXY``,
    ``REQUESTS_CA_BUNDLE``, …).

    :param token: a User Access Token; ``None`` reads public Spaces only.
    :param endpoint: the address of the Hub; by default ``https://huggingface.co``.
    :param timeout: seconds to connect, and seconds without a byte after which an answer counts as lost;
        by default 5 and 30.
    :param retry: how long to retry a call; by default 120 seconds, or 360 after a 429.
    :param user_agent: the ``User-Agent`` of requests; by default one that names this client.
    :param allow_http: whether to accept a plain ``http`` endpoint on another host; by default not.
    :param limits: limits on the size and duration of an answer; see :class:`AnswerLimits`.
    :param connections: number of open connections; by default 8. Further requests wait for a connection.
    :param clock: returns the time in seconds, for the retry policy and the limits.
    :param sleep: waits for a number of seconds. If ``sleep`` raises an exception, the call ends with it.
    :raises InvalidEndpoint: for an endpoint that is not valid or would get the token unencrypted.
    :raises InvalidToken: for a token that an HTTP header cannot carry.
    :raises InvalidProxy: if an environment variable names a proxy that is not a valid URL.
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
        limits: AnswerLimits | None = None,
        connections: int = 8,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._core = ClientCore(
            token,
            endpoint,
            timeout=timeout,
            retry=retry,
            user_agent=user_agent,
            allow_http=allow_http,
            limits=limits,
            clock=clock,
        )
        self._sleep = sleep
        proxy = self._core.proxy
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                limits=httpx.Limits(max_connections=connections),
                verify=trusted_certificates() if self._is_secure else False,
                proxy=httpx.Proxy(proxy) if proxy else None,
                trust_env=False,
            ),
            # ClientCore has read the environment. With trust_env, ~/.netrc would replace the token.
            trust_env=False,
        )

    @property
    def _is_secure(self) -> bool:
        return self._core.endpoint.startswith("https:") or bool(self._core.proxy)

    async def send(self, call: Call[T], *, retry: RetryPolicy | None = None) -> T:
        """Send a call and return its result.

        :param retry: the retry policy for this call; by default the client's.
        :raises HubError: a subclass for each cause; see :mod:`~airflow_provider_hfspaces.hub.errors`.
        """
        return await self._run(self._core.send(call, retry))

    async def pages(self, call: Call[T], *, retry: RetryPolicy | None = None) -> AsyncIterator[T]:
        """Send a call for a list, and yield the result of each page.

        :param retry: the retry policy for each page; by default the client's.
        :raises HubError: as :meth:`send`, and for a list beyond the client's limits.
        """
        walk = self._core.pages(call)
        while walk.request is not None:
            yield walk.page(*await self._run(self._core.tries(call, walk.request, retry)))

    async def lines(
        self, call: Call[str], *, follow: bool = False, retry: RetryPolicy | None = None
    ) -> AsyncIterator[str]:
        """Send a call for a log, and yield its lines.

        :param follow: wait for new lines at the end of the log, until the Hub closes it; by default not.
        :param retry: the retry policy for this call; by default the client's.
        :raises HubError: as :meth:`send`. If the connection breaks later, the lines end without an error.
        """
        async with aclosing(self.events(call, follow=follow, retry=retry)) as events:
            async for text in events:
                for line in text.splitlines():
                    yield line

    async def events(
        self,
        call: Call[T],
        *,
        follow: bool = False,
        silence: float | None = None,
        strict: bool = False,
        retry: RetryPolicy | None = None,
    ) -> AsyncGenerator[T, None]:
        """Send a call for a log, and yield its events.

        :param follow: wait for new events at the end of the log, until the Hub closes it; by default not.
        :param silence: seconds without a byte after which a followed log ends; by default no limit.
        :param strict: raise an error if the connection breaks; by default the events end without an error.
        :param retry: the retry policy for this call; by default the client's.
        :raises HubError: as :meth:`send`.
        """
        answer = await self._run(self._core.open_log(call, follow, retry, silence))
        try:
            if "event-stream" not in (answer.headers.get("content-type") or ""):
                start = b""
                async for chunk in _until_silent(answer.stream):
                    start = chunk
                    break
                raise self._core.not_a_log(call, answer, start)
            reader = self._core.log_reader(call, answer, follow)
            chunks = self._unbroken(call, answer.stream) if strict else _until_silent(answer.stream)
            async for chunk in chunks:
                for event in reader.feed(chunk):
                    yield event
                if reader.done:
                    return
        finally:
            await answer.stream.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _run(self, steps: Steps[T]) -> T:
        return await aexecute(steps, self._fetch, sleep=self._sleep)

    async def _unbroken(self, call: Call[Any], response: httpx.Response) -> AsyncIterator[bytes]:
        with _network_errors(call, self._core.token):
            async for chunk in response.aiter_raw():
                yield chunk

    async def _fetch(self, fetch: Fetch) -> Answer:
        request = fetch.request
        connect, silence = fetch.timeout
        with _network_errors(fetch.call, self._core.token):
            response = await self._http.send(
                self._http.build_request(
                    request.method,
                    request.url,
                    headers=dict(request.headers),
                    content=request.content,
                    timeout=httpx.Timeout(silence, connect=connect, pool=None),
                ),
                stream=True,
            )
            answer = Answer(response.status_code, response.headers, "", response)
            if fetch.stream and answer.status < 300:
                return answer
            try:
                reader = self._core.body_reader(fetch.call, answer)
                async for chunk in response.aiter_raw():
                    reader.feed(chunk)
                return Answer(answer.status, answer.headers, reader.text())
            finally:
                await response.aclose()


async def _until_silent(response: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.aiter_raw():
            yield chunk
    except httpx.TransportError:
        return


@contextmanager
def _network_errors(call: Call[Any], token: str | None) -> Iterator[None]:
    try:
        yield
    except httpx.ConnectTimeout:
        raise unavailable(call, "connecting took too long", sent=False, token=token) from None
    except (httpx.ConnectError, httpx.ProxyError) as problem:
        refused = "CERTIFICATE_VERIFY_FAILED" in str(problem)
        raise unavailable(call, _reason(problem), sent=False, permanent=refused, token=token) from None
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError) as problem:
        raise unavailable(call, _reason(problem), sent=False, permanent=True, token=token) from None
    except httpx.PoolTimeout:
        raise unavailable(call, "no connection became free", sent=False, token=token) from None
    except httpx.ReadTimeout:
        raise unavailable(call, "the answer took too long", sent=True, token=token) from None
    except (httpx.HTTPError, httpx.StreamError, OSError) as problem:
        raise unavailable(call, _reason(problem), sent=True, token=token) from None


def _reason(problem: BaseException) -> str:
    return str(problem) or type(problem).__name__
