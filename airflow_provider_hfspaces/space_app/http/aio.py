"""LoopTransport: sends exchanges over ``httpcore``, for the coroutines of one event loop."""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any

import anyio  # comes with httpx
import httpcore  # comes with httpx
import httpx

from airflow_provider_hfspaces.hub.http.certificates import trusted_certificates
from airflow_provider_hfspaces.hub.http.sequence import aexecute
from airflow_provider_hfspaces.space_app.http.connections import IdleConnections
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

MAX_STARTING_CALLS = 16
"""Number of calls that begin at the same time."""

_PROBLEMS = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    httpcore.ConnectionNotAvailable,
)


class LoopTransport:
    """Sends exchanges on one event loop.

    :param proxy: URL of the proxy; ``None`` to connect directly.
    :param secure: whether requests are encrypted, so that certificates are needed.
    :param connections: largest number of connections.
    :param limits: limits on the silence of an app.
    :param clock: returns the time in seconds.
    :param sleep: waits for a number of seconds.
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
        self._few = asyncio.Semaphore(MAX_STARTING_CALLS)
        # Pass a context in any case: httpcore would otherwise load the certificates for each transport.
        is_encrypted = secure or bool(proxy)
        verify = trusted_certificates() if is_encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._connections = IdleConnections(proxy=proxy, certificates=verify, most=connections)
        silent = limits.silent_seconds
        timeout = {"connect": limits.connect_seconds, "read": silent, "write": silent}
        self._extensions: dict[str, Any] = {"timeout": timeout}

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
        try:
            message = _message(exchange, self._extensions)
            connection = await self._connections.borrow(message.url.origin)
            # No context managers: they would add objects to each of a thousand waiting calls.
            try:
                response = await connection.handle_async_request(message)
                try:
                    headers = httpx.Headers(response.headers)
                    exchange.opened(response.status, headers, headers.get_list("set-cookie"))
                    await self._read(exchange, response)
                finally:
                    await response.aclose()
            finally:
                await self._connections.give_back(connection)
        except (*_PROBLEMS, httpx.InvalidURL, OSError) as problem:
            raise _failure(exchange, problem, timed_out=self._clock() >= exchange.deadline) from None

    async def _read(self, exchange: Exchange, response: httpcore.Response) -> None:
        assert isinstance(response.stream, AsyncIterable)
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


def _message(exchange: Exchange, extensions: dict[str, Any]) -> httpcore.Request:
    request = exchange.request
    url = httpx.URL(request.url)
    headers = httpx.Headers([("Host", url.netloc.decode("ascii")), *request.headers.items()])
    body: Any = request.body
    if body is not None or request.method in ("POST", "PUT", "PATCH"):
        headers["Content-Length"] = str(len(body or b""))
    if body is not None and not isinstance(body, bytes):
        body = _pieces(body)
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    return httpcore.Request(request.method, target, headers=headers.raw, content=body, extensions=extensions)


async def _pieces(body: StreamedBody) -> AsyncIterator[bytes]:
    pieces = iter(body)
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


def _failure(exchange: Exchange, problem: Exception, *, timed_out: bool) -> TransportFailure:
    """Return the failure for a network error of an exchange."""
    reason = str(problem) or type(problem).__name__
    sent = permanent = False
    if isinstance(problem, httpcore.ConnectTimeout):
        reason = "connecting took too long"
    elif isinstance(problem, (httpcore.ConnectError, httpcore.ProxyError)):
        permanent = "CERTIFICATE_VERIFY_FAILED" in reason
    elif isinstance(problem, (httpcore.UnsupportedProtocol, httpx.InvalidURL, httpcore.LocalProtocolError)):
        permanent = True
    else:
        sent = True
        if isinstance(problem, httpcore.ReadTimeout):
            reason = "no byte arrived in time"
    return TransportFailure(
        reason, sent=sent, opened=exchange.status > 0, timed_out=timed_out, permanent=permanent
    )
