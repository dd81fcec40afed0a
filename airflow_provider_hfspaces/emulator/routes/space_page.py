"""The web page of a Space, with its stage and its logs."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse, Response

from airflow_provider_hfspaces.emulator.apps.choice import described_app
from airflow_provider_hfspaces.emulator.http.request import HubRequest, Moved
from airflow_provider_hfspaces.emulator.http.responses import Refusal
from airflow_provider_hfspaces.emulator.http.routing import Route
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.templates import render, sleeps_after

__all__ = ["ROUTES"]


def _space(request: HubRequest) -> Response:
    try:
        space = request.space()
    except Refusal:
        return _html("404", "<p>Sorry, we can't find the page you are looking for.</p>", status=404)
    except Moved as moved:
        return Response(status_code=307, headers={"Location": moved.location})
    return _html(space.repo_id, _facts(space) + _logs(space, request.query.get("logs")))


def _facts(space: Space) -> str:
    view = space.view()
    facts = {
        "Stage": view.stage,
        "Hardware": view.hardware or "none",
        "Requested": view.requested or "none",
        "Sleeps after": sleeps_after(space.sleep_time),
        "SDK": space.sdk,
        "Visibility": space.visibility,
        "App": described_app(space.app.choice, space.sdk),
    }
    if view.error_message:
        facts["Error"] = view.error_message
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    links = (
        f'<p><a href="/apps/{escape(space.repo_id)}">App</a> · '
        f'<a href="{space.page}/tree/main">Files</a> · <a href="{space.page}/commits/main">Commits</a> · '
        '<a href="?logs=container">Container log</a> · <a href="?logs=build">Build log</a></p>'
    )
    return f"<dl>{rows}</dl>{links}"


def _logs(space: Space, kind: str | None) -> str:
    logs = {"build": ("Build log", space.logs.build), "container": ("Container log", space.logs.run)}
    if kind not in logs:
        return ""
    title, log = logs[kind]
    text = "\n".join(line.text for line in log.until(space.now())) or "(nothing yet)"
    return f"<h2>{title}</h2><pre>{escape(text)}</pre>"


def _html(title: str, body: str, *, status: int = 200) -> Response:
    return HTMLResponse(render("space.html", title=title, body=body), status)


ROUTES = [Route("GET", "/spaces/{owner}/{name}", _space)]
