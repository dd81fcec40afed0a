"""The dev mode of a Space."""

from __future__ import annotations

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import check_dev_mode, refuse_static
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, json_response
from airflow_provider_hfspaces.emulator.http.routing import SPACE, Route
from airflow_provider_hfspaces.emulator.routes.runtime import visible_runtime

__all__ = ["ROUTES"]


def _set_dev_mode(request: HubRequest) -> Response:
    space = request.own_space("change the dev mode of this Space")
    refuse_static(space, "use dev mode on")
    enabled = request.body().get("enabled")
    if not isinstance(enabled, bool):
        raise Refusal(400, '"enabled" must be a boolean')
    check_dev_mode(request.world, space.owner, request.require_token(), enabled)
    if enabled != space.dev_mode:
        space.dev_mode = enabled
        space.do("change")
    return json_response(visible_runtime(request, space))


ROUTES = [Route("POST", f"{SPACE}/dev-mode", _set_dev_mode)]
