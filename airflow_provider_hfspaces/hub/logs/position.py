"""LogPosition: how far a reader has read a log, so that another connection or process can continue there.

Come here to change how repeated events are recognized. Each new connection to a log sends the log from its
beginning. Each build, and each start of the app, begins a new log, and the Hub may keep only the end of a
log.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from airflow_provider_hfspaces.hub.logs.event import LogEvent

__all__ = ["LogPosition", "LogReplay"]


@dataclass(frozen=True)
class LogPosition:
    """How far a reader has read a log.

    :ivar since: time of the newest event that was read, in seconds since 1970 by the Hub's clock. Before the
        first event, the time from which on events are read; by default all.
    :ivar seen: number of events with exactly this time that were read.
    :ivar log: id of the log, made from its first event; ``None`` before the first event is read.
    :ivar index: number of events in the log up to the last event that was read.
    """

    since: float = 0.0
    seen: int = 0
    log: str | None = None
    index: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the position as plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LogPosition:
        """Return the position from its :meth:`to_dict`.

        :raises TypeError: for an unknown field.
        """
        return cls(**values)


class LogReplay:
    """Tells which events of one connection a reader has not read yet.

    If the connection begins with the first event that the reader knows, the replay skips as many events as
    the reader has read. Otherwise, the log is new, or its beginning was dropped: then the times of the events
    decide, and for the newest time the number of events.

    :param position: how far the reader has read on earlier connections.
    :param first: the first event of this connection.
    :ivar position: how far the reader has read, including this connection.
    """

    def __init__(self, position: LogPosition, first: LogEvent) -> None:
        self.position = position
        self._began = position
        self._log = f"{first.time}:{zlib.crc32(first.text.encode()):08x}"
        is_same = position.log == self._log
        self._known = position.index if is_same else 0
        self._is_caught_up = is_same and position.log is not None
        self._is_another_log = (
            position.log is not None
            and not is_same
            and first.time is not None
            and first.time >= position.since
        )
        self._passed = 0
        self._at_since = 0

    def is_new(self, event: LogEvent) -> bool:
        """Pass the next event of the connection, and return True if the reader has not read it yet."""
        self._passed += 1
        if self._passed <= self._known:
            return False
        if not (self._is_caught_up or self._is_later(event)):
            return False
        # After the reader has caught up, an event with an earlier time is late, not repeated. In another log,
        # each event is compared, because the Hub may write its first event anew for each connection.
        self._is_caught_up = not self._is_another_log
        position = replace(self.position, log=self._log, index=self._passed)
        if event.time is not None and event.time > position.since:
            position = replace(position, since=event.time, seen=1)
        elif event.time == position.since:
            position = replace(position, seen=position.seen + 1)
        self.position = position
        return True

    def _is_later(self, event: LogEvent) -> bool:
        since = self._began.since
        if event.time == since:
            self._at_since += 1
            return self._is_another_log or self._at_since > self._began.seen
        return event.time is None or event.time > since
