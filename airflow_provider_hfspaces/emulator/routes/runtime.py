"""The runtime of a Space: its stage, hardware and everything else that changes while it runs."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.payloads import runtime_payload
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import json_response
from airflow_provider_hfspaces.emulator.http.routing import SPACE, Route
from airflow_provider_hfspaces.emulator.model.moments import View
from airflow_provider_hfspaces.emulator.model.space import Space

__all__ = ["ROUTES", "visible_runtime"]


def visible_runtime(request: HubRequest, space: Space, view: View | None = None) -> dict[str, Any]:
    """The runtime as the caller may see it. Callers without write access get masked sources of volumes."""
    world = request.world
    payload = runtime_payload(space, view, with_storage=world.settings.storage == "works")
    may_write = request.token and world.accounts.may_write(request.token, space.owner, space)
    if "volumes" in payload and not may_write:
        payload["volumes"] = [{**volume, "source": "****/******"} for volume in payload["volumes"]]
    return payload


def _get_runtime(request: HubRequest) -> Response:
    return json_response(visible_runtime(request, request.space()))


ROUTES = [Route("GET", f"{SPACE}/runtime", _get_runtime)]
