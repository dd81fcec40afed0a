"""The page of a Space, for the people who follow a link to it."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse, Response

from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.routes.request import Call, Moved
from airflow_provider_hfspaces.emulator.routes.responses import Refusal
from airflow_provider_hfspaces.emulator.routes.routing import Route

__all__ = ["ROUTES", "STYLE"]

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem; }
dt { opacity: .7; } dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
pre { padding: 1rem; overflow: auto; border: 1px solid color-mix(in srgb, currentColor 25%, transparent); }
"""

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{style}</style>
<h1>{title}</h1>{body}
<p><small>An emulated Hub: nothing here costs money.</small></p></html>
"""


def _space(call: Call) -> Response:
    try:
        space = call.space()
    except Refusal:
        return _html("404", "<p>Sorry, we can't find the page you are looking for.</p>", status=404)
    except Moved as moved:
        return Response(status_code=307, headers={"Location": moved.location})
    return _html(space.repo_id, _facts(space) + _logs(space, call.query.get("logs")))


def _facts(space: Space) -> str:
    view, sleep_time = space.view(), space.sleep_time
    facts = {
        "Stage": view.stage,
        "Hardware": view.hardware or "none",
        "Requested": view.requested or "none",
        "Sleeps": "never" if sleep_time is None else f"after {sleep_time} s",
        "SDK": space.sdk,
        "Visibility": space.visibility,
    }
    if view.error_message:
        facts["Error"] = view.error_message
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    links = '<p><a href="?logs=container">Container log</a> · <a href="?logs=build">Build log</a></p>'
    return f"<dl>{rows}</dl>{links}"


def _logs(space: Space, kind: str | None) -> str:
    logs = {"build": ("Build log", space.build_log), "container": ("Container log", space.run_log)}
    if kind not in logs:
        return ""
    title, log = logs[kind]
    text = "\n".join(line.text for line in log.until(space.now())) or "(nothing yet)"
    return f"<h2>{title}</h2><pre>{escape(text)}</pre>"


def _html(title: str, body: str, *, status: int = 200) -> Response:
    return HTMLResponse(_PAGE.format(title=escape(title), body=body, style=STYLE), status)


ROUTES = [Route("GET", "/spaces/{owner}/{name}", _space)]
