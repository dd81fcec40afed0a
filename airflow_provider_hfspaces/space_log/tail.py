"""SpaceLogTail: shows the logs of a Space in the log of a task while the task waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from airflow_provider_hfspaces.hub.logs.event import LogEvent
from airflow_provider_hfspaces.hub.logs.streams import LogReading, LogStreams
from airflow_provider_hfspaces.space_log.progress import LogProgress
from airflow_provider_hfspaces.space_log.saving import Save, Saving
from airflow_provider_hfspaces.space_log.writer import SpaceLogWriter

__all__ = ["SpaceLogTail"]

_QUIET_SECONDS = 0.5
"""At the end of the wait, the log is read until nothing has come for this time."""

_MAX_END_SECONDS = 3.0
"""Time that reading the end of the logs may take at most."""

_LONGEST_WAIT_SECONDS = 60.0

_DELIVERY_SECONDS = 1.0
"""Time that lines need to leave the process of a triggerer. Lines that another process of Airflow has not
read when this process ends are lost."""


class SpaceLogTail:
    """Shows the logs of a Space in the log of a task, as long as it is open.

    ::

        async with SpaceLogTail(streams, progress, writer):
            await wait()

    An error of the logs never leaves this class. After the wait, the last lines are read for three seconds at
    most. If the wait is cancelled, the logs end at once.

    :param streams: reads the logs.
    :param progress: which logs to show, and how far they are shown. It is kept up to date.
    :param writer: writes the lines.
    :param log: the log of the task.
    :param interval: returns the seconds between two writes.
    :param save: saves the progress before lines are written, so that another process can continue after them.
    """

    def __init__(
        self,
        streams: LogStreams,
        progress: LogProgress,
        writer: SpaceLogWriter,
        log: Any,
        *,
        interval: Callable[[], float] = lambda: 0.2,
        save: Save | None = None,
    ) -> None:
        self._streams, self._progress, self._writer, self._log = streams, progress, writer, log
        self._interval, self._save = interval, save
        self._ending = asyncio.Event()
        self._turn = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._delivered_at = 0.0

    async def __aenter__(self) -> SpaceLogTail:
        # The tasks run in the context of the caller, by which Airflow finds the log of its task.
        self._tasks = [asyncio.create_task(self._show(kind)) for kind in self._progress.positions]
        return self

    async def __aexit__(self, exc_type: object, exc: BaseException | None, traceback: object) -> None:
        try:
            if not isinstance(exc, (asyncio.CancelledError, GeneratorExit)):
                self._ending.set()
                await asyncio.wait(self._tasks, timeout=_MAX_END_SECONDS + 1)
        finally:
            for task in self._tasks:
                task.cancel()

    async def _show(self, kind: str) -> None:
        try:
            async with self._streams.read(
                self._progress.repo_id, kind, self._progress.positions[kind]
            ) as reading:
                try:
                    await self._show_until_the_end(kind, reading)
                    await self._show_the_end(kind, reading)
                finally:
                    self._writer.close(kind)
        except asyncio.CancelledError:
            await self._deliver()
            raise
        except Exception as error:
            # No problem with the log ends the wait.
            self._log.exception("Space %s: its %s log is no longer shown.", self._progress.repo_id, kind)
            self._writer.warn(kind, "error", f"is no longer shown: {type(error).__name__}.")

    async def _show_until_the_end(self, kind: str, reading: LogReading) -> None:
        ending = asyncio.ensure_future(self._ending.wait())
        arriving: asyncio.Future[list[LogEvent]] | None = None
        try:
            while not ending.done():
                arriving = asyncio.ensure_future(reading.events(within=_LONGEST_WAIT_SECONDS))
                await asyncio.wait({arriving, ending}, return_when=asyncio.FIRST_COMPLETED)
                if not arriving.done():
                    arriving.cancel()
                    await asyncio.wait({arriving})
                if arriving.cancelled():
                    return
                await self._write(kind, reading, arriving.result())
                # Lines are gathered, so that they are written and saved together.
                await asyncio.wait({ending}, timeout=self._interval())
        finally:
            ending.cancel()
            if arriving is not None:
                arriving.cancel()

    async def _show_the_end(self, kind: str, reading: LogReading) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + _MAX_END_SECONDS
        has_reached_end = reading.hurry()
        while not reading.is_queued and (remaining := ends - loop.time()) > 0:
            events = await reading.events(within=min(_QUIET_SECONDS, remaining))
            await self._write(kind, reading, events)
            if not events and has_reached_end():
                return
        if reading.is_queued:
            self._writer.warn(kind, "never", f"was not shown. Read it here: {self._writer.page(kind)}")

    async def _write(self, kind: str, reading: LogReading, events: list[LogEvent]) -> None:
        async with self._turn:  # A save of one log must not count unwritten lines of the other.
            left_out, reading.left_out = reading.left_out, 0
            has_moved = self._progress.positions[kind] != reading.position
            if has_moved and self._save is not None and not self._ending.is_set():
                saving = Saving(self._save)
                try:
                    await saving.run(self._progress.at(kind, reading.position).to_dict())
                except asyncio.CancelledError:
                    if not saving.prevent():
                        self._write_lines(kind, events, left_out)
                    raise
            self._progress.positions[kind] = reading.position
            self._write_lines(kind, events, left_out)
        if reading.is_queued:
            self._writer.warn(
                kind,
                "queue",
                "is shown later: this process already reads as many logs as [hf_spaces] log_streams allows.",
            )
        if reading.trouble is not None:
            self._writer.warn(kind, "trouble", f"cannot be shown: {reading.trouble} The task continues.")

    def _write_lines(self, kind: str, events: list[LogEvent], left_out: int) -> None:
        self._writer.write(kind, events, left_out=left_out)
        if self._save is not None:
            self._delivered_at = asyncio.get_running_loop().time() + _DELIVERY_SECONDS

    async def _deliver(self) -> None:
        loop = asyncio.get_running_loop()
        while (remaining := self._delivered_at - loop.time()) > 0:
            with suppress(asyncio.CancelledError):  # Both the process and the wait may cancel it.
                await asyncio.sleep(remaining)
