"""Listener, a web server in a thread of its own, which starts and stops within milliseconds."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from concurrent.futures import Future
from typing import Any

import uvicorn
from starlette.types import ASGIApp

__all__ = ["Listener", "PromptServer", "listening_socket", "quiet_config"]

_START_SECONDS = _STOP_SECONDS = 10.0
"""Real seconds that the thread may take to start and to stop."""

_CLOSE_SECONDS = 0.05
"""Real seconds that a stop waits for connections to close before it runs uvicorn's slower shutdown."""


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket whose connections have TCP_NODELAY set.

    Without TCP_NODELAY, the body of an answer waits 40 ms until the client has acknowledged the headers.
    Connections inherit the option from the socket; asyncio sets it only for sockets that name their protocol.

    :param port: 0 for any free port.
    :raises OSError: if the address is in use.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=2048)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class PromptServer(uvicorn.Server):
    """A server that stops within milliseconds.

    uvicorn checks ten times a second whether to stop, and then waits another 0.1 seconds. A suite with a
    thousand tests would spend minutes on these waits.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._end: Future[None] = Future()

    def end(self) -> None:
        """Stop the server soon. Any thread may call this method, also repeatedly."""
        self.should_exit = True
        if not self._end.done():
            self._end.set_result(None)

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await asyncio.wrap_future(self._end)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for each in sockets or []:
            each.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        deadline = time.monotonic() + _CLOSE_SECONDS
        while self.server_state.connections or self.server_state.tasks:
            if time.monotonic() > deadline:
                await super().shutdown(sockets)
                return
            await asyncio.sleep(0.001)


def quiet_config(app: ASGIApp, **options: Any) -> uvicorn.Config:
    """Return the settings of a server that logs only warnings and adds no headers.

    :param options: further arguments of ``uvicorn.Config``.
    """
    return uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
        **options,
    )


class Listener:
    """Serves an application on an address until it is stopped.

    :param port: 0 for any free port.
    :raises OSError: if the address is in use.
    :ivar url: the address, such as ``http://127.0.0.1:43121``.
    """

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._socket = listening_socket(host, port)
        self.url = _url(host, self._socket.getsockname()[1])
        self._server = PromptServer(quiet_config(app))
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="hub-emulator", daemon=True
        )

    def start(self) -> None:
        """Start the thread. Returns when the server accepts connections."""
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError(
                    f"The emulator at {self.url} did not start within {_START_SECONDS:.0f} seconds. Look for "
                    "the reason in the log of uvicorn."
                )
            time.sleep(0.002)

    def stop(self) -> None:
        """Stop the server and its thread."""
        self._server.end()
        self._thread.join(_STOP_SECONDS)

    def join(self, seconds: float) -> bool:
        """Wait up to ``seconds`` real seconds for the server to stop. Returns whether it is still running."""
        self._thread.join(seconds)
        return self._thread.is_alive()


def _url(host: str, port: int) -> str:
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound to
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
