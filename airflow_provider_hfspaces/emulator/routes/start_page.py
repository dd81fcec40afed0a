"""The start page: the live fleet, its bill and the last requests."""

from __future__ import annotations

from typing import Any

from starlette.responses import HTMLResponse, Response

from airflow_provider_hfspaces.emulator.apps.choice import described_app
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.routing import Route
from airflow_provider_hfspaces.emulator.model.clock import iso
from airflow_provider_hfspaces.emulator.model.prices import price_per_minute
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.templates import sleeps_after, start_page
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE
from airflow_provider_hfspaces.hub.stages import BILLED_STAGES, ERROR_STAGES, STARTING_STAGES, SpaceStage

__all__ = ["ROUTES", "fleet"]

_MAX_SPACES = 200
_LAST_REQUESTS = 20


def fleet(request: HubRequest) -> dict[str, Any]:
    """The data of the start page. With ``?q=``, only Spaces whose id, stage or hardware contains the text."""
    world, query = request.world, request.query.get("q", "").strip()
    spaces = [space.catch_up() for space in world.spaces.values()]
    matching = [space for space in spaces if query.lower() in _text(space)]
    rows = sorted(matching, key=lambda space: (-_micro_per_hour(space), space.repo_id))
    bill = world.bill()
    return {
        "at": iso(world.clock.now()),
        "speed": world.clock.speed,
        "spaces": len(spaces),
        "matching": len(matching),
        "summary": _summary(len(spaces), len(matching), query),
        "usd_per_hour": round(sum(map(_micro_per_hour, spaces)) / 1_000_000, 3),
        "usd_so_far": round(bill.total_usd, 4),
        "requests_seen": world.requests_seen,
        "faults": len(world.faults),
        "rows": [_row(request, space) for space in rows[:_MAX_SPACES]],
        "requests": [
            {
                "at": iso(each.time),
                "method": each.method,
                "path": each.path,
                "status": each.status,
                "token": each.token_name or each.user or "none",
                "fault": each.fault,
            }
            for each in list(world.requests)[-_LAST_REQUESTS:][::-1]
        ],
    }


def _summary(spaces: int, matching: int, query: str) -> str:
    if not spaces:
        return "There are no Spaces yet."
    if not matching:
        return f"No Space matches '{query}'."
    if matching > _MAX_SPACES:
        return f"The {_MAX_SPACES} most expensive of {matching} Spaces."
    noun = "Space" if spaces == 1 else "Spaces"
    return f"{matching} of {spaces} {noun}" if query else f"{spaces} {noun}"


def _row(request: HubRequest, space: Space) -> dict[str, Any]:
    view = space.view()
    return {
        "id": space.repo_id,
        "stage": view.stage,
        "kind": _kind(view.stage),
        "hardware": view.hardware or "—",
        "requested": view.requested if view.requested != view.hardware else None,
        "sleeps_after": sleeps_after(space.sleep_time),
        "replicas": space.replicas,
        "app": described_app(space.app.choice, space.sdk),
        "app_url": request.world.open_app_url(space, request.origin),
        "usd_per_hour": round(_micro_per_hour(space) / 1_000_000, 3),
        "error": view.error_message,
        "since": iso(space.history[-1].time),
    }


def _text(space: Space) -> str:
    return f"{space.repo_id} {space.stage} {space.hardware} {space.requested}".lower()


def _kind(stage: str) -> str:
    if stage in ERROR_STAGES:
        return "error"
    if stage in STARTING_STAGES:
        return "starting"
    return "running" if stage == SpaceStage.RUNNING else "resting"


def _micro_per_hour(space: Space) -> int:
    hardware = space.hardware or space.requested
    if space.stage not in BILLED_STAGES or hardware is None or hardware in FREE_HARDWARE:
        return 0
    return price_per_minute(hardware, space.settings.prices) * 60 * space.replicas


def _page(request: HubRequest) -> Response:
    return HTMLResponse(start_page())


ROUTES = [Route("GET", "/", _page)]
