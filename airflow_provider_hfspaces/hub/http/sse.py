"""LogReader: reads a Space's log, which the Hub sends as server-sent events."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.error_responses import answer_too_large, answer_too_slow
from airflow_provider_hfspaces.hub.http.limits import AnswerLimits

__all__ = ["LogReader"]


class LogReader:
    """Takes the raw chunks of a log's event stream and returns its lines.

    :param follow: go on after the end of what the log held when the request was sent.
    :ivar done: True once the log has been read to its end.
    """

    def __init__(
        self,
        call: Call[str],
        headers: Mapping[str, str],
        limits: AnswerLimits,
        *,
        follow: bool,
        clock: Callable[[], float],
    ) -> None:
        self.done = False
        self._call, self._headers, self._limits, self._follow = call, headers, limits, follow
        self._clock, self._ends = clock, clock() + limits.max_seconds
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._rest = ""
        self._size = 0

    def feed(self, chunk: bytes) -> list[str]:
        """Take the next chunk and return the lines that are complete.

        :raises HubProtocolError: for a line or a log beyond the limits.
        """
        self._size += len(chunk)
        if not self._follow and self._size > self._limits.max_bytes:
            raise answer_too_large(self._call, 200, self._limits.max_bytes)
        if not self._follow and self._clock() > self._ends:
            raise answer_too_slow(self._call, 200, self._limits.max_seconds)
        *complete, self._rest = (self._rest + self._decode(chunk)).split("\n")
        if len(self._rest) > self._limits.max_line:
            raise answer_too_large(self._call, 200, self._limits.max_line)
        return list(self._lines(complete))

    def _lines(self, fields: list[str]) -> Iterator[str]:
        for field in fields:
            if self.done:
                return
            event = _event(field.removesuffix("\r"))
            if event is None:
                continue
            if not self._follow and _is_newer_than_request(event, self._headers.get("date")):
                self.done = True
                return
            if isinstance(event.get("data"), str):
                yield from self._call.read(event).splitlines()


def _event(field: str) -> dict[str, Any] | None:
    """The JSON object of an event; ``None`` for a comment, a blank line or another field."""
    name, _, value = field.partition(":")
    if name != "data":
        return None
    try:
        payload = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None


def _is_newer_than_request(event: Mapping[str, Any], date: str | None) -> bool:
    """Whether an event is newer than the request, so that everything older has been read.

    :param date: the answer's ``Date`` header, by the Hub's own clock.
    """
    try:
        sent = parsedate_to_datetime(date or "")
        written = datetime.fromisoformat(str(event.get("timestamp")).replace("Z", "+00:00"))
        if sent.tzinfo is None:
            sent = sent.replace(tzinfo=timezone.utc)
        if written.tzinfo is None:
            written = written.replace(tzinfo=timezone.utc)
        return (written - sent).total_seconds() > 1
    except (TypeError, ValueError, IndexError, OverflowError):
        return False
