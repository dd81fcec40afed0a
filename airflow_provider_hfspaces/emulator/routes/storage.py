"""The storage tiers of a Space, which the Hub has retired. The setting ``storage`` chooses the answer."""

from __future__ import annotations

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import refuse_static
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, json_response, unknown_route
from airflow_provider_hfspaces.emulator.http.routing import SPACE, Route
from airflow_provider_hfspaces.emulator.routes.runtime import visible_runtime
from airflow_provider_hfspaces.hub.models import SpaceStorage

__all__ = ["ROUTES"]


def _change_storage(request: HubRequest) -> Response:
    """Set or remove the storage tier, or refuse, as the setting ``storage`` says."""
    space = request.own_space("change the storage of this Space")
    behaviour = request.world.settings.storage
    if behaviour == "retired":
        raise unknown_route()
    if behaviour != "works":
        message = "Persistent storage is no longer available: attach a Storage Bucket as a volume instead"
        raise Refusal(410 if behaviour == "gone" else 400, message)
    refuse_static(space, "attach storage to")
    tiers = [tier.value for tier in SpaceStorage]
    tier = request.body().get("tier") if request.method == "POST" else None
    if request.method == "POST" and tier not in tiers:
        raise Refusal(400, f'"tier" must be one of [{", ".join(tiers)}]')
    space.storage = tier
    space.do("change")
    return json_response(visible_runtime(request, space))


ROUTES = [Route("POST DELETE", f"{SPACE}/storage", _change_storage)]
