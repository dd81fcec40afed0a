"""The replicas of a Space."""

from __future__ import annotations

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, json_response
from airflow_provider_hfspaces.emulator.http.routing import SPACE, Route
from airflow_provider_hfspaces.emulator.routes.runtime import visible_runtime

__all__ = ["ROUTES"]


def _set_replicas(request: HubRequest) -> Response:
    space = request.own_space("scale this Space")
    replicas = request.body().get("replicas")
    if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 1:
        raise Refusal(400, '"replicas" must be a positive integer')
    if space.on_free_hardware:
        raise Refusal(400, "Replicas are only available on upgraded hardware")
    space.set_replicas(replicas)
    empty = request.world.settings.replicas_body == "empty"
    return json_response({} if empty else visible_runtime(request, space))


ROUTES = [Route("POST", f"{SPACE}/replicas", _set_replicas)]
