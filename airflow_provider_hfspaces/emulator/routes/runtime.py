"""``/runtime``: the live state of a Space."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.model.space import Space, View
from airflow_provider_hfspaces.emulator.routes.payloads import runtime_payload
from airflow_provider_hfspaces.emulator.routes.request import Call
from airflow_provider_hfspaces.emulator.routes.responses import answer
from airflow_provider_hfspaces.emulator.routes.routing import Route

__all__ = ["ROUTES", "shown"]


def shown(call: Call, space: Space, view: View | None = None) -> dict[str, Any]:
    """The runtime as this caller sees it: who may not change the Space does not see what a private
    volume is."""
    payload = runtime_payload(space, view, with_storage=call.world.settings.storage == "works")
    if "volumes" in payload and not (call.token and call.world.may_write(call.token, space.owner, space)):
        payload["volumes"] = [{**volume, "source": "****/******"} for volume in payload["volumes"]]
    return payload


def _runtime(call: Call) -> Response:
    return answer(shown(call, call.space()))


ROUTES = [Route("GET", "/api/spaces/{owner}/{name}/runtime", _runtime)]
