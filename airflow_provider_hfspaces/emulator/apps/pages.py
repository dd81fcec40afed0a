"""The pages by which the Hub's edge answers in place of an app."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.hub.stages import ERROR_STAGES, SpaceStage

__all__ = ["error_page", "not_found_page", "placeholder_page"]

_TITLES = {
    404: "404 Not Found",
    500: "500 Internal Server Error",
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
    504: "504 Gateway Time-out",
}
_IN_ERROR = "Your space is in error, check its status on hf.co"


def error_page(status: int) -> Response:
    """The error page of the edge, such as the 502 for an app that does not serve."""
    title = _TITLES.get(status, f"{status} Error")
    body = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>"
    return HTMLResponse(body, status)


def not_found_page() -> Response:
    """The 404 for an address without a Space, and for a private Space without a token that may read it."""
    return HTMLResponse(
        "<!doctype html><html><head><title>404 - Hugging Face</title></head>"
        "<body><h1>404</h1><p>Sorry, we can't find the page you are looking for.</p></body></html>",
        404,
    )


def placeholder_page(space: Space, status: int) -> Response:
    """The page of a Space whose app does not run.

    :param status: status for a sleeping or starting Space; all others get a 503.
    """
    if space.stage in ERROR_STAGES:
        return PlainTextResponse(_IN_ERROR, 503)
    if space.stage == SpaceStage.PAUSED:
        return _page(space.repo_id, "This Space has been paused by its owner.", 503)
    return _page(space.repo_id, "Preparing Space", status)


def _page(title: str, text: str, status: int) -> Response:
    head = f"<!doctype html><html><head><title>{escape(title)}</title></head>"
    return HTMLResponse(f"{head}<body><h1>{escape(text)}</h1></body></html>", status)
