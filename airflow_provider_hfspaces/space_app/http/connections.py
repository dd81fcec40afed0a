"""IdleConnections: the open connections of one event loop, of which the last one used is used next."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

import httpx

__all__ = ["KEEP_IDLE_SECONDS", "IdleConnections"]

KEEP_IDLE_SECONDS = 3.0
"""Idle connections are closed before the servers of most apps close them, which is after 5 seconds.

A request that meets the close of its connection is lost: the app may have received it."""


class IdleConnections:
    """Lends one connection for each exchange.

    A pool of ``httpx`` looks through all of its connections at every request, which takes most of the CPU
    with a thousand of them. Here every transport has one connection, and to find a free one takes one step.

    :param make: makes a transport with one connection.
    :param most: number of connections at most.
    """

    def __init__(self, make: Callable[[], httpx.AsyncHTTPTransport], most: int) -> None:
        self._make = make
        self._free = asyncio.Semaphore(most)
        self._idle: deque[tuple[httpx.AsyncHTTPTransport, float]] = deque()
        self._is_closed = False

    async def borrow(self) -> httpx.AsyncHTTPTransport:
        """Lend a transport, once one is free."""
        await self._free.acquire()
        return self._idle.pop()[0] if self._idle else self._make()

    async def give_back(self, transport: httpx.AsyncHTTPTransport) -> None:
        """Take a transport back."""
        self._idle.append((transport, time.monotonic()))
        self._free.release()
        await self._close_old()

    async def aclose(self) -> None:
        """Close all connections, those on loan when they come back."""
        self._is_closed = True
        await self._close_old()

    async def _close_old(self) -> None:
        oldest = time.monotonic() - KEEP_IDLE_SECONDS
        while self._idle and (self._is_closed or self._idle[0][1] < oldest):
            transport, _ = self._idle.popleft()
            await transport.aclose()
