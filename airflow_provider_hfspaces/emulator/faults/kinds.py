"""The kinds of faults that strike requests to the Hub.

To add a kind, write its function here and add an entry to :data:`KINDS` and to the table in docs/emulator.md.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from airflow_provider_hfspaces.emulator.http.responses import Refusal

if TYPE_CHECKING:
    from airflow_provider_hfspaces.emulator.faults.rules import Fault
    from airflow_provider_hfspaces.emulator.model.world import World

__all__ = ["KINDS", "Delivery", "Kind", "deliver", "replacement", "reset_connection"]

_POLL_SECONDS = 0.05
"""How often a silent answer checks whether the emulator stops, in real seconds."""

_PROXY_PAGE = (
    "<!DOCTYPE html><html><head><title>{status} Bad gateway</title></head>"
    "<body><center><h1>The proxy has nothing for you</h1></center></body></html>"
)
_STATUS_MESSAGES = {
    429: "We had to rate limit you",
    500: "Internal Error - We're working hard to fix this as soon as possible!",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Timeout",
}


@dataclass
class Delivery:
    """A response on its way to the client, and the fault that strikes it."""

    fault: Fault
    response: Response
    world: World
    scope: Scope
    receive: Receive
    send: Send

    async def complete(self) -> None:
        """Send the response unchanged."""
        await self.response(self.scope, self.receive, self.send)

    async def start(self) -> bytes:
        """Send the status and the headers. Returns the body, or a space for an empty one."""
        await self.send(
            {
                "type": "http.response.start",
                "status": self.response.status_code,
                "headers": self.response.raw_headers,
            }
        )
        return bytes(getattr(self.response, "body", b"") or b" ")

    @property
    def transport(self) -> Any:
        """The connection under uvicorn's ``send``. ASGI itself has no way to break it."""
        return self.send.__self__.transport  # type: ignore[attr-defined]


async def _complete(delivery: Delivery) -> None:
    await delivery.complete()


def _status(fault: Fault) -> Response:
    status = fault.status or 503
    headers = {} if fault.seconds is None else {"Retry-After": f"{fault.seconds:g}"}
    return _error(fault, status, headers)


def _html(fault: Fault) -> Response:
    status = fault.status or 200
    return HTMLResponse(fault.message or _PROXY_PAGE.format(status=status), status)


def _late_status(fault: Fault) -> Response | None:
    return None if fault.status is None else _error(fault, fault.status, {})


def _error(fault: Fault, status: int, headers: dict[str, str]) -> Response:
    message = fault.message or _STATUS_MESSAGES.get(status, "Error")
    return Refusal(status, message, headers=headers).response()


def reset_connection(transport: Any) -> None:
    """Reset a TCP connection instead of closing it."""
    connection = transport.get_extra_info("socket")
    # With SO_LINGER at 0 seconds, the kernel sends RST instead of FIN.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _reset(delivery: Delivery) -> None:
    reset_connection(delivery.transport)


async def _late(delivery: Delivery) -> None:
    await (_reset if delivery.fault.is_mute else _complete)(delivery)


async def _silence(delivery: Delivery) -> None:
    """Wait until the client gives up."""
    disconnect = asyncio.ensure_future(delivery.receive())
    while not delivery.world.closing:
        done, _ = await asyncio.wait({disconnect}, timeout=_POLL_SECONDS)
        if done:
            return
    disconnect.cancel()


async def _delay(delivery: Delivery) -> None:
    await asyncio.sleep(delivery.fault.seconds or 0)
    await delivery.complete()


async def _drip(delivery: Delivery) -> None:
    body = await delivery.start()
    pause = (delivery.fault.seconds or 0) / len(body)
    for place in range(len(body)):
        await delivery.send(
            {"type": "http.response.body", "body": body[place : place + 1], "more_body": True}
        )
        await asyncio.sleep(pause)
    await delivery.send({"type": "http.response.body", "body": b""})


async def _truncate(delivery: Delivery) -> None:
    body = await delivery.start()
    await delivery.send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    delivery.transport.close()


