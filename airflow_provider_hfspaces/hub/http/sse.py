"""LogReader: parses the log of a Space, which the Hub sends as server-sent events."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.error_responses import answer_too_large, answer_too_slow
from airflow_provider_hfspaces.hub.http.dates import date_of
from airflow_provider_hfspaces.hub.http.limits import AnswerLimits
from airflow_provider_hfspaces.hub.logs.event import seconds_of

__all__ = ["LogReader"]

T = TypeVar("T")


class LogReader(Generic[T]):
    """Reads the raw chunks of a log's event stream and returns its events.

    :param call: the call, whose ``read`` returns the result for each event.
    :param headers: headers of the answer, with case-insensitive names.
    :param limits: limits on the bytes, seconds and lines of the log.
    :param follow: continue after the events that existed when the request was sent. A line beyond the limit
        is then replaced by a note instead of an error, because a new connection would receive it again.
    :param clock: returns the time in seconds.
    :ivar done: True once the log has been read to its end.
    """

    def __init__(
        self,
        call: Call[T],
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
        self._is_in_long_line = False
        self._size = 0

    def feed(self, chunk: bytes) -> list[T]:
        """Read the next chunk, and return the events that are complete.

        :raises HubProtocolError: for a line or a log beyond the limits, unless the log is followed.
        """
        self._size += len(chunk)
        if not self._follow and self._size > self._limits.max_bytes:
            raise answer_too_large(self._call, 200, self._limits.max_bytes)
        if not self._follow and self._clock() > self._ends:
            raise answer_too_slow(self._call, 200, self._limits.max_seconds)
        text = self._decode(chunk)
        if self._is_in_long_line:
            _, end, text = text.partition("\n")
            self._is_in_long_line = not end
        *complete, self._rest = (self._rest + text).split("\n")
        is_too_long = len(self._rest) > self._limits.max_line
        if is_too_long and not self._follow:
            raise answer_too_large(self._call, 200, self._limits.max_line)
        events = list(self._events(complete))
        if is_too_long:
            self._rest, self._is_in_long_line = "", True
            most = f"{self._limits.max_line:,}"
            events.append(
                self._call.read({"data": f"… A line of more than {most} characters is left out.\n"})
            )
        return events

    def _events(self, fields: list[str]) -> Iterator[T]:
        for field in fields:
            if self.done:
                return
            event = _event(field.removesuffix("\r"))
            if event is None:
                continue
            if not self._follow and _is_newer_than_request(event, self._headers):
                self.done = True
                return
            if isinstance(event.get("data"), str):
                yield self._call.read(event)


def _event(field: str) -> dict[str, Any] | None:
    """Return the JSON object of an event; ``None`` for a comment, a blank line or another field."""
    name, _, value = field.partition(":")
    if name != "data":
        return None
    try:
        payload = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None


def _is_newer_than_request(event: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    """Return True if an event is newer than the request: all older events have been read then.

    :param headers: headers of the answer. Its ``Date`` and the event both have the time of the Hub's clock.
    """
    sent, written = date_of(headers), seconds_of(event.get("timestamp"))
    return sent is not None and written is not None and written - sent > 1
