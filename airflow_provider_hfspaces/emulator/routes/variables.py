"""The variables of a Space."""

from __future__ import annotations

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import change_entry
from airflow_provider_hfspaces.emulator.http.payloads import variables_payload
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import json_response
from airflow_provider_hfspaces.emulator.http.routing import SPACE, Route

__all__ = ["ROUTES"]


def _variables(request: HubRequest) -> Response:
    """List, set or delete variables. Every answer lists all of them; a change restarts the app."""
    if request.method == "GET":
        return json_response(variables_payload(request.space()))
    space = request.own_space("manage the variables of this Space")
    if change_entry(space.variables, request.body(), space.now(), delete=request.method == "DELETE"):
        space.do("change")
    return json_response(variables_payload(space))


ROUTES = [Route("GET POST DELETE", f"{SPACE}/variables", _variables)]
