"""The secrets of a Space."""

from __future__ import annotations

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import change_entry
from airflow_provider_hfspaces.emulator.http.payloads import secrets_payload
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import json_response
from airflow_provider_hfspaces.emulator.http.routing import SPACE, Route

__all__ = ["ROUTES"]


def _secrets(request: HubRequest) -> Response:
    """List, set or delete secrets. No answer contains a value, and each change rebuilds a running Space."""
    space = request.own_space("manage the secrets of this Space")
    if request.method == "GET":
        return json_response(secrets_payload(space))
    if change_entry(space.secrets, request.body(), space.now(), delete=request.method == "DELETE"):
        space.do("change")
    return json_response({})


ROUTES = [Route("GET POST DELETE", f"{SPACE}/secrets", _secrets)]
