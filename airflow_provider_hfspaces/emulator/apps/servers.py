"""The servers that answer requests to apps: ASGI applications, proxies of real servers, and static files."""

from __future__ import annotations

import inspect
import mimetypes
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_hfspaces.emulator.apps.pages import error_page
from airflow_provider_hfspaces.emulator.apps.streams import until_disconnect

if TYPE_CHECKING:
    import httpx
    from uvicorn.lifespan.on import LifespanOn

    from airflow_provider_hfspaces.emulator.model.space import Space

__all__ = ["AppServer", "CodeServer", "FileServer", "ForwardingServer"]

_HOP_BY_HOP = {b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
"""Headers of one connection, which a proxy does not forward."""

_CONNECT_SECONDS = 5.0
"""Real seconds to connect to a real server."""


class AppServer(Protocol):
    """The app of one replica, as an ASGI application with a start and a stop.

    :ivar lives_in_emulated_time: whether the app's work takes emulated seconds, as in built-in apps, or real
        seconds.
    """

    lives_in_emulated_time: bool

    async def start(self) -> None:
        """Start to serve."""

    async def stop(self) -> None:
        """Stop, and forget the memory of the process."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""


class CodeServer:
    """An ASGI application, with its lifespan.

    :param app: the application, or a function without parameters that returns a new one for each process.
    :raises ValueError: if the function does not return an ASGI application.
    """

    lives_in_emulated_time = False

    def __init__(self, app: Any) -> None:
        self._app: ASGIApp = app() if _takes_no_arguments(app) else app
        if not callable(self._app):
            raise ValueError(f"app: the function must return an ASGI application; got {self._app!r}.")
        self._lifespan: LifespanOn | None = None

    async def start(self) -> None:
        """Run the startup of the application's lifespan, if it has one.

        :raises RuntimeError: if the startup fails.
        """
        import uvicorn
        from uvicorn.lifespan.on import LifespanOn

        config = uvicorn.Config(self._app, lifespan="auto", ws="none", log_config=None)
        config.load()
        self._lifespan = LifespanOn(config)
        await self._lifespan.startup()
        if self._lifespan.should_exit:
            raise RuntimeError("the startup of the application's lifespan failed")

    async def stop(self) -> None:
        """Run the shutdown of the application's lifespan."""
        if self._lifespan is not None:
            await self._lifespan.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        state = dict(self._lifespan.state) if self._lifespan else {}
        await self._app({**scope, "state": state}, receive, send)


class ForwardingServer:
    """A streaming proxy of a real server.

    :param url: address of the server, such as ``http://127.0.0.1:7860``.
    """

    lives_in_emulated_time = False

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._client: httpx.AsyncClient | None = None

    async def start(self) -> None:
        """Create the HTTP client."""
        import httpx

        self._client = httpx.AsyncClient(
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            trust_env=False,
            follow_redirects=False,
        )

    async def stop(self) -> None:
        """Close all connections to the server."""
        if self._client is not None:
            await self._client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request to the server, and stream the answer back."""
        import httpx

        assert self._client is not None
        query = scope["query_string"]
        target = self._url.encode() + scope["raw_path"] + (b"?" + query if query else b"")
        headers = [(name, value) for name, value in scope["headers"] if name not in _HOP_BY_HOP]
        names = {name for name, _ in scope["headers"]}
        has_body = bool(names & {b"content-length", b"transfer-encoding"})
        # build_request() would add headers that the caller did not send.
        request = httpx.Request(
            scope["method"],
            target.decode("latin-1"),
            headers=headers,
            content=_body(receive) if has_body else None,
            extensions={"timeout": httpx.Timeout(None, connect=_CONNECT_SECONDS).as_dict()},
        )
        try:
            response = await self._client.send(request, stream=True)
        except httpx.TransportError:
            # Nothing listens, or the connection broke before the first byte of an answer.
            await error_page(502)(scope, receive, send)
            return
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": response.status_code,
                    "headers": [
                        (name.lower(), value)
                        for name, value in response.headers.raw
                        if name.lower() not in _HOP_BY_HOP
                    ],
                }
            )
            await until_disconnect(receive, _copy(response, send))
        finally:
            await response.aclose()


class FileServer:
    """The files of a static Space."""

    lives_in_emulated_time = True

    def __init__(self, space: Space) -> None:
        self._space = space

    async def start(self) -> None:
        """Do nothing: a static Space has no process."""

    async def stop(self) -> None:
        """Do nothing: a static Space has no process."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a file on ``main``; ``index.html`` for ``/``, and a 404 for a missing file."""
        path = unquote(scope["path"]).lstrip("/") or "index.html"
        content = self._space.files.get(path)
        response: Response = PlainTextResponse("Entry not found", 404)
        if content is not None:
            response = Response(content, media_type=mimetypes.guess_type(path)[0] or "text/plain")
        await response(scope, receive, send)


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


async def _copy(response: httpx.Response, send: Send) -> None:
    async for chunk in response.aiter_raw():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _takes_no_arguments(app: Any) -> bool:
    try:
        inspect.signature(app).bind()
    except (TypeError, ValueError):
        return False
    return True
