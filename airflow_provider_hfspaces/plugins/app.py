"""The fleet page's server, inside Airflow's API server and behind Airflow's own login and permissions.

Who may read a connection (``GET``) sees its fleet; who may edit it (``PUT``) can pause its Spaces, since
editing it already lets him do anything that its token may do. DAG runs are shown to those who may read the
DAG. The token never leaves the server.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_connection
from airflow.api_fastapi.logging.decorators import action_logging
from fastapi import APIRouter, Body, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from airflow_provider_hfspaces.compat.imports import AirflowNotFoundException
from airflow_provider_hfspaces.compat.server import connection_in_server
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.plugins.cache import Cache, TooSlow
from airflow_provider_hfspaces.plugins.connections import (
    CONN_TYPE,
    Known,
    known_connections,
    permitted,
)
from airflow_provider_hfspaces.plugins.fleet import Fleets, NotInFleet
from airflow_provider_hfspaces.plugins.runs import TaskFinder, runs_of

__all__ = ["make_app"]

_PAGE = Path(__file__).parent / "page"
_MARK = "x-hf-spaces-page"
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class _Readings:
    """What the page reads, and for how many seconds each is kept."""

    def __init__(self) -> None:
        self.fleets = Fleets()
        self.finder = TaskFinder()
        self.of_hub = Cache(keep=5, patience=20)
        self.of_database = Cache(keep=10, patience=20)

    async def tasks(self) -> list[Any]:
        return await self.of_database.get("tasks", self.finder.tasks)

    async def connections(self) -> list[Known]:
        named = {task.conn_id for task in await self.tasks() if task.conn_id}
        return await self.of_database.get("connections", lambda: known_connections(named))

    async def connection(self, conn_id: str) -> Any:
        """A connection of our type.

        :raises HTTPException: 404 if there is none.
        """
        try:
            connection = await self.of_database.get(
                ("connection", conn_id), lambda: connection_in_server(conn_id)
            )
        except AirflowNotFoundException:
            connection = None
        if connection is None or connection.conn_type != CONN_TYPE:
            raise HTTPException(
                404, f"There is no connection {conn_id!r} of the type 'Hugging Face Spaces'."
            ) from None
        return connection

    async def fleet(self, connection: Any) -> dict[str, Any]:
        """The fleet of a connection, or what is wrong as ``problem``."""
        try:
            return await self.of_hub.get(connection.conn_id, lambda: self.fleets.read(connection))
        except TooSlow as error:
            return {"problem": f"The Hub is slow: {error}. The page asks again by itself."}
        except (HubError, InvalidInput) as error:
            return {"problem": str(error)}


def _from_the_page(request: Request) -> None:
    """Refuse what another site has the browser send.

    Airflow's cookie is ``SameSite=Lax`` already; a header of our own besides makes a browser ask first
    where a request comes from elsewhere, and nobody says yes to that.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    if _MARK not in request.headers or site not in ("same-origin", "none"):
        raise HTTPException(403, "This request did not come from the page.")


def _router(readings: _Readings) -> APIRouter:
    router = APIRouter()

    @router.get("/", include_in_schema=False)
    async def page(user: GetUserDep) -> FileResponse:
        """The page itself, which holds no data."""
        return FileResponse(_PAGE / "index.html", headers=_HEADERS)

    @router.get("/api/connections", dependencies=[Depends(requires_access_connection("GET"))])
    async def connections(user: GetUserDep) -> dict[str, Any]:
        """The connections that the user may read."""
        known = await readings.connections()
        ids = [each.conn_id for each in known]
        readable = await asyncio.to_thread(permitted, ids, user)
        editable = await asyncio.to_thread(permitted, readable, user, "PUT")
        return {
            "connections": [
                {
                    "conn_id": each.conn_id,
                    "endpoint": each.endpoint,
                    "problem": each.problem,
                    "may_pause": each.conn_id in editable,
                }
                for each in known
                if each.conn_id in readable
            ]
        }

    @router.get("/api/fleet/{connection_id:path}", dependencies=[Depends(requires_access_connection("GET"))])
    async def fleet(connection_id: str) -> dict[str, Any]:
        """One connection's Spaces, or the sentence why there are none."""
        return await readings.fleet(await readings.connection(connection_id))

    @router.get("/api/runs", dependencies=[Depends(requires_access_connection("GET"))])
    async def runs(user: GetUserDep) -> dict[str, Any]:
        """The DAG runs that touch Spaces, of DAGs that the user may read."""
        known = await readings.connections()
        tasks = await readings.tasks()

        def read() -> list[dict[str, Any]]:
            readable = permitted([each.conn_id for each in known], user)
            dags = get_auth_manager().get_authorized_dag_ids(user=user, method="GET")
            return runs_of(tasks, [each for each in known if each.conn_id in readable], dags)

        return {"runs": await asyncio.to_thread(read)}

    @router.post(
        "/api/pause/{connection_id:path}",
        dependencies=[
            Depends(_from_the_page),
            Depends(requires_access_connection("PUT")),
            Depends(action_logging("hf_spaces.pause")),
        ],
    )
    async def pause(connection_id: str, repo_id: Annotated[str, Body(embed=True)]) -> dict[str, Any]:
        """Pause a Space, which then costs nothing."""
        connection = await readings.connection(connection_id)
        shown = await readings.fleet(connection)
        if "problem" in shown:
            raise HTTPException(502, shown["problem"])
        key = ("pause", connection_id, repo_id)
        try:
            row = await readings.of_hub.get(key, lambda: readings.fleets.pause(connection, repo_id, shown))
        except NotInFleet as error:
            raise HTTPException(404, str(error)) from None
        except InvalidInput as error:
            raise HTTPException(400, str(error)) from None
        except HubError as error:
            raise HTTPException(502, str(error)) from None
        except TooSlow as error:
            raise HTTPException(504, f"Whether Space {repo_id} is paused is not known: {error}.") from None
        finally:
            readings.of_hub.forget(connection_id)
            readings.of_hub.forget(key)
        return {"space": row}

    return router


def make_app() -> FastAPI:
    """The application that Airflow mounts under ``/hf_spaces``."""
    app = FastAPI(title="Hugging Face Spaces", docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def keep_to_itself(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        for name, value in _HEADERS.items():
            if name != "Cache-Control" or "/api/" in request.url.path:
                response.headers.setdefault(name, value)
        return response

    app.include_router(_router(_Readings()))
    app.mount("/static", StaticFiles(directory=_PAGE), name="static")
    return app
