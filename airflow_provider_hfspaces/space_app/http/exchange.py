"""Exchange: one request to an app and its answer, without any I/O.

A transport sends the request, and passes the answer to the exchange chunk by chunk. So no data is kept twice,
and a stream can end at any chunk. A transport raises :class:`TransportFailure` for a missing or incomplete
answer; the failure says whether the app may have received the request.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow_provider_hfspaces.hub.http.sequence import Steps

__all__ = [
    "REFUSAL_BYTES",
    "Alone",
    "AppRequest",
    "Ask",
    "BodyExchange",
    "Exchange",
    "Few",
    "StreamedBody",
    "TransportFailure",
    "check_length",
]

REFUSAL_BYTES = 65_536
"""Bytes that are kept of an answer that is not the requested stream or file."""


class StreamedBody(Protocol):
    """A body that is read while it is sent."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


@dataclass(frozen=True)
class AppRequest:
    """A request that a transport sends unchanged."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | StreamedBody | None = field(default=None, repr=False)


class TransportFailure(Exception):
    """A request without a complete answer.

    :ivar reason: the message of the network error.
    :ivar sent: True if the app may have received the request.
    :ivar opened: True if the answer had begun.
    :ivar timed_out: True if the deadline of the exchange passed.
    :ivar permanent: True if every later try fails too, such as for a certificate that is not trusted.
    """

    def __init__(
        self,
        reason: str,
        *,
        sent: bool,
        opened: bool = False,
        timed_out: bool = False,
        permanent: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason, self.sent, self.opened = reason, sent, opened
        self.timed_out, self.permanent = timed_out, permanent


class Exchange(ABC):
    """One request and its answer.

    :param request: the request to send.
    :param deadline: when the exchange has to end, on the client's clock.
    :ivar blocking: True if :meth:`feed` may block, so that an event loop has to call it in a thread.
    :ivar status: HTTP status; 0 before the answer.
    :ivar headers: headers of the answer, with case-insensitive names.
    :ivar cookies: ``Set-Cookie`` headers of the answer.
    """

    blocking = False

    def __init__(self, request: AppRequest, *, deadline: float) -> None:
        self.request = request
        self.deadline = deadline
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.cookies: Sequence[str] = ()

    def opened(self, status: int, headers: Mapping[str, str], cookies: Sequence[str]) -> None:
        """Store the status and the headers of the answer."""
        self.status, self.headers, self.cookies = status, headers, cookies

    @abstractmethod
    def feed(self, chunk: bytes) -> bool:
        """Read the next chunk of the body, and return True if no more chunks are needed."""

    def ended(self) -> None:  # noqa: B027 - most exchanges need nothing at the end
        """Handle the end of the body."""

    @property
    def content_type(self) -> str:
        """Media type of the answer, in lower case."""
        return (self.headers.get("content-type") or "").lower()


class BodyExchange(Exchange):
    """An exchange that keeps the whole answer.

    :param max_bytes: number of bytes after which the answer is cut.
    :ivar too_large: True if the answer was cut.
    """

    def __init__(self, request: AppRequest, *, deadline: float, max_bytes: int) -> None:
        super().__init__(request, deadline=deadline)
        self.too_large = False
        self._max_bytes = max_bytes
        self._chunks: list[bytes] = []
        self._size = 0

    def opened(self, status: int, headers: Mapping[str, str], cookies: Sequence[str]) -> None:
        super().opened(status, headers, cookies)
        self._chunks.clear()
        self._size = 0

    def feed(self, chunk: bytes) -> bool:
        self._size += len(chunk)
        self.too_large = self._size > self._max_bytes
        self._chunks.append(chunk)
        return self.too_large

    @property
    def content(self) -> bytes:
        """The body, cut after ``max_bytes``."""
        return b"".join(self._chunks)[: self._max_bytes]

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", errors="replace")

    @property
    def json(self) -> Any:
        """The body as JSON.

        :raises ValueError: if it is not JSON.
        """
        try:
            return json.loads(self.content)
        except RecursionError:
            raise ValueError("nested too deeply") from None


def check_length(exchange: Exchange, size: int) -> None:
    """Compare the size of a body with ``Content-Length``, because not every library does.

    :raises TransportFailure: for an answer that ended too early.
    """
    announced = exchange.headers.get("content-length") or ""
    if announced.isdecimal() and size < int(announced) and exchange.request.method != "HEAD":
        raise TransportFailure("the answer ended too early", sent=True, opened=True)


@dataclass(frozen=True)
class Ask:
    """A step that calls a function of the caller.

    :ivar function: called with ``argument``. On an event loop, it may be a coroutine function.
    :ivar argument: the argument of the function.
    :ivar deadline: when an event loop stops waiting for the function, on the client's clock.
    """

    function: Callable[[Any], Any]
    argument: Any
    deadline: float


@dataclass(frozen=True)
class Few:
    """A step that only a few calls of a client run at the same time.

    A thousand calls that begin at once would block the event loop.

    :ivar steps: returns the steps to run.
    """

    steps: Callable[[], Steps[Any]]


@dataclass(frozen=True)
class Alone:
    """A step that only one call of a client runs at a time.

    :ivar steps: returns the steps to run.
    """

    steps: Callable[[], Steps[Any]]
