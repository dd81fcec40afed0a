"""Pausing and restarting a Space."""

from __future__ import annotations

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import refuse_static
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, json_response
from airflow_provider_hfspaces.emulator.http.routing import SPACE, Route
from airflow_provider_hfspaces.emulator.routes.runtime import visible_runtime
from airflow_provider_hfspaces.hub.stages import SpaceStage

__all__ = ["ROUTES"]


def _pause(request: HubRequest) -> Response:
    space = request.own_space("pause this Space")
    refuse_static(space, "pause")
    status = request.world.settings.pause_twice
    if space.stage == SpaceStage.PAUSED and status != 200:
        raise Refusal(status, "This Space is already paused")
    space.do("pause")
    return json_response(visible_runtime(request, space))


def _restart(request: HubRequest) -> Response:
    """Restart a Space. A factory reboot stops the app first, and so does ``restart_serves=False``."""
    space = request.own_space("restart this Space")
    refuse_static(space, "restart")
    factory = request.query.get("factory") == "true"
    cold = space.is_serving and (factory or not request.world.settings.restart_serves)
    space.do("cold restart" if cold else "restart", lag=True)
    return json_response(visible_runtime(request, space, space.actual_view()))


ROUTES = [
    Route("POST", f"{SPACE}/pause", _pause),
    Route("POST", f"{SPACE}/restart", _restart),
]
