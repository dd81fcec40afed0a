"""AppCall, one request on its way through the edge of the Hub to an app and back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from airflow_provider_hfspaces.emulator.apps.pages import error_page
from airflow_provider_hfspaces.emulator.apps.process import AppProcess
from airflow_provider_hfspaces.emulator.apps.servers import AppServer
from airflow_provider_hfspaces.emulator.apps.streams import BrokenStreamError
from airflow_provider_hfspaces.emulator.apps.timing import AppTime
from airflow_provider_hfspaces.emulator.faults.kinds import reset_connection
from airflow_provider_hfspaces.emulator.model.request_log import AppRequest

__all__ = ["AppCall"]

_MAX_RECORDED_BYTES = 65_536
"""Bytes of a request's body that are recorded."""

_CLOSE_SECONDS = 1.0
"""Real seconds that a closed connection has to send its last bytes, before it is aborted."""


class AppCall:
    """A request, its app, and the connection to the client.

    Without a fault, the edge calls :meth:`forward`. Each fault calls another method.

    :param record: the request's entry in the log of the app's requests.
    :param on_arrival: called when the request reaches the app.
    :param headers: headers that the edge adds to every answer of the app.
    :param limit: seconds until an unanswered request gets a 504: emulated seconds for built-in apps, real
        seconds for all others.
    :param kill: kills the app's process; the Space starts another one.
    :param log: writes a line to the log of the Space.
    """

    def __init__(
        self,
        *,
        process: AppProcess,
        replica: str,
        record: AppRequest,
        on_arrival: Callable[[AppRequest], None],
        headers: Mapping[str, str],
        limit: float,
        time: AppTime,
        kill: Callable[[], Awaitable[None]],
        log: Callable[[str], None],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._process, self._replica = process, replica
        self.record, self._on_arrival = record, on_arrival
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._limit, self.time, self.kill, self._log = limit, time, kill, log
        self._scope, self._client_receive, self._client_send = scope, receive, send
        self._began = asyncio.Event()
        self._heard = True
        self._stopped = False
        self._frames_left: int | None = None
        self._after_frames: Callable[[], Awaitable[None]] | None = None

    async def forward(self) -> None:
        """Send the request to the app, and the app's answer to the client."""
        try:
            server = await self._process.server(self._replica)
        except asyncio.CancelledError:
            await self.respond(error_page(502))
            return
        except Exception as problem:
            self._log(f"The app did not start: {type(problem).__name__}: {problem}")
            await self.respond(error_page(502))
            return
        self._on_arrival(self.record)
        cut = asyncio.get_running_loop().create_future()
        work = asyncio.ensure_future(server(self._scope, self._receive, self._send))
        limit = asyncio.ensure_future(self._out_of_time(server))
        self._process.calls.add(cut)
        if self._process.ended:
            cut.set_result(None)
        try:
            await asyncio.wait({work, cut, limit}, return_when=asyncio.FIRST_COMPLETED)
            if not (work.done() or cut.done()) and not self._began.is_set():
                await self._give_up(work)
                return
            await asyncio.wait({work, cut}, return_when=asyncio.FIRST_COMPLETED)
            await self._finish(work)
        finally:
            limit.cancel()
            self._process.calls.discard(cut)
            # Work goes on for a caller who got a 504 or no answer. It ends with the process.
            if not work.done() and (self._heard or cut.done()):
                work.cancel()

    async def forward_unheard(self) -> None:
        """Send the request to the app, and drop the app's answer."""
        self._heard = False
        await self.forward()

    async def forward_frames(self, frames: int, then: Callable[[], Awaitable[None]]) -> None:
        """Forward only some pieces of the body of the app's answer.

        :param frames: number of pieces.
        :param then: called after the last of these pieces, for example :meth:`break_off`.
        """
        self._frames_left, self._after_frames = frames, then
        await self.forward()

    async def respond(self, response: Response) -> None:
        """Answer in place of the app."""
        await response(self._scope, self._client_receive, self._client_send)

    async def break_off(self) -> None:
        """Close the connection after the bytes that have been sent, without an end of the answer."""
        self._heard = False
        self._transport.close()
        try:
            await asyncio.wait_for(self._until_gone(), _CLOSE_SECONDS)
        except asyncio.TimeoutError:
            self._transport.abort()

    async def reset(self) -> None:
        """Reset the connection."""
        self._heard = False
        reset_connection(self._transport)
        await self._until_gone()

    async def keep_silent(self) -> None:
        """Answer nothing until the client disconnects or the process ends."""
        cut = asyncio.get_running_loop().create_future()
        gone = asyncio.ensure_future(self._until_gone())
        self._process.calls.add(cut)
        try:
            await asyncio.wait({cut, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            self._process.calls.discard(cut)
        if not gone.done():
            await self.break_off()

    @property
    def _transport(self) -> Any:
        """The connection under uvicorn's ``send``. ASGI itself has no way to break it."""
        return self._client_send.__self__.transport  # type: ignore[attr-defined]

    async def _until_gone(self) -> None:
        while (await self._client_receive())["type"] != "http.disconnect":
            pass

    async def _out_of_time(self, server: AppServer) -> None:
        if server.lives_in_emulated_time:
            await self.time.sleep(self._limit, passive=True)
        else:
            await asyncio.sleep(self._limit)

    async def _give_up(self, work: asyncio.Task[None]) -> None:
        """Answer 504. The app continues to work, and its answer is dropped."""
        self._process.work.add(work)
        work.add_done_callback(self._process.work.discard)
        if self._heard:
            self._heard = False
            await self.respond(error_page(504))

    async def _finish(self, work: asyncio.Task[None]) -> None:
        failure = work.exception() if work.done() and not work.cancelled() else None
        if failure is not None and not isinstance(failure, BrokenStreamError):
            self._log(f"{type(failure).__name__}: {failure}")
        if not self._heard:
            return
        if not work.done():
            await (self.break_off() if self._began.is_set() else self.respond(error_page(502)))
        elif work.cancelled() or failure is not None:
            if self._began.is_set():
                await self.break_off()
            else:
                failed = PlainTextResponse("Internal Server Error", 500, {"Connection": "close"})
                await self.respond(failed)

    async def _receive(self) -> Message:
        message = await self._client_receive()
        if message["type"] == "http.request":
            room = _MAX_RECORDED_BYTES - len(self.record.body)
            self.record.body += message.get("body", b"")[: max(room, 0)]
        return message

    async def _send(self, message: Message) -> None:
        if self._stopped:
            return
        if message["type"] == "http.response.start":
            self.record.status = message["status"]
            message = {**message, "headers": [*message.get("headers", []), *self._headers]}
            self._began.set()
            if self._frames_left == 0:
                await self._stop_here(message)
                return
        elif self._frames_left is not None and message.get("body"):
            if self._heard:
                await self._client_send({**message, "more_body": True})
            self._frames_left -= 1
            if self._frames_left == 0:
                await self._stop_here()
            return
        if self._heard:
            await self._client_send(message)

    async def _stop_here(self, start: Message | None = None) -> None:
        self._stopped = True
        if start is not None and self._heard:
            await self._client_send(start)
        assert self._after_frames is not None
        await self._after_frames()
