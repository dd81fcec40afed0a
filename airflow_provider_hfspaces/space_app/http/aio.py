"""LoopTransport: sends exchanges over ``httpx``, for the coroutines of one event loop."""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio  # comes with httpx
import httpx

from airflow_provider_hfspaces.hub.http.certificates import trusted_certificates
from airflow_provider_hfspaces.hub.http.sequence import aexecute
from airflow_provider_hfspaces.space_app.http.connections import KEEP_IDLE_SECONDS, IdleConnections
from airflow_provider_hfspaces.space_app.http.exchange import (
    Alone,
    Ask,
    Exchange,
    Few,
    StreamedBody,
    TransportFailure,
    check_length,
)
from airflow_provider_hfspaces.space_app.limits import AppLimits

__all__ = ["LoopTransport"]

FEW = 16
"""Number of calls that begin at the same time."""


class LoopTransport:
    """Sends exchanges on one event loop.

    :param proxy: URL of the proxy; ``None`` to connect directly.
    :param secure: whether certificates are needed.
    :param connections: number of connections at most.
    """

    def __init__(
        self,
        *,
        proxy: str | None,
        secure: bool,
        connections: int,
        limits: AppLimits,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[Any]],
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._alone = asyncio.Lock()
        self._few = asyncio.Semaphore(FEW)
        # Without certificates, each transport would make a context of its own.
        is_encrypted = secure or bool(proxy)
        verify = trusted_certificates() if is_encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        one = httpx.Limits(max_connections=1, keepalive_expiry=KEEP_IDLE_SECONDS)

        def transport() -> httpx.AsyncHTTPTransport:
            return httpx.AsyncHTTPTransport(
                limits=one, verify=verify, proxy=httpx.Proxy(proxy) if proxy else None, trust_env=False
            )

        self._connections = IdleConnections(transport, connections)
        silent = limits.silent_seconds
        self._timeout = httpx.Timeout(silent, connect=limits.connect_seconds, pool=None).as_dict()

    async def send(self, step: Exchange | Ask | Alone | Few) -> Any:
        """Carry out one step.

        :raises TransportFailure: if the answer is missing or incomplete.
        """
        if isinstance(step, (Alone, Few)):
            async with self._alone if isinstance(step, Alone) else self._few:
                return await aexecute(step.steps(), self.send, sleep=self._sleep)
        remaining = step.deadline - self._clock()
        if remaining > 0:
            with anyio.move_on_after(remaining):
                if isinstance(step, Exchange):
                    await self._exchange(step)
                    return step
                answer = step.function(step.argument)
                return await answer if inspect.isawaitable(answer) else answer
        raise TransportFailure("the deadline passed", sent=remaining > 0, timed_out=True)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._connections.aclose()

    async def _exchange(self, exchange: Exchange) -> None:
        request = exchange.request
        headers = dict(request.headers)
        body: Any = request.body
        if body is not None and not isinstance(body, bytes):
            headers["Content-Length"] = str(len(body))
            body = _pieces(body)
        connection = await self._connections.borrow()
        # Without context managers: a thousand calls that wait here have fewer objects for the collector.
        try:
            message = httpx.Request(
                request.method,
                request.url,
                headers=headers,
                content=body,
                extensions={"timeout": self._timeout},
            )
            response = await connection.handle_async_request(message)
            try:
                cookies = response.headers.get_list("set-cookie")
                exchange.opened(response.status_code, response.headers, cookies)
                await self._read(exchange, response)
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as problem:
            raise _failure(exchange, problem, timed_out=self._clock() >= exchange.deadline) from None
        finally:
            await self._connections.give_back(connection)

    async def _read(self, exchange: Exchange, response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        size = 0
        async for chunk in response.stream:
            size += len(chunk)
            if exchange.blocking:
                done = await asyncio.to_thread(exchange.feed, chunk)
            else:
                done = exchange.feed(chunk)
            if done:
                return
            if self._clock() >= exchange.deadline:
                raise TransportFailure("the deadline passed", sent=True, opened=True, timed_out=True)
        check_length(exchange, size)
        if exchange.blocking:
            await asyncio.to_thread(exchange.ended)
        else:
            exchange.ended()


async def _pieces(body: StreamedBody) -> AsyncIterator[bytes]:
    pieces = iter(body)
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


def _failure(exchange: Exchange, problem: Exception, *, timed_out: bool) -> TransportFailure:
    """Return what an error of the network means for an exchange."""
    reason = str(problem) or type(problem).__name__
    sent = permanent = False
    if isinstance(problem, httpx.ConnectTimeout):
        reason = "connecting took too long"
    elif isinstance(problem, (httpx.ConnectError, httpx.ProxyError)):
        permanent = "CERTIFICATE_VERIFY_FAILED" in reason
    elif isinstance(problem, (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError)):
        permanent = True
    elif isinstance(problem, httpx.PoolTimeout):
        reason = "no connection became free"
    else:
        sent = True
        if isinstance(problem, httpx.ReadTimeout):
            reason = "no byte arrived in time"
    return TransportFailure(
        reason, sent=sent, opened=exchange.status > 0, timed_out=timed_out, permanent=permanent
    )
