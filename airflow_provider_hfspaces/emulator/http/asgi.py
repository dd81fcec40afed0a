"""The emulated Hub as an ASGI application: what every request goes through."""

from __future__ import annotations

import json
import uuid
from email.utils import formatdate
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from airflow_provider_hfspaces.emulator.faults.delivery import instead, send_struck
from airflow_provider_hfspaces.emulator.faults.rules import Fault
from airflow_provider_hfspaces.emulator.http.request import HubRequest, Moved
from airflow_provider_hfspaces.emulator.http.responses import Refusal, plain, unknown_route
from airflow_provider_hfspaces.emulator.http.routing import Router
from airflow_provider_hfspaces.emulator.model.limits import Allowance, bucket_of
from airflow_provider_hfspaces.emulator.model.request_log import RecordedRequest, redacted
from airflow_provider_hfspaces.emulator.model.world import World
from airflow_provider_hfspaces.emulator.routes import ROUTES, control

__all__ = ["HubApp"]

_ALWAYS = {
    "X-Powered-By": "huggingface-moon",
    "Access-Control-Allow-Origin": "https://huggingface.co",
    "Access-Control-Expose-Headers": (
        "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,"
        "Accept-Ranges,Content-Range"
    ),
    "Vary": "Origin",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "cross-origin-opener-policy": "same-origin",
}


class HubApp:
    """Serves a world.

    A request to the API passes, in this order: its token, the quota, the record of requests, its
    route, and the headers that every answer has. Everything else goes to its route at once.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._router = Router(ROUTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"The emulator speaks http only, not {scope['type']}.")
        request = Request(scope, receive)
        try:
            content = await request.body()
        except ClientDisconnect:
            return
        with self._world.lock:
            response, fault = self._answer(request, content)
        if fault is None:
            await response(scope, receive, send)
        else:
            await send_struck(fault, response, self._world, scope, receive, send)

    def _answer(self, request: Request, content: bytes) -> tuple[Response, Fault | None]:
        world = self._world
        world.catch_up()
        value = _bearer(request)
        call = HubRequest(
            world=world,
            method=request.method,
            path=request.scope["path"],
            raw_path=request.scope["raw_path"].decode("latin-1"),
            query_string=request.scope["query_string"].decode("latin-1"),
            headers=request.headers,
            content=content,
            token=world.accounts.tokens.get(value) if value is not None else None,
            origin=_origin(request, world),
        )
        bucket = bucket_of(call.path)
        if bucket is None:
            return self._own(call), None
        address = request.client.host if request.client else ""
        key, plan = world.accounts.quota_key(call.token, address, world.limits.quota)
        allowance = world.limits.take(key, plan, bucket=bucket, enforced=world.settings.enforce)
        if bucket == "pages":
            response = self._routed(call) if allowance.allowed else _too_many(allowance).response()
            response.headers.update(allowance.headers())
            return response, None
        record = self._record(call)
        fault = world.faults.of(call.method, call.path) if allowance.allowed else None
        if fault is not None:
            record.fault = fault.kind
        if not allowance.allowed:
            response = _too_many(allowance).response()
        elif value is not None and call.token is None:
            response = Refusal(401, "Invalid credentials in Authorization header").response()
        elif fault is not None and not fault.takes_effect:
            response = instead(fault) or Response()
            if fault.kind == "late":
                world.act_later(fault.seconds or 0, lambda: self._act(call, record))
        else:
            response = self._act(call, record)
            response = (instead(fault) if fault else None) or response
        record.status = 0 if fault is not None and fault.is_mute else response.status_code
        response.headers.update(_ALWAYS)
        response.headers.update(allowance.headers())
        # The time of the emulator, as in everything else that it says: who reads logs compares them.
        response.headers["Date"] = formatdate(world.clock.now(), usegmt=True)
        response.headers["X-Request-Id"] = _request_id(request)
        return response, fault

    def _own(self, call: HubRequest) -> Response:
        """What is no part of the Hub: apps, the start page, the control API."""
        if call.path.startswith("/_emulator"):
            try:
                control.check_caller(call)
            except Refusal as refusal:
                return refusal.response()
        return self._routed(call)

    def _act(self, call: HubRequest, record: RecordedRequest) -> Response:
        response = self._routed(call)
        record.took_effect = response.status_code < 300
        return response

    def _routed(self, call: HubRequest) -> Response:
        found = self._router.find(call.method, call.raw_path)
        try:
            if found is None:
                raise unknown_route()
            handler, call.parts = found
            return handler(call)
        except Refusal as refusal:
            return refusal.response()
        except Moved as moved:
            text = f"Temporary Redirect. Redirecting to {moved.location}"
            return plain(text, status=307, headers={"Location": moved.location})

    def _record(self, call: HubRequest) -> RecordedRequest:
        world = self._world
        world.requests_seen += 1
        world.clock.pass_time(world.settings.seconds_per_request)
        record = RecordedRequest(
            number=world.requests_seen,
            time=world.clock.now(),
            method=call.method,
            path=call.path,
            query=call.query_string,
            headers=redacted(call.headers),
            json=_json(call.content),
            user=call.token.user if call.token else None,
            token_name=call.token.name if call.token else None,
        )
        world.requests.append(record)
        return record


def _bearer(request: Request) -> str | None:
    given = request.headers.get("authorization")
    if given is None:
        return None
    kind, _, value = given.partition(" ")
    return value.strip() if kind.lower() == "bearer" else given


def _origin(request: Request, world: World) -> str:
    # What the client calls this server, so that the addresses in answers lead back here through
    # whatever container or port forwarding is between.
    host = request.headers.get("host")
    return f"http://{host}" if host else world.endpoint


def _too_many(allowance: Allowance) -> Refusal:
    return Refusal(
        429,
        f"We had to rate limit you: you hit the quota of {allowance.quota} {allowance.bucket} requests per "
        f"{allowance.window} seconds.",
    )


def _request_id(request: Request) -> str:
    trace = request.headers.get("x-amzn-trace-id") or str(uuid.uuid4())
    made = uuid.uuid4().hex
    return f"Root=1-{made[:8]}-{made[8:]};{trace}"


def _json(content: bytes) -> Any:
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError:
        return None
