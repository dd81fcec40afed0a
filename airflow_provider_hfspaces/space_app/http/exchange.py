"""What a transport sends, and what takes the answer, without any I/O.

An :class:`Exchange` is one request. The transport sends it and hands the answer over piece by piece, so
that nothing is kept twice and a stream can be left in the middle. Everything that goes wrong on the way is
a :class:`TransportFailure`, which says how far the request came.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow_provider_hfspaces.hub.http.sequence import Steps

__all__ = [
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


class StreamedBody(Protocol):
    """A body that is read while it is sent."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


@dataclass(frozen=True)
class AppRequest:
    """What a transport sends, unchanged."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | StreamedBody | None = field(default=None, repr=False)


class TransportFailure(Exception):
    """A request that got no answer, or not all of it.

    :ivar reason: the network's message.
    :ivar sent: True if the app may have received the request.
    :ivar opened: True if the answer had begun.
    :ivar timed_out: True if the deadline of the exchange passed.
    :ivar permanent: True if a later try fails too, such as for a certificate that is not trusted.
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

    :param deadline: when the exchange has to end, on the client's clock.
    :ivar blocking: True if :meth:`feed` may block, so that an event loop has to call it in a thread.
    :ivar status: HTTP status; 0 before the answer.
    :ivar headers: of the answer, with case-insensitive names.
    :ivar cookies: the answer's ``Set-Cookie`` headers.
    """

    blocking = False

    def __init__(self, request: AppRequest, *, deadline: float) -> None:
        self.request = request
        self.deadline = deadline
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.cookies: Sequence[str] = ()

    def opened(self, status: int, headers: Mapping[str, str], cookies: Sequence[str]) -> None:
        """Take the status and the headers."""
        self.status, self.headers, self.cookies = status, headers, cookies

    @abstractmethod
    def feed(self, chunk: bytes) -> bool:
        """Take the next piece of the body; return True if no more is needed."""

    def ended(self) -> None:  # noqa: B027 - most exchanges need nothing at the end
        """Take note of the end of the body."""

    @property
    def content_type(self) -> str:
        """Media type of the answer, in lower case."""
        return (self.headers.get("content-type") or "").lower()


class BodyExchange(Exchange):
    """An exchange whose whole answer is kept.

    :param max_bytes: the answer is cut after this number of bytes.
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
        """The body."""
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
    """Compare an answer with the length that its headers announce; not every library does.

    :raises TransportFailure: for an answer that ended too early.
    """
    announced = exchange.headers.get("content-length") or ""
    if announced.isdecimal() and size < int(announced) and exchange.request.method != "HEAD":
        raise TransportFailure("the answer ended too early", sent=True, opened=True)


@dataclass(frozen=True)
class Ask:
    """A step that asks the caller's own function.

    :ivar function: called with ``argument``; on an event loop it may be a coroutine function.
    :ivar deadline: when an event loop stops waiting for it, on the client's clock.
    """

    function: Callable[[Any], Any]
    argument: Any
    deadline: float


@dataclass(frozen=True)
class Few:
    """A step that only a few calls of one client carry out at the same time.

    A thousand calls that begin at once would hold up the event loop.

    :ivar steps: makes the steps.
    """

    steps: Callable[[], Steps[Any]]


@dataclass(frozen=True)
class Alone:
    """A step that no two calls of one client carry out at the same time.

    :ivar steps: makes the steps.
    """

    steps: Callable[[], Steps[Any]]
