"""The ASGI application of the emulated Hub: the steps that every request passes through."""

from __future__ import annotations

import json
import uuid
from email.utils import formatdate
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from airflow_provider_hfspaces.emulator.faults.kinds import Delivery, deliver, replacement
from airflow_provider_hfspaces.emulator.faults.rules import Fault
from airflow_provider_hfspaces.emulator.http.request import HubRequest, Moved
from airflow_provider_hfspaces.emulator.http.responses import Refusal, text_response, unknown_route
from airflow_provider_hfspaces.emulator.http.routing import Router
from airflow_provider_hfspaces.emulator.http.storage import STORAGE, Storage
from airflow_provider_hfspaces.emulator.model.limits import Allowance, bucket_of
from airflow_provider_hfspaces.emulator.model.request_log import RecordedRequest, redacted
from airflow_provider_hfspaces.emulator.model.world import World
from airflow_provider_hfspaces.emulator.routes import ROUTES, control

__all__ = ["HubApp"]

_COMMON_HEADERS = {
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
    """The ASGI application that serves the Hub of a world.

    A request to the Hub's API or for a file passes through these steps: the quota, the request log, faults,
    the check of the token, the handler of the route, and the headers that every answer has. Requests for web
    pages count only against the quota. Requests for large files go to the storage, and all others to their
    handler at once.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._router = Router(ROUTES)
        self._storage = Storage(world)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"The emulator serves only http; got {scope['type']!r}.")
        if scope["path"].startswith(STORAGE):
            await self._storage(scope, receive, send)
            return
        received = Request(scope, receive)
        try:
            content = await received.body()
        except ClientDisconnect:
            return
        with self._world.lock:
            response, fault = self._answer(received, content)
        if fault is None:
            await response(scope, receive, send)
        else:
            await deliver(Delivery(fault, response, self._world, scope, receive, send))

    def _answer(self, received: Request, content: bytes) -> tuple[Response, Fault | None]:
        world = self._world
        world.catch_up()
        request = _hub_request(world, received, content)
        bucket = bucket_of(request.path)
        if bucket is None:
            return self._answer_outside(request), None
        address = received.client.host if received.client else ""
        key, plan = world.accounts.quota_key(request.token, address, world.limits.quota)
        allowance = world.limits.take(key, plan, bucket=bucket, enforced=world.settings.enforce)
        if bucket == "pages":
            response = self._route(request) if allowance.allowed else _rate_limited(allowance).response()
            response.headers.update(allowance.headers())
            return response, None
        record = self._record(request)
        fault = world.faults.strike(request.method, request.path) if allowance.allowed else None
        if not allowance.allowed:
            response = _rate_limited(allowance).response()
        elif _credentials(received) is not None and request.token is None:
            response = Refusal(401, "Invalid credentials in Authorization header").response()
        else:
            response = self._act(request, record, fault)
        if fault is not None:
            record.fault = fault.kind
        record.status = 0 if fault is not None and fault.is_mute else response.status_code
        response.headers.update(_COMMON_HEADERS)
        response.headers.update(allowance.headers())
        # The emulated time, because clients compare it with the times in logs.
        response.headers["Date"] = formatdate(world.clock.now(), usegmt=True)
        response.headers["X-Request-Id"] = _request_id(received)
        return response, fault

    def _answer_outside(self, request: HubRequest) -> Response:
        """Answer a request that counts against no quota: to an app, the start page or the control API."""
        if request.path.startswith("/_emulator"):
            try:
                control.check_caller(request)
            except Refusal as refusal:
                return refusal.response()
        return self._route(request)

    def _act(self, request: HubRequest, record: RecordedRequest, fault: Fault | None) -> Response:
        """Run the handler of a request at once, later or never, as the fault says, and return the answer."""

        def act() -> Response:
            response = self._route(request)
            record.took_effect = response.status_code < 300
            return response

        if fault is None:
            return act()
        if fault.acts_later:
            self._world.act_later(fault.seconds or 0, act)
        response = act() if fault.acts_at_once else Response()
        return replacement(fault) or response

    def _route(self, request: HubRequest) -> Response:
        match = self._router.find(request.method, request.raw_path)
        try:
            if match is None:
                raise unknown_route()
            handler, request.parts = match
            return handler(request)
        except Refusal as refusal:
            return refusal.response()
        except Moved as moved:
            text = f"Temporary Redirect. Redirecting to {moved.location}"
            return text_response(text, status=307, headers={"Location": moved.location})

    def _record(self, request: HubRequest) -> RecordedRequest:
        world = self._world
        world.requests_seen += 1
        world.clock.pass_time(world.settings.seconds_per_request)
        record = RecordedRequest(
            number=world.requests_seen,
            time=world.clock.now(),
            method=request.method,
            path=request.path,
            query=request.query_string,
            headers=redacted(request.headers),
            json=None if "ndjson" in request.headers.get("content-type", "") else _json(request.content),
            user=request.token.user if request.token else None,
            token_name=request.token.name if request.token else None,
        )
        world.requests.append(record)
        return record


def _hub_request(world: World, received: Request, content: bytes) -> HubRequest:
    credentials = _credentials(received)
    # Links use the Host header, so that they work from containers and through forwarded ports.
    host = received.headers.get("host")
    return HubRequest(
        world=world,
        method=received.method,
        path=received.scope["path"],
        raw_path=received.scope["raw_path"].decode("latin-1"),
        query_string=received.scope["query_string"].decode("latin-1"),
        headers=received.headers,
        content=content,
        token=None if credentials is None else world.accounts.tokens.get(credentials),
        origin=f"http://{host}" if host else world.endpoint,
    )


def _credentials(received: Request) -> str | None:
    """The token that a request was sent with; ``None`` for an anonymous request."""
    header = received.headers.get("authorization")
    if header is None:
        return None
    scheme, _, value = header.partition(" ")
    return value.strip() if scheme.lower() == "bearer" else header


def _rate_limited(allowance: Allowance) -> Refusal:
    return Refusal(
        429,
        f"We had to rate limit you: you hit the quota of {allowance.quota} {allowance.bucket} requests per "
        f"{allowance.window} seconds.",
    )


def _request_id(request: Request) -> str:
    trace = request.headers.get("x-amzn-trace-id") or str(uuid.uuid4())
    root = uuid.uuid4().hex
    return f"Root=1-{root[:8]}-{root[8:]};{trace}"


def _json(content: bytes) -> Any:
    if not content:
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
