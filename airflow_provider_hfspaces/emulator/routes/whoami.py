"""Tokens: the account of a token, its permissions on a repository, and tokens for a single Space."""

from __future__ import annotations

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.payloads import whoami_payload
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, json_response
from airflow_provider_hfspaces.emulator.http.routing import REPOSITORY, SPACE, Route

__all__ = ["ROUTES"]

_READ_SECONDS, _WRITE_SECONDS = 86_400, 600
"""Default lifetimes of tokens for a single Space."""


def _whoami(request: HubRequest) -> Response:
    return json_response(whoami_payload(request.world, request.require_token()))


def _can_read(request: HubRequest) -> Response:
    request.readable_repository()
    return json_response({})


def _can_write(request: HubRequest) -> Response:
    request.writable_repository("change this repository")
    return json_response({})


def _jwt(request: HubRequest) -> Response:
    """A token for one Space, which no route of the emulator accepts."""
    space, now = request.space(), request.world.clock.now()
    request.require_token()
    seconds = request.query.get("expires_in") or str(
        _WRITE_SECONDS if "write" in request.query else _READ_SECONDS
    )
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) < 10):
        raise Refusal(400, '"expires_in" must be a positive number')
    token = f"eyJ-emulated.{space.object_id}.{int(now)}"
    return json_response({"accessToken": token, "token": token, "exp": int(now) + int(seconds)})


ROUTES = [
    Route("GET", "/api/whoami-v2", _whoami),
    Route("GET", f"{REPOSITORY}/auth-check", _can_read),
    Route("GET", f"{REPOSITORY}/auth-check/write", _can_write),
    Route("GET", f"{SPACE}/jwt", _jwt),
]
