"""How an answer goes wrong on its way to the client."""

from __future__ import annotations

import asyncio
import socket
import struct
from email.utils import formatdate
from typing import Any

from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from airflow_provider_hfspaces.emulator.faults.rules import Fault
from airflow_provider_hfspaces.emulator.http.responses import Refusal
from airflow_provider_hfspaces.emulator.model.world import World

__all__ = ["instead", "send_struck"]

_LOOK = 0.05
"""Real seconds between two looks whether a client that gets no answer is still there."""

_PROXY = (
    "<!DOCTYPE html><html><head><title>{status} Bad gateway</title></head>"
    "<body><center><h1>The proxy has nothing for you</h1></center></body></html>"
)


def instead(fault: Fault) -> Response | None:
    """The answer that a fault puts in the place of the Hub's; ``None`` where there is to be none, or
    the Hub's own."""
    if fault.kind == "status" or (fault.kind == "late" and fault.status is not None):
        status = fault.status or 503
        wait = fault.seconds if fault.kind == "status" else None
        headers = {} if wait is None else {"Retry-After": f"{wait:g}"}
        return Refusal(status, fault.message or _WORDS.get(status, "Error"), headers=headers).response()
    if fault.kind == "html":
        status = fault.status or 200
        return HTMLResponse(fault.message or _PROXY.format(status=status), status)
    return None


async def send_struck(
    fault: Fault, response: Response, world: World, scope: Scope, receive: Receive, send: Send
) -> None:
    """Send an answer as a fault has it."""
    if fault.kind == "reset" or (fault.kind == "late" and fault.is_mute):
        _reset(send)
        return
    if fault.kind == "silence":
        await _gone(receive, world)
        return
    if fault.kind == "delay":
        await asyncio.sleep(fault.seconds or 0)
    elif fault.kind == "clock_skew":
        response.headers["Date"] = formatdate(world.clock.now() + (fault.seconds or 0), usegmt=True)
    elif fault.kind == "content_type":
        response.headers["Content-Type"] = "text/plain; charset=utf-8"
    elif fault.kind in ("drip", "truncate"):
        await _piecemeal(fault, response, send)
        return
    await response(scope, receive, send)


async def _piecemeal(fault: Fault, response: Response, send: Send) -> None:
    body = bytes(getattr(response, "body", b"") or b" ")
    await send(
        {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
    )
    if fault.kind == "truncate":
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        _transport(send).close()
        return
    pause = (fault.seconds or 0) / len(body)
    for place in range(len(body)):
        await send({"type": "http.response.body", "body": body[place : place + 1], "more_body": True})
        await asyncio.sleep(pause)
    await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive, world: World) -> None:
    """Wait until the client has given up."""
    waiting = asyncio.ensure_future(receive())
    while not world.closing:
        done, _ = await asyncio.wait({waiting}, timeout=_LOOK)
        if done:
            return
    waiting.cancel()


def _reset(send: Send) -> None:
    transport = _transport(send)
    connection = transport.get_extra_info("socket")
    # Without lingering, closing sends a reset instead of an end.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _transport(send: Send) -> Any:
    """The connection under uvicorn's ``send``: ASGI itself has no word for breaking it."""
    return send.__self__.transport  # type: ignore[attr-defined]


_WORDS = {
    429: "We had to rate limit you",
    500: "Internal Error - We're working hard to fix this as soon as possible!",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Timeout",
}
