"""LogPosition: how far a reader has got in a log, so that another connection or process continues from there.

Each connection to a log begins with its first event again. A log begins anew with each build or start of the
app, and the Hub may keep only its end.
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
    """How far a reader has got in a log.

    :ivar since: the time of the newest event that was read, in seconds since 1970 by the Hub's clock. Before
        the first one, the time from which on events are read.
    :ivar seen: how many events with exactly this time were read.
    :ivar log: identifies the log by its first event; ``None`` before the first event is read.
    :ivar index: how many events the log has up to the last one that was read.
    """

    since: float = 0.0
    seen: int = 0
    log: str | None = None
    index: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Returns the position as plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LogPosition:
        """Returns the position from its :meth:`to_dict`."""
        return cls(**values)


class LogReplay:
    """Tells which events of one connection a reader has not read yet.

    If the log still begins with the first event that the reader knows, events are counted. If not, the log is
    a new one, of which every event is new, or one that has lost its beginning. Then times decide, and the
    number of events with the newest time.

    :param position: how far the reader has got on earlier connections.
    :param first: the first event of this connection.
    :ivar position: how far the reader has got.
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
        """Take the next event into account. Returns whether the reader has not read it yet."""
        self._passed += 1
        if self._passed <= self._known:
            return False
        if not (self._is_caught_up or self._is_later(event)):
            return False
        # Once a reader has caught up, events with an earlier time are late, and not known. Only of another
        # log each event is compared: its first event may be one that the Hub writes for each connection.
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