async def _frames(delivery: Delivery) -> AsyncGenerator[bytes, None]:
    """The events of a stream one by one, or the whole body of a response that is not a stream."""
    if not isinstance(delivery.response, StreamingResponse):
        yield bytes(delivery.response.body)
        return
    chunks = delivery.response.body_iterator.__aiter__()
    disconnect = asyncio.ensure_future(delivery.receive())
    try:
        while True:
            chunk = asyncio.ensure_future(anext(chunks, None))
            await asyncio.wait({chunk, disconnect}, return_when=asyncio.FIRST_COMPLETED)
            if not chunk.done() or chunk.result() is None:
                chunk.cancel()
                return
            text: Any = chunk.result()
            for frame in (text.encode() if isinstance(text, str) else bytes(text)).split(b"\n\n")[:-1]:
                yield frame + b"\n\n"
    finally:
        disconnect.cancel()


async def _cut(delivery: Delivery) -> None:
    await delivery.start()
    number = 0
    async with aclosing(_frames(delivery)) as frames:
        async for frame in frames:
            is_last = number == delivery.fault.frames
            body = frame[: len(frame) // 2] if is_last else frame
            await delivery.send({"type": "http.response.body", "body": body, "more_body": True})
            if is_last:
                break
            number += 1
    delivery.transport.close()


async def _slow(delivery: Delivery) -> None:
    await delivery.start()
    async for frame in _frames(delivery):
        for half in (frame[: len(frame) // 2], frame[len(frame) // 2 :]):
            await delivery.send({"type": "http.response.body", "body": half, "more_body": True})
            await asyncio.sleep((delivery.fault.seconds or 0) / 2)
    await delivery.send({"type": "http.response.body", "body": b""})


async def _content_type(delivery: Delivery) -> None:
    delivery.response.headers["Content-Type"] = "text/plain; charset=utf-8"
    await delivery.complete()


async def _clock_skew(delivery: Delivery) -> None:
    date = delivery.world.clock.now() + (delivery.fault.seconds or 0)
    delivery.response.headers["Date"] = formatdate(date, usegmt=True)
    await delivery.complete()


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    :ivar description: one line for the documentation.
    :ivar send: sends the response with the fault's effect.
    :ivar replace: returns a response that replaces the Hub's; ``None`` keeps the Hub's.
    :ivar needs_seconds: whether ``seconds`` is required.
    :ivar skips: whether the Hub does not act on the request, unless the fault has ``after=True``.
    :ivar defers: whether the Hub acts on the request only after the fault's ``seconds``.
    :ivar mute: whether the client gets no answer.
    """

    description: str
    send: Callable[[Delivery], Awaitable[None]] = _complete
    replace: Callable[[Fault], Response | None] = lambda fault: None
    needs_seconds: bool = False
    skips: bool = False
    defers: bool = False
    mute: bool = False


KINDS: dict[str, Kind] = {
    "status": Kind(
        "an error status, 503 by default; with Retry-After if seconds is set", replace=_status, skips=True
    ),
    "reset": Kind("the connection is reset", _reset, skips=True, mute=True),
    "silence": Kind("the answer never comes", _silence, skips=True, mute=True),
    "delay": Kind("the answer comes late, by `seconds` in real time", _delay, needs_seconds=True),
    "late": Kind(
        "the connection is reset at once, or `status` returned; the Hub acts later, by `seconds` in emulated "
        "time",
        _late,
        _late_status,
        needs_seconds=True,
        defers=True,
    ),
    "drip": Kind("the answer comes byte by byte, over `seconds`", _drip, needs_seconds=True),
    "truncate": Kind("the connection closes in the middle of the body", _truncate),
    "cut": Kind(
        "the connection closes in the middle of the body; in a stream, in the frame after `frames` whole "
        "ones",
        _cut,
    ),
    "slow": Kind("each frame of a stream comes in two halves, over `seconds`", _slow, needs_seconds=True),
    "html": Kind("an HTML page of a proxy, with status 200 by default", replace=_html, skips=True),
    "content_type": Kind("the right answer with the content type text/plain", _content_type),
    "clock_skew": Kind("the Date header is off by `seconds`", _clock_skew, needs_seconds=True),
}
"""All kinds of faults, by name."""


def replacement(fault: Fault) -> Response | None:
    """The response by which a fault replaces the Hub's; ``None`` keeps the Hub's."""
    return KINDS[fault.kind].replace(fault)


async def deliver(delivery: Delivery) -> None:
    """Send a response with the effect of its fault."""
    await KINDS[delivery.fault.kind].send(delivery)
