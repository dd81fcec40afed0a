"""A web server whose every byte a test decides: broken streams, lost answers, pages of a proxy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from airflow_provider_hfspaces.emulator.http.listener import listening_socket


@dataclass(frozen=True)
class AppRequest:
    """A request as the app sees it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Reply:
    """What the server sends.

    :ivar chunks: the body in pieces, as a chunked answer; a text ``END`` in it leaves the answer unfinished.
    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: Iterable[bytes | str] | AsyncIterator[bytes | str] | None = None


CUT = "the connection ends here, in the middle of the answer"
RESET = Reply(status=0)
"""The connection is reset after the request was read."""

HTML = Reply(503, "<!doctype html><title>Space</title>Your space is in error", {"Content-Type": "text/html"})


def html(status: int) -> Reply:
    """A page of the Hub's proxy."""
    return Reply(status, "<!DOCTYPE html><html>Preparing Space</html>", {"Content-Type": "text/html"})


def stream(*frames: Any) -> Reply:
    """A stream of messages: dictionaries, bytes as they are, and ``CUT``."""
    pieces = [
        each if isinstance(each, (bytes, str)) else f"data: {json.dumps(each)}\n\n".encode()
        for each in frames
    ]
    return Reply(headers={"Content-Type": "text/event-stream; charset=utf-8"}, chunks=pieces)


Handler = Callable[[AppRequest], Any]


class AppServer:
    """Serves what ``handler`` returns, on an event loop in a thread.

    :ivar requests: every request.
    :ivar replies: replies that come first, by a request's name such as ``POST /call/echo``.
    :ivar connections: number of connections that are open, and ``most_connections`` at any time.
    """

    def __init__(self, handler: Handler | None = None) -> None:
        self.requests: list[AppRequest] = []
        self.replies: dict[str, list[Any]] = defaultdict(list)
        self.connections = self.most_connections = self.connection_count = 0
        self._handler = handler or (lambda request: Reply(404, {"detail": "Not Found"}))
        self._loop = asyncio.new_event_loop()
        self._socket = listening_socket("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._work: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Any:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def requests_named(self, name: str) -> list[AppRequest]:
        """Every request of a name."""
        return [each for each in self.requests if each.name == name]

    def respond(self, request: AppRequest) -> Any:
        """Return the reply to a request."""
        return self._handler(request)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._socket, limit=2**24)

    async def _stop(self) -> None:
        self._server.close()
        for each in list(self._work):
            each.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._work.add(task)
        self.connection_count += 1
        self.connections += 1
        self.most_connections = max(self.most_connections, self.connections)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self.connections -= 1
            self._work.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:]) if name
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        parts = urlsplit(target)
        request = AppRequest(method, unquote(parts.path), dict(parse_qsl(parts.query)), headers, body)
        self.requests.append(request)
        replies = self.replies[request.name]
        reply = replies.pop(0) if replies else self.respond(request)
        if callable(reply):
            reply = reply(request)
        if asyncio.iscoroutine(reply):
            reply = await reply
        return await self._send(reply, writer)

    async def _send(self, reply: Reply, writer: asyncio.StreamWriter) -> bool:
        if reply is RESET:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return False
        content = reply.body
        headers = dict(reply.headers)
        if not isinstance(content, (str, bytes)):
            content = json.dumps(content)
            headers.setdefault("Content-Type", "application/json")
        content = content.encode() if isinstance(content, str) else content
        lines = [f"HTTP/1.1 {reply.status} Reason", *(f"{name}: {value}" for name, value in headers.items())]
        if reply.chunks is None:
            lines.append(f"Content-Length: {len(content)}")
            writer.write("\r\n".join([*lines, "", ""]).encode() + content)
            await writer.drain()
            return True
        writer.write("\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""]).encode())
        async for chunk in _each(reply.chunks):
            if isinstance(chunk, str):
                await writer.drain()
                return False
            writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


async def _each(chunks: Any) -> AsyncIterator[bytes | str]:
    if hasattr(chunks, "__aiter__"):
        async for chunk in chunks:
            yield chunk
    else:
        for chunk in chunks:
            yield chunk
            await asyncio.sleep(0)
