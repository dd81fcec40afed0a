"""The frames of a miniature Gradio's streams: of one call, of the queue of a session, and the heartbeat."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from airflow_provider_hfspaces.emulator.apps.gradio.sessions import Sessions
from airflow_provider_hfspaces.emulator.apps.streams import BrokenStreamError
from airflow_provider_hfspaces.emulator.apps.timing import AppTime

__all__ = ["HEARTBEAT_SECONDS", "alive_frames", "queue_frames", "simple_frames"]

HEARTBEAT_SECONDS = 15.0
"""Emulated seconds of silence after which a stream sends a heartbeat."""

_SIMPLE_EVENTS = {"process_generating": "generating", "process_completed": "complete"}


async def simple_frames(
    sessions: Sessions, session: str, event_id: str, *, version: int, time: AppTime
) -> AsyncIterator[bytes]:
    """The frames of ``GET /call/{api}/{event_id}``.

    :raises BrokenStreamError: after the error frame for an unknown event, or one whose reader disconnected.
    """
    async for message in _messages(sessions, session, time):
        if message is None:
            yield _simple("error", "404: Session not found." if version == 4 else "404: Not Found")
            raise BrokenStreamError
        if message["msg"] == "heartbeat":
            yield _simple("heartbeat", None)
            continue
        name = _SIMPLE_EVENTS.get(message["msg"])
        if name is None or message["event_id"] != event_id:
            continue
        output = message["output"]
        if message["msg"] == "process_completed":
            sessions.pending.get(session, set()).discard(event_id)
            if not message["success"]:
                # Versions 4 and 5 never give the reason on this route.
                yield _simple("error", output if version >= 6 else None)
                return
            yield _simple("complete", output.get("data"))
            return
        yield _simple(name, output["data"])


async def queue_frames(
    sessions: Sessions, session: str, *, version: int, time: AppTime
) -> AsyncIterator[bytes]:
    """The frames of ``GET /queue/data``: the messages of all events of a session.

    :raises BrokenStreamError: after the message for an unknown session, or one whose reader disconnected.
    """
    async for message in _messages(sessions, session, time):
        if message is None:
            yield _unexpected(
                "404: Session not found." if version == 4 else "404: Not Found", version, lost=True
            )
            raise BrokenStreamError
        pending = sessions.pending.get(session, set())
        if message["msg"] == "process_completed":
            if message["event_id"] not in pending and version == 4:
                yield _unexpected(repr(message["event_id"]), version)
                raise BrokenStreamError
            pending.discard(message["event_id"])
        yield _queue(message)
        if message["msg"] == "process_completed" and not pending:
            yield _queue({"msg": "close_stream", "event_id": None})
            return


async def alive_frames(time: AppTime) -> AsyncIterator[bytes]:
    """The frames of ``GET /heartbeat/{session}``."""
    while True:
        yield b"data: ALIVE\n\n"
        await time.sleep(HEARTBEAT_SECONDS, passive=True)


async def _messages(sessions: Sessions, session: str, time: AppTime) -> AsyncIterator[dict[str, Any] | None]:
    """The messages of a session, with heartbeats between them; ``None`` if the session does not exist."""
    heartbeat: asyncio.Future[None] | None = None
    waiting: asyncio.Future[dict[str, Any]] | None = None
    try:
        while True:
            messages = sessions.messages(session)
            if messages is None:
                yield None
                return
            waiting = waiting or asyncio.ensure_future(messages.get())
            heartbeat = heartbeat or asyncio.ensure_future(time.sleep(HEARTBEAT_SECONDS, passive=True))
            both: set[asyncio.Future[Any]] = {waiting, heartbeat}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                message, waiting = waiting.result(), None
                if heartbeat is not None:
                    heartbeat.cancel()
                    heartbeat = None
                yield message
            else:
                heartbeat = None
                yield {"msg": "heartbeat", "event_id": None}
    finally:
        for each in (heartbeat, waiting):
            if each is not None:
                each.cancel()


def _simple(event: str, data: Any) -> bytes:
    return f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()


def _queue(message: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def _unexpected(text: str, version: int, *, lost: bool = False) -> bytes:
    message: dict[str, Any] = {"msg": "unexpected_error", "event_id": None, "message": text, "success": False}
    if version >= 5:
        message["session_not_found"] = lost
    return _queue(message)
