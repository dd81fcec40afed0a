"""Visits to the apps of Spaces. An app echoes its request while its Space serves."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from starlette.responses import HTMLResponse, Response

from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import answer
from airflow_provider_hfspaces.emulator.http.routing import Route
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.hub.stages import SpaceStage

__all__ = ["ROUTES"]


def _visit(request: HubRequest) -> Response:
    space = request.space()
    space.visit()
    path = f"/{request.parts.get('path', '')}"
    if not space.is_serving:
        return HTMLResponse(_page(space), 503, {"Retry-After": "5"})
    if not space.is_static:
        space.logs.run.write(space.now(), f'INFO:     "{request.method} {path} HTTP/1.1" 200 OK')
    return answer(
        {
            "space": space.repo_id,
            "hardware": space.hardware,
            "stage": space.stage,
            "path": path,
            "query": dict(request.query),
            "echo": _echo(request),
        }
    )


def _echo(request: HubRequest) -> Any:
    if not request.content:
        return dict(request.query)
    try:
        return json.loads(request.content)
    except (ValueError, RecursionError):
        return request.content.decode(errors="replace")


def _page(space: Space) -> str:
    message = {
        SpaceStage.PAUSED.value: "This Space has been paused by its owner.",
        SpaceStage.RUNTIME_ERROR.value: "Runtime error",
        SpaceStage.BUILD_ERROR.value: "Build error",
        SpaceStage.CONFIG_ERROR.value: "Configuration error",
        SpaceStage.NO_APP_FILE.value: "No application file",
    }.get(space.stage, "Preparing Space")
    return f"<!doctype html><title>{escape(space.repo_id)}</title><h1>{escape(message)}</h1>"


_METHODS = "GET POST PUT PATCH DELETE HEAD"
ROUTES = [
    Route(_METHODS, "/apps/{owner}/{name}", _visit),
    Route(_METHODS, "/apps/{owner}/{name}/{path:rest}", _visit),
]
