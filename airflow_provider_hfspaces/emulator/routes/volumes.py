"""The volumes of a Space."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import checked_volumes, refuse_static
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, json_response
from airflow_provider_hfspaces.emulator.http.routing import SPACE, Route
from airflow_provider_hfspaces.emulator.routes.runtime import visible_runtime

__all__ = ["ROUTES"]


def _change_volumes(request: HubRequest) -> Response:
    """Replace all volumes, or remove them."""
    space = request.own_space("change the volumes of this Space")
    refuse_static(space, "attach volumes to")
    if request.method == "DELETE":
        if not space.volumes:
            raise Refusal(400, "No volumes attached to this Space")
        space.volumes = []
    else:
        space.volumes = checked_volumes(request.body().get("volumes"))
    space.do("change")
    bodies: dict[str, Any] = {
        "volumes": {"volumes": space.volumes},
        "empty": {},
        "runtime": visible_runtime(request, space),
    }
    return json_response(bodies[request.world.settings.volumes_body])


ROUTES = [Route("PUT DELETE", f"{SPACE}/volumes", _change_volumes)]
