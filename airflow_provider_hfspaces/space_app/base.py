"""AppBase: the settings, transports and parallel calls of ``SpaceApp``, for threads and coroutines."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_hfspaces.hub.checks import checked_number
from airflow_provider_hfspaces.hub.http.sequence import Steps, aexecute, execute
from airflow_provider_hfspaces.space_app.asking import AppAsking
from airflow_provider_hfspaces.space_app.core import AppCore
from airflow_provider_hfspaces.space_app.gradio.call import AppCall
from airflow_provider_hfspaces.space_app.limits import AppLimits
from airflow_provider_hfspaces.space_app.listener import AcceptedCall

if TYPE_CHECKING:
    from airflow_provider_hfspaces.space_app.http.aio import LoopTransport
    from airflow_provider_hfspaces.space_app.http.threads import ThreadTransport

__all__ = [
    "CALL_SECONDS",
    "CANCEL_SECONDS",
    "DOWNLOAD_SECONDS",
    "PATIENCE_SECONDS",
    "PROBE_SECONDS",
    "REQUEST_SECONDS",
    "SHARED_CONNECTIONS",
    "AppBase",
]

T = TypeVar("T")

CALL_SECONDS = 3_600.0
"""Default timeout of a call. Without one, the app's heartbeats would keep a dead call alive for ever."""

REQUEST_SECONDS = 60.0
"""Default timeout of a plain request, and of reading an app's declaration."""

DOWNLOAD_SECONDS = 3_600.0
"""Default timeout of an upload or a download."""

PROBE_SECONDS = 10.0
"""Default timeout of a health check."""

CANCEL_SECONDS = 3.0
"""Default timeout of a cancellation: a process that gets a signal is often killed after five seconds."""

PATIENCE_SECONDS = 30.0
"""Default time for which a call to an app that does not answer is sent again."""

SHARED_CONNECTIONS = 5
"""Number of connections of a shared session: one for the answers, the others to send calls."""

BEGINNING_CALLS = 16
"""Number of calls that begin in one iteration of the event loop."""

SPARE_CONNECTIONS = 4
"""Number of connections beside those of the calls in flight, for cancellations, probes and downloads."""


class AppBase:
    """The common part of ``SpaceApp``'s methods for threads and for coroutines.

    The parameters are those of :class:`~airflow_provider_hfspaces.space_app.app.SpaceApp`.
    """

    def __init__(
        self,
        repo_id: str,
        host: str,
        token: str | None = None,
        *,
        root: str = "",
        auth: tuple[str, str] | None = None,
        bearer: str | None = None,
        replicas: int = 1,
        connections: int = 100,
        limits: AppLimits | None = None,
        user_agent: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = time.sleep,
        async_sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._core = AppCore(
            repo_id,
            host,
            token,
            root=root,
            auth=auth,
            bearer=bearer,
            replicas=checked_number(replicas, "replicas", least=1),
            limits=limits,
            user_agent=user_agent,
            clock=clock,
        )
        self._asking = AppAsking(self._core)
        self._connections = checked_number(connections, "connections", least=1)
        self._sleep, self._async_sleep = sleep, async_sleep
        self._lock = threading.Lock()
        self._threads: ThreadTransport | None = None
        self._loop_transport: LoopTransport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread_slots = threading.BoundedSemaphore(self._connections)
        self._loop_slots = asyncio.Semaphore(self._connections)
        self._beginning = asyncio.Semaphore(BEGINNING_CALLS)
        self._calls: set[AppCall] = set()

    def __repr__(self) -> str:
        token = "***" if self._core.token else None
        return f"{type(self).__name__}({self.repo_id!r}, {self.host!r}, token={token})"

    @property
    def repo_id(self) -> str:
        """The Space, as ``owner/name``."""
        return self._core.repo_id

    @property
    def host(self) -> str:
        """The address of the app."""
        return self._core.origin

    @property
    def in_flight(self) -> list[AcceptedCall]:
        """The calls that the app has accepted and not yet answered."""
        return [call.accepted for call in list(self._calls) if call.accepted is not None]

    def close(self) -> None:
        """Close the connections that threads use. :meth:`aclose` also closes those of the event loop."""
        if self._threads is not None:
            self._threads.close()

    def _run(self, steps: Steps[T]) -> T:
        with self._lock:
            if self._threads is None:
                self._threads = self._new_thread_transport(connections=self._connections + SPARE_CONNECTIONS)
        return execute(steps, self._threads.send, sleep=self._sleep)

    async def _arun(self, steps: Steps[T]) -> T:
        transport = await self._on_loop()
        return await aexecute(steps, transport.send, sleep=self._async_sleep)

    async def _on_loop(self) -> LoopTransport:
        """Return the transport of this event loop. In a new event loop, the limits on calls start anew."""
        loop = asyncio.get_running_loop()
        if self._loop_transport is not None and self._loop is loop:
            return self._loop_transport
        # Load modules and certificates in a thread, because loading them would block the event loop.
        await asyncio.to_thread(import_module, f"{__package__}.http.aio")
        from airflow_provider_hfspaces.hub.http.certificates import prepare

        await prepare(self._core.origin)
        if self._loop_transport is None or self._loop is not loop:
            self._loop_slots = asyncio.Semaphore(self._connections)
            self._beginning = asyncio.Semaphore(BEGINNING_CALLS)
            self._loop_transport = self._new_loop_transport(connections=self._connections + SPARE_CONNECTIONS)
            self._loop = loop
        return self._loop_transport

    def _new_thread_transport(self, *, connections: int) -> ThreadTransport:
        from airflow_provider_hfspaces.space_app.http.threads import ThreadTransport

        core = self._core
        return ThreadTransport(
            proxy=core.proxy,
            connections=connections,
            limits=core.limits,
            clock=core.clock,
            sleep=self._sleep,
        )

    def _new_loop_transport(self, *, connections: int) -> LoopTransport:
        from airflow_provider_hfspaces.space_app.http.aio import LoopTransport

        core = self._core
        return LoopTransport(
            proxy=core.proxy,
            secure=core.is_secure,
            connections=connections,
            limits=core.limits,
            clock=core.clock,
            sleep=self._async_sleep,
        )

    @contextmanager
    def _turn(self, call: AppCall) -> Iterator[None]:
        if not self._thread_slots.acquire(timeout=max(0.0, call.deadline.remaining)):
            raise self._asking.no_turn(call, self._connections)
        self._calls.add(call)
        try:
            yield
        finally:
            self._calls.discard(call)
            self._thread_slots.release()

    async def _begin_turn(self, call: AppCall) -> asyncio.Semaphore:
        """Wait until a call may be in flight, and return the semaphore to release at its end."""
        await self._on_loop()
        # A thousand calls that begin in one iteration would block the event loop.
        async with self._beginning:
            await asyncio.sleep(0)
        slots = self._loop_slots
        if slots.locked():
            import anyio

            with anyio.move_on_after(max(0.0, call.deadline.remaining)) as scope:
                await slots.acquire()
            if scope.cancelled_caught:
                raise self._asking.no_turn(call, self._connections)
        else:
            await slots.acquire()
        self._calls.add(call)
        return slots
