"""SpaceLogThread: shows the logs of a Space while the main thread of a worker waits."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
from airflow_provider_hfspaces.hub.logs.streams import LogStreams
from airflow_provider_hfspaces.space_log.progress import LogProgress
from airflow_provider_hfspaces.space_log.tail import SpaceLogTail
from airflow_provider_hfspaces.space_log.writer import SpaceLogWriter

__all__ = ["SpaceLogThread"]

_JOIN_POLL_SECONDS = 0.02
"""Time between two checks of whether the thread is done."""

_MAX_JOIN_SECONDS = 6.0
"""Time that the main thread waits for this thread at most."""


class _OtherThreads(logging.Filter):
    """Drops the records of the thread that creates the filter: httpx logs each request to the task's log."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        return record.thread != self._thread


class SpaceLogThread:
    """Shows the logs of a Space in the log of a task, as long as it is open.

    ::

        with SpaceLogThread(client, progress, writer, log):
            wait()

    If the wait ends, the last lines are read for three seconds at most. If the task is killed, or Airflow
    ends it, the logs end at once.

    :param client: opens the connections. It is closed at the end.
    :param progress: which logs to show, and how far they are shown. It is kept up to date.
    :param writer: writes the lines.
    :param log: the log of the task.
    :param is_killed: returns whether the task was killed.
    """

    def __init__(
        self,
        client: AsyncHubClient,
        progress: LogProgress,
        writer: SpaceLogWriter,
        log: Any,
        is_killed: Callable[[], bool],
    ) -> None:
        self._is_killed = is_killed
        self._client, self._progress, self._writer, self._log = client, progress, writer, log
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work: asyncio.Task[None] | None = None
        self._ending: asyncio.Event | None = None
        self._is_over = False
        self._has_begun = threading.Event()
        context = contextvars.copy_context()
        # A daemon: a connection that cannot be closed must not keep the process of the task alive.
        self._thread = threading.Thread(target=context.run, args=(self._run,), name="space-log", daemon=True)

    def __enter__(self) -> SpaceLogThread:
        self._thread.start()
        return self

    def __exit__(self, exc_type: object, exc: BaseException | None, traceback: object) -> None:
        self._has_begun.wait(_MAX_JOIN_SECONDS)
        if self._loop is None or self._work is None or self._ending is None:
            return
        # Airflow ends a task by raising exceptions that are not errors of the wait.
        is_killed = self._is_killed() or (exc is not None and not isinstance(exc, Exception))
        try:
            self._loop.call_soon_threadsafe(self._work.cancel if is_killed else self._ending.set)
        except RuntimeError:  # the loop is closed already
            return
        ends = time.monotonic() + _MAX_JOIN_SECONDS
        while not self._is_over and time.monotonic() < ends:
            time.sleep(_JOIN_POLL_SECONDS)

    def _run(self) -> None:
        quiet = _OtherThreads()
        httpx_log = logging.getLogger("httpx")
        httpx_log.addFilter(quiet)
        try:
            asyncio.run(self._show())
        except asyncio.CancelledError:
            pass
        except Exception as error:
            self._log.warning(
                "The logs of Space %s are no longer shown: %s: %s",
                self._progress.repo_id,
                type(error).__name__,
                error,
            )
        finally:
            httpx_log.removeFilter(quiet)
            self._is_over = True
            self._has_begun.set()

    async def _show(self) -> None:
        self._loop, self._work = asyncio.get_running_loop(), asyncio.current_task()
        self._ending = asyncio.Event()
        self._has_begun.set()
        async with self._client:
            streams = LogStreams(self._client, asyncio.Semaphore(len(self._progress.positions)))
            try:
                async with SpaceLogTail(streams, self._progress, self._writer, self._log):
                    await self._ending.wait()
            finally:
                await streams.close()
