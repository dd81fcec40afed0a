"""LogStreams: reads the logs of Spaces, with one connection for each log that many readers share.

Come here to change how connections are opened again, or what happens to a reader that is too slow.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.closing import AsyncClosing
from airflow_provider_hfspaces.hub.errors import HubError, HubRateLimited
from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from airflow_provider_hfspaces.hub.logs.event import LogEvent
from airflow_provider_hfspaces.hub.logs.position import LogPosition, LogReplay

__all__ = ["LogReading", "LogStreams"]

log = logging.getLogger(__name__)

_SILENCE_SECONDS = 120.0
"""Time without a byte after which a connection counts as lost. The Hub sends a comment every 30 seconds."""

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
"""First and longest pause between two connections to a log."""

_HURRIED_PAUSE_SECONDS = 0.3
"""Longest pause between two connections after :meth:`LogReading.hurry`."""

_RESTART_SECONDS = 1.0
"""Time for which readers that need the beginning of a log gather before the log is read again for all."""

_KEPT_EVENTS = 1_000
"""Number of events of a connection that are kept for readers that join later."""

_PENDING_EVENTS = 2_000
"""Number of events that are kept for a reader that does not fetch them."""

_FAILURES_BEFORE_TROUBLE = 3
"""Number of failed connections in a row after which readers learn of the error."""

_EVENTS_IN_A_ROW = 100
"""Number of events after which other coroutines run."""

_ONE_TRY = RetryPolicy(total=0, total_rate_limited=0)


class LogReading(AsyncClosing):
    """One reader of a log, from :meth:`LogStreams.read`. Use it as an asynchronous context manager.

    :ivar position: the position after the events that :meth:`events` has returned.
    :ivar trouble: the error, after the Hub has rejected the log or three connections in a row have failed.
        ``None`` before. The stream keeps trying to connect.
    :ivar left_out: number of events that were dropped because the reader did not fetch them.
    """

    def __init__(self, streams: LogStreams, repo_id: str, kind: str, position: LogPosition) -> None:
        self.repo_id, self.kind, self.position = repo_id, kind, position
        self.trouble: HubError | None = None
        self.left_out = 0
        self._streams = streams
        self._replay: LogReplay | None = None
        self._reached = position
        self._pending: list[LogEvent] = []
        self._arrived = asyncio.Event()

    @property
    def is_queued(self) -> bool:
        """Whether the log is not read yet because all slots for connections are taken."""
        return self._streams.stream_of(self).is_queued

    async def events(self, *, within: float) -> list[LogEvent]:
        """Wait for at least one event, and return all events since the last call.

        :param within: seconds after which the method returns an empty list.
        """
        with suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(self._arrived.wait(), within)
        self._arrived.clear()
        events, self._pending = self._pending, []
        self.position = self._reached
        return events

    def hurry(self) -> Callable[[], bool]:
        """Connect at once if the log is not connected, and reconnect fast from now on.

        :returns: a function that returns True once the log was read to its end after this call, or cannot be
            read.
        """
        stream = self._streams.stream_of(self)
        has_reached_end = stream.hurry()
        return lambda: has_reached_end() or (self.trouble is not None and self.trouble.permanent)

    def begin(self, first: LogEvent) -> None:
        """Start to compare a new connection with the reader's position.

        :param first: the first event of the connection.
        """
        self._replay = LogReplay(self._reached, first)

    def offer(self, event: LogEvent) -> bool:
        """Pass the next event of the connection, and return True if it is new to this reader."""
        if self._replay is None or not self._replay.is_new(event):
            return False  # The reader joined late, and waits until the log is read from its beginning.
        self._reached = self._replay.position
        if len(self._pending) < _PENDING_EVENTS:
            self._pending.append(event)
        else:
            self.left_out += 1
        self._arrived.set()
        return True

    def fail(self, error: HubError) -> None:
        """Store the error as :attr:`trouble`, and wake the reader."""
        self.trouble = error
        self._arrived.set()

    async def __aenter__(self) -> LogReading:
        self._streams.join(self)
        return self

    async def aclose(self) -> None:
        """Leave the connection to the other readers."""
        self._streams.leave(self)


class LogStreams:
    """Reads the logs of Spaces on one event loop, with one connection for each log that has readers.

    ::

        async with AsyncHubClient(token, connections=32) as client:
            streams = LogStreams(client, asyncio.Semaphore(32))
            async with streams.read("acme/whisper", "run", LogPosition()) as reading:
                for event in await reading.events(within=60):
                    print(event.text, end="")
            await streams.close()

    A connection that breaks or ends is opened again, after a pause that doubles up to 30 seconds while no new
    events arrive.

    :param client: opens the connections. Close it after :meth:`close`.
    :param slots: limits the number of logs that are read at a time. A further log waits until the last reader
        of another log has left.
    :param pause: seconds before the second connection to a log; by default 1.
    """

    def __init__(
        self, client: AsyncHubClient, slots: asyncio.Semaphore, *, pause: float = _FIRST_PAUSE_SECONDS
    ) -> None:
        self._client, self._slots, self._pause = client, slots, pause
        self._streams: dict[tuple[str, str], _Stream] = {}

    def read(self, repo_id: str, kind: str, position: LogPosition) -> LogReading:
        """Return a reader of a log.

        :param repo_id: the Space, as ``owner/name``.
        :param kind: ``build`` or ``run``.
        :param position: how far the reader has read before; ``LogPosition()`` for the whole log.
        """
        return LogReading(self, repo_id, kind, position)

    def join(self, reading: LogReading) -> None:
        """Add a reader, and open the connection for the first one."""
        key = (reading.repo_id.lower(), reading.kind)
        if key not in self._streams:
            call = calls.get_log_events(reading.repo_id, build=reading.kind == "build")
            self._streams[key] = _Stream(self._client, self._slots, call, self._pause)
        self._streams[key].join(reading)

    def leave(self, reading: LogReading) -> None:
        """Remove a reader, and close the connection after the last one."""
        key = (reading.repo_id.lower(), reading.kind)
        if key in self._streams and self._streams[key].leave(reading):
            del self._streams[key]

    def stream_of(self, reading: LogReading) -> _Stream:
        """Return the stream of a reader that has joined."""
        return self._streams[reading.repo_id.lower(), reading.kind]

    async def close(self) -> None:
        """Close all connections."""
        streams, self._streams = list(self._streams.values()), {}
        for stream in streams:
            await stream.close()


class _Stream:
    """One log with its connection and its readers."""

    def __init__(
        self, client: AsyncHubClient, slots: asyncio.Semaphore, call: Call[LogEvent], pause: float
    ) -> None:
        self.is_queued = slots.locked()
        self._client, self._slots, self._call, self._first_pause = client, slots, call, pause
        self._readings: list[LogReading] = []
        self._kept: deque[LogEvent] = deque(maxlen=_KEPT_EVENTS)
        self._number = 0
        self._ends = 0
        self._is_connected = self._has_news = self._has_to_restart = self._is_hurried = False
        self._restart: asyncio.TimerHandle | None = None
        self._connection: asyncio.Task[None] | None = None
        self._hurried = asyncio.Event()
        # In an empty context, because its log lines belong to no single reader.
        self._task = contextvars.Context().run(asyncio.create_task, self._run(), name=call.path)

    def join(self, reading: LogReading) -> None:
        """Add a reader, which gets the events of the current connection first."""
        self._readings.append(reading)
        if self._number > len(self._kept):
            loop = asyncio.get_running_loop()
            self._restart = self._restart or loop.call_later(_RESTART_SECONDS, self._begin_again)
        elif self._kept:
            reading.begin(self._kept[0])
            for event in self._kept:
                reading.offer(event)

    def leave(self, reading: LogReading) -> bool:
        """Remove a reader, and close the connection after the last one.

        :returns: True if no reader remains.
        """
        self._readings.remove(reading)
        if not self._readings:
            self._task.cancel()
        return not self._readings

    def hurry(self) -> Callable[[], bool]:
        """Shorten the pauses between connections.

        :returns: a function that returns True once the log is connected, or was read to its end after this
            call.
        """
        self._is_hurried = True
        self._hurried.set()
        ends = self._ends
        return lambda: self._is_connected or self._ends > ends

    async def close(self) -> None:
        """Close the connection."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        try:
            async with self._slots:
                self.is_queued = False
                await self._keep_connected()
        except Exception:
            log.exception("The log at %s is no longer read.", self._call.path)
        finally:
            if self._restart is not None:
                self._restart.cancel()

    async def _keep_connected(self) -> None:
        failures, pause = 0, self._first_pause
        while True:
            error = await self._read_connection()
            if self._has_to_restart:
                self._has_to_restart = False
                continue
            # A connection that breaks after some events is opened again silently.
            failures = failures + 1 if error is not None and not self._number else 0
            if error is not None and (error.permanent or failures == _FAILURES_BEFORE_TROUBLE):
                for reading in self._readings:
                    reading.fail(error)
            pause = self._first_pause if self._has_news else min(2 * pause, _LONGEST_PAUSE_SECONDS)
            if error is not None and error.permanent:
                pause = _LONGEST_PAUSE_SECONDS
            limited = error.retry_after if isinstance(error, HubRateLimited) else None
            # Jitter, so that the logs of many Spaces are not opened at the same moment.
            await self._rest(max(pause * random.uniform(0.75, 1.25), limited or 0.0))

    async def _rest(self, seconds: float) -> None:
        self._hurried.clear()
        seconds = min(seconds, _HURRIED_PAUSE_SECONDS) if self._is_hurried else seconds
        with suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(self._hurried.wait(), seconds)

    async def _read_connection(self) -> HubError | None:
        """Read one connection to its end, and return its error; ``None`` if it ended without one."""
        self._kept.clear()
        self._number, self._has_news = 0, False
        self._connection = asyncio.ensure_future(self._read())
        try:
            await self._connection
        except HubError as error:
            return error
        except asyncio.CancelledError:
            if not self._has_to_restart:
                raise
            return None
        finally:
            self._is_connected = False
        self._ends += 1
        return None

    def _begin_again(self) -> None:
        """Read the log from its beginning again, for readers that joined late."""
        self._restart = None
        if self._connection is not None and not self._connection.done():
            self._has_to_restart = True
            self._connection.cancel()

    async def _read(self) -> None:
        events = self._client.events(
            self._call, follow=True, silence=_SILENCE_SECONDS, strict=True, retry=_ONE_TRY
        )
        try:
            async for event in events:
                self._is_connected = True
                self._take(event)
                if self._number % _EVENTS_IN_A_ROW == 0:
                    await asyncio.sleep(0)
        finally:
            await events.aclose()

    def _take(self, event: LogEvent) -> None:
        if self._number == 0:
            for reading in self._readings:
                reading.begin(event)
        self._number += 1
        self._kept.append(event)
        for reading in self._readings:
            self._has_news |= reading.offer(event)
