"""Streamed answers, which end when the client disconnects or the stream breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any

from starlette.types import Receive, Send

__all__ = ["BrokenStreamError", "send_stream", "until_disconnect"]


class BrokenStreamError(Exception):
    """The server closes the connection in the middle of a stream, without an end of the answer."""


async def until_disconnect(receive: Receive, work: Coroutine[Any, Any, None]) -> bool:
    """Run work until it ends or the client disconnects. Returns whether the work ended first.

    Call this function only after the whole body of the request has been received.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            return True
        return False
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def send_stream(
    receive: Receive, send: Send, frames: AsyncIterator[bytes], headers: Mapping[str, str]
) -> bool:
    """Send each frame of a stream as soon as it exists. Returns whether the stream ended before the client.

    :raises BrokenStreamError: if the iterator of frames raises it.
    """
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": raw})

    async def copy() -> None:
        async for frame in frames:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return await until_disconnect(receive, copy())


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
