"""MiniGradio, the ASGI application of a miniature Gradio, with all its routes."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from airflow_provider_hfspaces.emulator.apps.choice import GradioApp
from airflow_provider_hfspaces.emulator.apps.gradio.builtin import BUILTIN
from airflow_provider_hfspaces.emulator.apps.gradio.context import Host
from airflow_provider_hfspaces.emulator.apps.gradio.endpoints import Endpoint, endpoints_of
from airflow_provider_hfspaces.emulator.apps.gradio.events import Event, EventQueue, QueueFullError
from airflow_provider_hfspaces.emulator.apps.gradio.files import FileStore, TooLargeError, parts_of
from airflow_provider_hfspaces.emulator.apps.gradio.frames import alive_frames, queue_frames, simple_frames
from airflow_provider_hfspaces.emulator.apps.gradio.payloads import config_payload, info_payload
from airflow_provider_hfspaces.emulator.apps.gradio.sessions import Sessions
from airflow_provider_hfspaces.emulator.apps.streams import send_stream
from airflow_provider_hfspaces.emulator.apps.timing import AppTime, RealTime

__all__ = ["MiniGradio"]

_EVENT_STREAM = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
_NO_DIRECT_POST = "This API endpoint does not accept direct HTTP POST requests. Please join the queue."
_OPEN_PATHS = ("cancel", "reset")

_Handler = Callable[[Request, list[str]], Awaitable[Response | None]]


class _NoSuchFunctionError(Exception):
    """The app has no endpoint with this name or number."""


class MiniGradio:
    """The miniature Gradio of one replica.

    :param app: the options.
    :param time: the time in which functions and heartbeats sleep; real time by default.
    :param host: the Space and the replica.
    """

    lives_in_emulated_time = True

    def __init__(self, app: GradioApp, *, time: AppTime | None = None, host: Host | None = None) -> None:
        self._app, self._host = app, host or Host()
        self._time = time or RealTime()
        self._endpoints = endpoints_of(BUILTIN if app.endpoints is None else app.endpoints)
        self._files = FileStore(app.version, app.max_file_size)
        self._sessions = Sessions()
        self._queue = EventQueue(app, self._sessions, self._files, self._time, self._host)
        self._app_id = random.getrandbits(63)
        self._cookie = secrets.token_hex(8)
        self._logins: dict[str, str] = {}
        self._prefix = "" if app.version == 4 else "/gradio_api"

    async def start(self) -> None:
        """Do nothing: the app serves at once."""

    async def stop(self) -> None:
        """End all calls, and forget sessions, results, logins and files."""
        await self._queue.stop()
        self._files.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        assert scope["type"] == "http"
        request = Request(scope, receive, send)
        try:
            response = await self._answer(request)
        except (_NoSuchFunctionError, KeyError):
            response = PlainTextResponse("Internal Server Error", 500, {"Connection": "close"})
        if response is not None:
            await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response | None:
        method, path = request.method, request.url.path
        if path == "/":
            return HTMLResponse(f"<!doctype html><title>{self._host.repo_id}</title><h1>Gradio</h1>")
        if (method, path) == ("POST", "/login"):
            return await self._login(request)
        if path == "/config":
            return self._refuse_without_login(request) or self._config(request)
        inner = path.removeprefix(self._prefix) if path.startswith(f"{self._prefix}/") else path
        name, *rest = inner.strip("/").split("/")
        if name.startswith("file="):
            rest, name = [inner.lstrip("/").removeprefix("file=")], "file"
        handler = self._handlers().get(("GET" if method == "HEAD" else method, name))
        if handler is None:
            return JSONResponse({"detail": "Not Found"}, 404)
        return (None if name in _OPEN_PATHS else self._refuse_without_login(request)) or await handler(
            request, rest
        )

    def _handlers(self) -> dict[tuple[str, str], _Handler]:
        return {
            ("GET", "info"): self._info,
            ("POST", "call"): self._simple_call,
            ("GET", "call"): self._simple_stream,
            ("POST", "queue"): self._join,
            ("GET", "queue"): self._queue_stream,
            ("POST", "cancel"): self._cancel,
            ("POST", "reset"): self._reset,
            ("GET", "heartbeat"): self._heartbeat,
            ("POST", "upload"): self._upload,
            ("GET", "file"): self._file,
            ("POST", "run"): self._run,
            ("POST", "api"): self._run,
        }

    # The description of the app

    def _config(self, request: Request) -> Response:
        payload = config_payload(
            self._app,
            self._endpoints,
            root=_root(request),
            repo_id=self._host.repo_id,
            app_id=self._app_id,
            username=self._user(request),
        )
        return JSONResponse(payload)

    async def _info(self, request: Request, rest: list[str]) -> Response:
        return JSONResponse(info_payload(self._app, self._endpoints))

    # The simple route

    async def _simple_call(self, request: Request, rest: list[str]) -> Response:
        body = await _json(request)
        named = rest[0] == "v2" and len(rest) > 1
        if named and self._app.version < 6:
            return JSONResponse({"detail": "Method Not Allowed"}, 405)
        if not isinstance(body, dict) or not (named or "data" in body):
            return _missing("data")
        endpoint = self._endpoint_by_name("/".join(rest[1:] if named else rest))
        data = _positional(endpoint, body) if named else list(body["data"])
        return self._enter(self._event(request, endpoint, data, body.get("session_hash"), simple=True))

    async def _simple_stream(self, request: Request, rest: list[str]) -> Response | None:
        event_id = rest[-1]
        # Versions 4 and 5 use the event's id as the session, so the result of a call with its own session is
        # lost.
        session = self._queue.session_of(event_id) if self._app.version >= 6 else event_id
        frames = simple_frames(
            self._sessions, session or event_id, event_id, version=self._app.version, time=self._time
        )
        if not await send_stream(request.receive, request._send, frames, _EVENT_STREAM):
            self._queue.lose(session or event_id)
        return None

    # The queue

    async def _join(self, request: Request, rest: list[str]) -> Response:
        if rest != ["join"]:
            return JSONResponse({"detail": "Not Found"}, 404)
        body = await _json(request)
        if not isinstance(body, dict) or "data" not in body:
            return _missing("data")
        if not body.get("session_hash"):
            return JSONResponse({"detail": "Session hash not found."}, 400)
        endpoint = self._endpoint_by_index(body.get("fn_index"))
        return self._enter(self._event(request, endpoint, list(body["data"]), body["session_hash"]))

    async def _queue_stream(self, request: Request, rest: list[str]) -> Response | None:
        if rest == ["status"]:
            return JSONResponse({"msg": "estimation", "queue_size": len(self._queue), "rank": None})
        session = request.query_params.get("session_hash")
        if rest != ["data"] or session is None:
            return JSONResponse({"detail": "Not Found"}, 404)
        frames = queue_frames(self._sessions, session, version=self._app.version, time=self._time)
        if not await send_stream(request.receive, request._send, frames, _EVENT_STREAM):
            self._queue.lose(session)
        return None

    def _event(
        self, request: Request, endpoint: Endpoint, data: list[Any], session: Any, *, simple: bool = False
    ) -> Event:
        event = Event(
            endpoint=endpoint,
            session=str(session or ""),
            data=data,
            simple=simple,
            headers=dict(request.headers),
            base=f"{_root(request)}{self._prefix}",
        )
        event.session = event.session or event.id
        return event

    def _enter(self, event: Event) -> Response:
        try:
            self._queue.join(event)
        except QueueFullError as full:
            return JSONResponse({"detail": str(full)}, 503)
        return JSONResponse({"event_id": event.id})

    async def _cancel(self, request: Request, rest: list[str]) -> Response:
        body = await _json(request)
        for name in ("session_hash", "fn_index", "event_id"):
            if not isinstance(body, dict) or name not in body:
                return _missing(name)
        self._queue.cancel(str(body["event_id"]), str(body["session_hash"]), int(body["fn_index"]))
        return JSONResponse({"success": True})

    async def _reset(self, request: Request, rest: list[str]) -> Response:
        return JSONResponse({"success": True})

    async def _heartbeat(self, request: Request, rest: list[str]) -> Response | None:
        await send_stream(request.receive, request._send, alive_frames(self._time), _EVENT_STREAM)
        return None

    async def _run(self, request: Request, rest: list[str]) -> Response:
        endpoint, body = self._endpoint_by_name("/".join(rest)), await _json(request)
        if endpoint.queue:
            return JSONResponse({"detail": _NO_DIRECT_POST}, 404)
        if not isinstance(body, dict) or "data" not in body:
            return _missing("data")
        event = self._event(request, endpoint, list(body["data"]), body.get("session_hash"), simple=True)
        try:
            return JSONResponse(await self._queue.answer(event))
        except Exception as problem:
            return JSONResponse(self._queue.shown_error(problem), 500)

    # Files

    async def _upload(self, request: Request, rest: list[str]) -> Response:
        parts = parts_of(request.headers.get("content-type", ""), await request.body())
        if parts is None:
            return PlainTextResponse("Invalid content type.", 400)
        try:
            paths = [self._files.upload(name, content) for field, name, content in parts if field == "files"]
        except TooLargeError as too_large:
            return PlainTextResponse(str(too_large), 413)
        return JSONResponse(paths)

    async def _file(self, request: Request, rest: list[str]) -> Response:
        path = self._files.allowed(rest[0])
        if path is None:
            # Version 4 answers 404 for a missing file and 403 for a forbidden one; later versions always 403.
            is_missing = self._app.version == 4 and self._files.is_inside(rest[0])
            return JSONResponse({"detail": f"File not allowed: {rest[0]}."}, 404 if is_missing else 403)
        return FileResponse(path)

    # Logins

    async def _login(self, request: Request) -> Response:
        fields = parse_qs((await request.body()).decode(errors="replace"))
        name, password = fields.get("username", [None])[0], fields.get("password", [None])[0]
        if name is None or password is None:
            return _missing("username")
        if (self._app.login or {}).get(name) != password:
            return JSONResponse({"detail": "Incorrect credentials."}, 400)
        token = secrets.token_urlsafe(16)
        self._logins[token] = name
        response = JSONResponse({"success": True})
        response.set_cookie(
            f"access-token-{self._cookie}", token, httponly=True, samesite="none", secure=True
        )
        response.set_cookie(f"access-token-unsecure-{self._cookie}", token, httponly=True, samesite="lax")
        return response

    def _user(self, request: Request) -> str | None:
        for name in (f"access-token-{self._cookie}", f"access-token-unsecure-{self._cookie}"):
            if (user := self._logins.get(request.cookies.get(name, ""))) is not None:
                return user
        return None

    def _refuse_without_login(self, request: Request) -> Response | None:
        """The 401 for a caller who is not logged in; ``None`` if the caller may go on."""
        if self._app.login is None or self._user(request) is not None:
            return None
        detail: Any = "Not authenticated"
        if self._app.version >= 5:
            detail = {"error": detail, "auth_message": None}
        return JSONResponse({"detail": detail}, 401)

    # Endpoints

    def _endpoint_by_name(self, name: str) -> Endpoint:
        for each in self._endpoints:
            if each.name == name and (self._app.version >= 6 or each.visibility != "private"):
                return each
        raise _NoSuchFunctionError(name)

    def _endpoint_by_index(self, index: Any) -> Endpoint:
        for each in self._endpoints:
            if each.index == index:
                return each
        raise _NoSuchFunctionError(index)


def _positional(endpoint: Endpoint, body: dict[str, Any]) -> list[Any]:
    """The values of named arguments in the order of the inputs, with defaults for missing arguments."""
    names = {parameter.name for parameter in endpoint.inputs}
    unknown = set(body) - names - {"session_hash", "oauth_token"}
    if unknown:
        raise _NoSuchFunctionError(unknown)
    return [body.get(parameter.name, parameter.default) for parameter in endpoint.inputs]


def _root(request: Request) -> str:
    """The app's address as the caller knows it, from the headers of the proxy or of the request."""
    host = request.headers.get("x-forwarded-host") or request.headers.get("host", "localhost")
    return f"{request.headers.get('x-forwarded-proto', request.url.scheme)}://{host}"


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        return None


def _missing(name: str) -> Response:
    problem = {"type": "missing", "loc": ["body", name], "msg": "Field required", "input": {}}
    return JSONResponse({"detail": [problem]}, 422)
