"""What every request passes: the token, the quota, the record, and the headers of the answer."""

from __future__ import annotations

import json
import uuid
from email.utils import formatdate
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_hfspaces.emulator.answers import Refusal
from airflow_provider_hfspaces.emulator.limits import Allowance
from airflow_provider_hfspaces.emulator.world import RecordedRequest, Token, World

__all__ = ["Gate"]

_HIDDEN = frozenset({"authorization", "cookie"})
_MASKED_FIELDS = frozenset({"value"})


class Gate:
    """ASGI middleware around the routes.

    Puts ``token`` into the request's state, answers 401 to a token that there is not and 429 past
    the quota, and keeps a record of what came in and what went out.
    """

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if not path.startswith("/api/"):
            scope.setdefault("state", {})["token"] = self._token(scope)
            await self._app(scope, receive, send)
            return
        body = await Request(scope, receive).body()
        token = self._token(scope)
        scope.setdefault("state", {})["token"] = token
        record = self._record(scope, body, token)
        with self._world.lock:
            self._world.requests.append(record)
            client = scope.get("client") or ("127.0.0.1", 0)
            key, plan = self._world.quota_key(token, client[0])
            allowance = self._world.limits.take(key, plan, enforced=self._world.settings.quotas)
        headers = self._headers(scope, allowance)

        unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return unread.pop() if unread else await receive()

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *headers]}
            await send(message)

        refusal = self._refusal(scope, token, allowance)
        if refusal is not None:
            await refusal.response()(scope, replay, dressed)
            return
        record.effect = True
        await self._app(scope, replay, dressed)

    def _refusal(self, scope: Scope, token: Token | None, allowance: Allowance) -> Refusal | None:
        if not allowance.allowed:
            return Refusal(
                429,
                f"We had to rate limit you, you hit the quota of {allowance.quota} api requests per "
                f"{allowance.window // 60} minutes period.",
            )
        if token is None and _bearer(scope):
            return Refusal(401, "Invalid credentials in Authorization header")
        return None

    def _token(self, scope: Scope) -> Token | None:
        value = _bearer(scope)
        return self._world.tokens.get(value) if value else None

    def _record(self, scope: Scope, body: bytes, token: Token | None) -> RecordedRequest:
        headers = {
            name.decode("latin-1"): "***" if name.decode("latin-1") in _HIDDEN else value.decode("latin-1")
            for name, value in scope["headers"]
        }
        try:
            content = json.loads(body) if body else None
        except ValueError:
            content = body.decode(errors="replace")
        return RecordedRequest(
            time=self._world.clock.now(),
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            json=content,
            user=token.user if token else None,
            token_name=token.name if token else None,
        )

    def _headers(self, scope: Scope, allowance: Allowance) -> list[tuple[bytes, bytes]]:
        trace = dict(scope["headers"]).get(b"x-amzn-trace-id", b"").decode("latin-1")
        request_id = f"Root=1-{uuid.uuid4().hex[:8]}-{uuid.uuid4().hex[:24]};{trace or uuid.uuid4()}"
        named = {
            "Date": formatdate(self._world.clock.now(), usegmt=True),
            "X-Powered-By": "huggingface-moon",
            "X-Request-Id": request_id,
            "Vary": "Origin",
            "Referrer-Policy": "strict-origin-when-cross-origin",
            "Access-Control-Allow-Origin": "https://huggingface.co",
            "Access-Control-Expose-Headers": "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,"
            "X-Total-Count,ETag,Link,Accept-Ranges,Content-Range",
            **allowance.headers(),
        }
        return [(name.lower().encode(), value.encode()) for name, value in named.items()]


def _bearer(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            said: str = value.decode("latin-1")
            kind, _, token = said.partition(" ")
            return token.strip() if kind.lower() == "bearer" else token
    return None


def masked(content: Any) -> Any:
    """A request's body without secrets' values, for pages that people see."""
    if isinstance(content, dict):
        return {key: "***" if key in _MASKED_FIELDS else masked(value) for key, value in content.items()}
    if isinstance(content, list):
        return [masked(each) for each in content]
    return content
