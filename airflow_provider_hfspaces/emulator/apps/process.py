"""AppProcess, the process of an emulated app, with its replicas and open calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from airflow_provider_hfspaces.emulator.apps.servers import AppServer

__all__ = ["AppProcess"]


class AppProcess:
    """The process of an app, from its start to its end. Nothing runs in an operating system's process.

    :param number: the process's number in :class:`AppState`.
    :param make_server: returns the app of a replica by its name. Replicas share no memory.
    :ivar calls: a future for each open call; setting its result cuts the call off.
    :ivar work: tasks whose callers got a 504. They end with the process.
    """

    def __init__(self, number: int, make_server: Callable[[str], AppServer]) -> None:
        self.number = number
        self._make_server = make_server
        self._servers: dict[str, AppServer] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._turn = 0
        self.calls: set[asyncio.Future[None]] = set()
        self.work: set[asyncio.Task[None]] = set()
        self.ended = False

    def choose(self, replicas: Sequence[str], caller: str | None) -> str:
        """Choose the replica for a request that names no replica.

        :param caller: address of the caller, which always reaches the same replica; ``None`` if replicas
            take turns.
        """
        if caller is not None:
            return replicas[sum(caller.encode()) % len(replicas)]
        self._turn += 1
        return replicas[self._turn % len(replicas)]

    async def server(self, replica: str) -> AppServer:
        """Return the app of a replica. The first call starts the app."""
        if replica not in self._servers:
            server = self._servers[replica] = self._make_server(replica)
            self._starting[replica] = asyncio.ensure_future(server.start())
        await asyncio.shield(self._starting[replica])
        return self._servers[replica]

    async def end(self) -> None:
        """Cut all open calls off, and stop the apps of all replicas."""
        self.ended = True
        for cut in self.calls:
            if not cut.done():
                cut.set_result(None)
        tasks = [*self.work, *self._starting.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(server.stop() for server in self._servers.values()), return_exceptions=True)
        self._servers.clear()
