"""The pages that people and visitors see: a Space's own, and the app that it hosts."""

from __future__ import annotations

from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from airflow_provider_hfspaces.emulator.answers import answer, not_found
from airflow_provider_hfspaces.emulator.space import Space
from airflow_provider_hfspaces.emulator.spaces_api import readable
from airflow_provider_hfspaces.emulator.world import World
from airflow_provider_hfspaces.hub.models import SERVING_STAGES

__all__ = ["page_routes"]

_PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ max-width: 46rem; margin: 3rem auto; padding: 0 1rem; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem; }}
dt {{ opacity: .7; }} dd {{ margin: 0; font-weight: 600; }}
pre {{ padding: 1rem; overflow: auto; border: 1px solid color-mix(in srgb, currentColor 25%, transparent); }}
</style>
<h1>{title}</h1>
<dl>{facts}</dl>
{log}
<p><small>An emulated Hub. Nothing here costs money.</small></p>
"""


def page_routes(world: World) -> list[Route]:
    """Both pages."""

    async def space_page(request: Request) -> Response:
        with world.lock:
            space = readable(request, world)
            return HTMLResponse(_space_page(space, request.query_params.get("logs")))

    async def app(request: Request) -> Response:
        body = await request.body()
        with world.lock:
            space = readable(request, world)
            if not world.may_read(request.state.token, space):
                raise not_found(has_token=request.state.token is not None)
            space.visit()
            served = space.is_static or space.stage in SERVING_STAGES
            content: dict[str, Any] = {
                "space": space.repo_id,
                "stage": space.stage,
                "hardware": space.hardware,
                "path": f"/{request.path_params.get('path', '')}",
                "query": dict(request.query_params),
                "body": body.decode(errors="replace"),
            }
        return answer(content, status=200 if served else 503)

    methods = ["GET", "POST", "PUT", "DELETE"]
    return [
        Route("/spaces/{owner}/{name}", space_page),
        Route("/apps/{owner}/{name}", app, methods=methods),
        Route("/apps/{owner}/{name}/{path:path}", app, methods=methods),
    ]


def _space_page(space: Space, log: str | None) -> str:
    stage, hardware = space.shown()
    sleep_time = space.sleep_time
    facts = {
        "Stage": stage,
        "Hardware": hardware or "none",
        "Requested": space.requested or "none",
        "Sleep time": f"{sleep_time} s" if sleep_time else "never",
        "Visibility": "private" if space.private else "public",
    }
    if space.error_message:
        facts["Error"] = space.error_message
    rows = "".join(f"<dt>{escape(name)}<dd>{escape(value)}" for name, value in facts.items())
    shown = ""
    if log:
        lines = space.build_log if log == "build" else space.run_log
        text = "\n".join(line.text for line in lines) or "(nothing yet)"
        shown = f"<h2>{'Build' if log == 'build' else 'Container'} log</h2><pre>{escape(text)}</pre>"
    return _PAGE.format(title=escape(space.repo_id), facts=rows, log=shown)
