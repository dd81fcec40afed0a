"""IdleConnections: a fast connection pool for one event loop, which reuses the last used connection first."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque

import httpcore  # comes with httpx
import httpx

__all__ = ["KEEP_IDLE_SECONDS", "IdleConnections"]

KEEP_IDLE_SECONDS = 3.0
"""Time after which an idle connection is closed, before the servers of most apps close it after 5 seconds.

A request on a connection that the server is closing is lost, because the app may have received it."""


class IdleConnections:
    """Lends one connection for each exchange.

    The pool of ``httpcore`` searches all of its connections for each request, which takes most of the CPU
    time with a thousand connections, and creates about thirty objects for each waiting request. So it is only
    used to open connections here, and finding an idle connection takes constant time.

    :param proxy: URL of the proxy; ``None`` to connect directly.
    :param certificates: SSL context for the app and the proxy.
    :param most: largest number of connections.
    """

    def __init__(self, *, proxy: str | None, certificates: ssl.SSLContext, most: int) -> None:
        self._opener = _opener(httpx.Proxy(proxy) if proxy else None, certificates)
        self._free = asyncio.Semaphore(most)
        self._idle: deque[tuple[httpcore.AsyncConnectionInterface, float]] = deque()
        self._is_closed = False

    async def borrow(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        """Wait until a connection is free, and return it. A new one connects with its first request.

        :param origin: scheme, host and port of the app.
        """
        await self._free.acquire()
        try:
            while self._idle:
                connection, _ = self._idle.pop()
                if connection.can_handle_request(origin) and not connection.has_expired():
                    return connection
                await connection.aclose()
            return self._opener.create_connection(origin)
        except BaseException:
            self._free.release()
            raise

    async def give_back(self, connection: httpcore.AsyncConnectionInterface) -> None:
        """Take a connection back."""
        self._free.release()
        if connection.is_available():
            self._idle.append((connection, time.monotonic()))
        else:
            await connection.aclose()
        await self._close_old()

    async def aclose(self) -> None:
        """Close all idle connections now, and borrowed connections when they come back."""
        self._is_closed = True
        await self._close_old()

    async def _close_old(self) -> None:
        oldest = time.monotonic() - KEEP_IDLE_SECONDS
        while self._idle and (self._is_closed or self._idle[0][1] < oldest):
            connection, _ = self._idle.popleft()
            await connection.aclose()


def _opener(proxy: httpx.Proxy | None, certificates: ssl.SSLContext) -> httpcore.AsyncConnectionPool:
    if proxy is None:
        return httpcore.AsyncConnectionPool(certificates, keepalive_expiry=KEEP_IDLE_SECONDS)
    address = httpcore.URL(
        scheme=proxy.url.raw_scheme, host=proxy.url.raw_host, port=proxy.url.port, target=proxy.url.raw_path
    )
    if proxy.url.scheme.startswith("socks"):
        return httpcore.AsyncSOCKSProxy(
            address,
            proxy_auth=proxy.raw_auth,
            ssl_context=certificates,
            keepalive_expiry=KEEP_IDLE_SECONDS,
        )
    return httpcore.AsyncHTTPProxy(
        address,
        proxy_auth=proxy.raw_auth,
        proxy_headers=proxy.headers.raw,
        ssl_context=certificates,
        proxy_ssl_context=certificates if proxy.url.scheme == "https" else None,
        keepalive_expiry=KEEP_IDLE_SECONDS,
    )
