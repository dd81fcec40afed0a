"""The emulated Hub as an ASGI application."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from airflow_provider_hfspaces.emulator.answers import Refusal
from airflow_provider_hfspaces.emulator.control_api import control_routes
from airflow_provider_hfspaces.emulator.gate import Gate
from airflow_provider_hfspaces.emulator.hub_api import hub_routes
from airflow_provider_hfspaces.emulator.logs_api import log_routes
from airflow_provider_hfspaces.emulator.pages import page_routes
from airflow_provider_hfspaces.emulator.spaces_api import Moved, space_routes
from airflow_provider_hfspaces.emulator.world import World

__all__ = ["make_app"]


def make_app(world: World) -> ASGIApp:
    """The application that serves a world."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, (Refusal, Moved))
        return error.response()

    async def unknown(request: Request, error: Exception) -> Response:
        return Refusal(404, "Sorry, we can't find the page you are looking for.").response()

    app = Starlette(
        routes=[
            *space_routes(world)[:1],
            *hub_routes(world),
            *log_routes(world),
            *space_routes(world)[1:],
            *page_routes(world),
            *control_routes(world),
        ],
        exception_handlers={Refusal: refused, Moved: refused, 404: unknown, 405: unknown},
    )
    return Gate(app, world)
