"""AppPorts, which gives each Space a port of its own and serves its app there.

Ports work with every client without set-up: host names below ``localhost`` do not resolve on many systems,
and apps that use absolute paths break below a path of the Hub's address. A port is also an origin of its own,
so clients do not send the app their credentials for the Hub.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from urllib.parse import urlsplit

import uvicorn

from airflow_provider_hfspaces.emulator.apps.edge import Edge
from airflow_provider_hfspaces.emulator.http.listener import PromptServer, listening_socket, quiet_config
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.model.world import World

__all__ = ["AppPorts"]

_STOP_SECONDS = 10.0
"""Real seconds that the thread may take to stop."""


class _GrowingServer(PromptServer):
    """A server that can start to listen on further sockets while it runs."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._all: list[asyncio.Server] = []
        self._ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections on sockets."""
        await super().startup(sockets=sockets)
        # startup() replaces ``servers`` by the new ones, and shutdown() must close the earlier ones too.
        self._all += self.servers
        self.servers = list(self._all)
        self._ready.set()

    async def add(self, listener: socket.socket) -> None:
        """Accept connections on one more socket."""
        await self._ready.wait()
        await self.startup(sockets=[listener])


class AppPorts:
    """Serves the apps of a world from one thread, which starts when the first address is requested.

    Sets ``app_url`` and ``open_app_url`` of the world.

    :param host: the address to listen on.
    :param first_port: port of the first app; each further app gets the next free one. 0 for any free ports.
    """

    def __init__(self, world: World, host: str, first_port: int = 0) -> None:
        self._host, self._next_port = host, first_port
        self._ports: dict[str, int] = {}
        self._repo_ids: dict[int, str] = {}
        self._edge = Edge(world, self._repo_ids)
        # The edge sets the X-Forwarded headers itself.
        self._server = _GrowingServer(quiet_config(self._edge, proxy_headers=False))
        world.app_url, world.open_app_url = self.url, self.open_url
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def url(self, space: Space, origin: str) -> str:
        """The address of a Space's app.

        :param origin: an address by which the client knows this computer, with any port.
        """
        return _address(origin, self._port(space))

    def open_url(self, space: Space, origin: str) -> str:
        """The address of a Space's app if a client has requested it before; otherwise an empty text."""
        port = self._ports.get(space.repo_id.lower())
        return "" if port is None else _address(origin, port)

    def stop(self) -> None:
        """Stop the server, and end the processes of all apps."""
        self._server.end()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def _port(self, space: Space) -> int:
        key = space.repo_id.lower()
        if key not in self._ports:
            listener = self._listener()
            self._ports[key] = port = listener.getsockname()[1]
            self._repo_ids[port] = key
            self._serve(listener)
        return self._ports[key]

    def _listener(self) -> socket.socket:
        while True:
            port = self._next_port
            if self._next_port:
                self._next_port += 1
            try:
                return listening_socket(self._host, port)
            except OSError:
                if not port or self._next_port > 65_535:
                    raise

    def _serve(self, listener: socket.socket) -> None:
        """Accept connections. Connections that arrive before the thread is ready wait in the socket."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._run, args=(listener,), name="hub-emulator-apps", daemon=True
            )
            self._thread.start()
        else:
            asyncio.run_coroutine_threadsafe(self._server.add(listener), self._loop)

    def _run(self, first: socket.socket) -> None:
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._server.serve(sockets=[first]))
            self._loop.run_until_complete(self._end())
        finally:
            self._loop.close()

    async def _end(self) -> None:
        """End the processes of apps, and all tasks of the thread."""
        await self._edge.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_asyncgens()


def _address(origin: str, port: int) -> str:
    host = urlsplit(origin).hostname or "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
