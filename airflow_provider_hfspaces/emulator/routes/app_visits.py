"""``/apps/owner/name``, which redirects from the Hub's address to the address of a Space's app."""

from __future__ import annotations

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.routing import Route

__all__ = ["ROUTES"]


def _go_to_app(request: HubRequest) -> Response:
    """Redirect to the app. Needs no token, also for private Spaces: the edge checks tokens."""
    space = request.world.find_space(f"{request.parts['owner']}/{request.parts['name']}")
    if space is None:
        return Response("Sorry, we can't find the page you are looking for.", 404)
    address = request.world.app_url(space, request.origin)
    return Response(status_code=307, headers={"Location": f"{address}/{request.parts.get('path', '')}"})


ROUTES = [
    Route("GET HEAD", "/apps/{owner}/{name}", _go_to_app),
    Route("GET HEAD", "/apps/{owner}/{name}/{path:rest}", _go_to_app),
]
