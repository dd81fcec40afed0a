"""The server of the fleet page, inside Airflow's API server and behind its login and permissions.

Users who may read a connection (``GET``) see its fleet. Users who may edit it (``PUT``) can pause its Spaces:
editing a connection already allows them everything that its token allows. DAG runs are shown to users who
may read the DAG. The token never leaves the server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from airflow_provider_hfspaces.compat.api_server import (
    GetUserDep,
    action_logging,
    readable_dags,
    requires_access_connection,
)
from airflow_provider_hfspaces.compat.imports import AirflowNotFoundException
from airflow_provider_hfspaces.compat.server import connection_in_server
from airflow_provider_hfspaces.hooks.connection import CONNECTION_TYPE
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.lease.actions import LeaseLost, SpaceLeased
from airflow_provider_hfspaces.plugins.cache import Cache, TooSlow
from airflow_provider_hfspaces.plugins.columns import columns_for_page
from airflow_provider_hfspaces.plugins.connections import KnownConnection, known_connections, permitted_ids
from airflow_provider_hfspaces.plugins.fleet import FleetReader, NotInFleet, refuse_outside
from airflow_provider_hfspaces.plugins.leases import (
    LeaseReader,
    leases_for_user,
    leases_of_fleet,
    release,
)
from airflow_provider_hfspaces.plugins.runs import TaskFinder, runs_of
from airflow_provider_hfspaces.plugins.spend import SpendReader
from airflow_provider_hfspaces.state.release import NotLeased

__all__ = ["make_app"]

_log = logging.getLogger(__name__)

_PAGE = Path(__file__).parent / "page"
_OWN_HEADER = "x-hf-spaces-page"
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

ConnectionId = Annotated[str, Query(max_length=250)]
"""The id of a connection. It is a parameter, and not part of the path, because ``..`` is a valid id."""


class _Readings:
    """What the page reads, and for how many seconds each value is kept."""

    def __init__(self) -> None:
        self.fleets = FleetReader()
        self.leases = LeaseReader()
        self.spend = SpendReader()
        self.finder = TaskFinder()
        self.of_hub = Cache(keep=5, patience=20)
        self.of_database = Cache(keep=10, patience=20)

    async def tasks(self) -> list[Any]:
        return await self.of_database.get("tasks", self.finder.tasks)

    async def connections(self) -> list[KnownConnection]:
        named = {task.conn_id for task in await self.tasks() if task.conn_id}
        return await self.of_database.get("connections", lambda: known_connections(named))

    async def connection(self, conn_id: str) -> Any:
        """Return a connection of type ``hf_spaces``.

        :raises HTTPException: 404 if it does not exist.
        """
        try:
            connection = await self.of_database.get(
                ("connection", conn_id), lambda: connection_in_server(conn_id)
            )
        except AirflowNotFoundException:
            connection = None
        if connection is None or connection.conn_type != CONNECTION_TYPE:
            raise HTTPException(
                404, f"Connection {conn_id!r} of type 'Hugging Face Spaces' does not exist."
            ) from None
        return connection

    async def fleet(self, connection: Any) -> dict[str, Any]:
        """Return the fleet of a connection, or why it cannot be read as ``problem``."""
        try:
            return await self.of_hub.get(connection.conn_id, lambda: self.fleets.read(connection))
        except TooSlow as error:
            return {"problem": f"The Hub is slow: {error}. The page tries again by itself."}
        except (HubError, InvalidInput) as error:
            return {"problem": str(error)}
        except Exception as error:
            # A malformed answer about one connection must not break the page for the others.
            _log.exception("The fleet of connection %r could not be read.", connection.conn_id)
            return {
                "problem": f"The fleet of connection {connection.conn_id!r} could not be read: "
                f"{type(error).__name__}. The log of Airflow's API server has the details."
            }

    async def fleet_with(self, conn_id: str, repo_id: str) -> tuple[Any, dict[str, Any]]:
        """Return a connection and its fleet, before a Space of the fleet is changed.

        :raises HTTPException: 404 without such a connection or Space, 502 if the fleet cannot be read.
        """
        connection = await self.connection(conn_id)
        fleet = await self.fleet(connection)
        if "problem" in fleet:
            raise HTTPException(502, fleet["problem"])
        with _answering(f"Space {repo_id} was not changed"):
            refuse_outside(fleet, repo_id, conn_id)
        return connection, fleet

    async def leased(self, connection: Any) -> list[dict[str, Any]]:
        """Return who has leased which Space; an empty list if that cannot be read."""
        fleet = await self.fleet(connection)
        if "problem" in fleet:
            return []

        def read() -> list[dict[str, Any]]:
            holders = self.leases.read(connection, fleet)
            return leases_of_fleet(holders, fleet, self.fleets.prices(fleet["endpoint"]))

        try:
            leases: list[dict[str, Any]] = await self.of_hub.get(("leases", connection.conn_id), read)
        except Exception as error:
            _log.warning("The leases of connection %r could not be read: %s", connection.conn_id, error)
            return []
        return leases

    async def spent(self, connection: Any) -> list[dict[str, Any]]:
        """Return what the owners have spent this month; an empty list if that cannot be read."""
        fleet = await self.fleet(connection)
        if "problem" in fleet:
            return []
        try:
            amounts: list[dict[str, Any]] = await self.of_hub.get(
                ("spend", connection.conn_id), lambda: self.spend.read(connection, fleet["owners"])
            )
        except Exception as error:
            _log.warning("The spend of connection %r could not be read: %s", connection.conn_id, error)
            return []
        return amounts


@contextmanager
def _answering(doubt: str) -> Iterator[None]:
    """Turn the error of a change of a Space into the answer for the page.

    :param doubt: what is not known after a change that takes too long.
    """
    try:
        yield
    except NotInFleet as error:
        raise HTTPException(404, str(error)) from None
    except InvalidInput as error:
        raise HTTPException(400, str(error)) from None
    except HubError as error:
        raise HTTPException(502, str(error)) from None
    except TooSlow as error:
        raise HTTPException(504, f"{doubt}: {error}. Look again in a minute.") from None


def _may(method: Any) -> Callable[..., None]:
    """Return a dependency that refuses users who may not use the connection in this way."""

    def check(connection_id: ConnectionId, user: GetUserDep) -> None:
        if connection_id not in permitted_ids([connection_id], user, method):
            raise HTTPException(403, "Forbidden")

    return check


def _sent_by_the_page(request: Request) -> None:
    """Refuse a request that another site makes the browser send.

    Airflow's cookie is ``SameSite=Lax`` already. A header of our own makes a browser ask for permission
    first if the request comes from another site, and this server never gives it.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    if _OWN_HEADER not in request.headers or site not in ("same-origin", "none"):
        raise HTTPException(
            403, "This request did not come from the fleet page. Reload the page and try again."
        )


def _router(readings: _Readings) -> APIRouter:
    router = APIRouter()

    @router.get("/", include_in_schema=False)
    async def page(user: GetUserDep) -> FileResponse:
        """Return the page itself, which holds no data."""
        return FileResponse(_PAGE / "index.html", headers=_HEADERS)

    @router.get("/api/connections", dependencies=[Depends(requires_access_connection("GET"))])
    async def connections(user: GetUserDep) -> dict[str, Any]:
        """Return the columns of the page, and the connections that the user may read."""
        known = await readings.connections()
        ids = [each.conn_id for each in known]
        readable = await asyncio.to_thread(permitted_ids, ids, user)
        editable = await asyncio.to_thread(permitted_ids, readable, user, "PUT")
        return {
            "columns": columns_for_page(),
            "connections": [
                {
                    "conn_id": each.conn_id,
                    "endpoint": each.endpoint,
                    "problem": each.problem,
                    "may_pause": each.conn_id in editable,
                }
                for each in known
                if each.conn_id in readable
            ],
        }

    @router.get("/api/fleet", dependencies=[Depends(_may("GET"))])
    async def fleet(connection_id: ConnectionId) -> dict[str, Any]:
        """Return the Spaces of one connection, or why they cannot be read."""
        return await readings.fleet(await readings.connection(connection_id))

    @router.get("/api/leases", dependencies=[Depends(_may("GET"))])
    async def leases(connection_id: ConnectionId, user: GetUserDep) -> dict[str, Any]:
        """Return who has leased the Spaces of one connection. Only runs that the user may read are named."""
        leased = await readings.leased(await readings.connection(connection_id))

        def name_runs() -> list[dict[str, Any]]:
            return leases_for_user(leased, readable_dags(user))

        return {"leases": await asyncio.to_thread(name_runs) if leased else []}

    @router.get("/api/spend", dependencies=[Depends(_may("GET"))])
    async def spend(connection_id: ConnectionId) -> dict[str, Any]:
        """Return what the owners of one connection's Spaces have spent this month, and their budgets."""
        return {"spend": await readings.spent(await readings.connection(connection_id))}

    @router.get("/api/runs", dependencies=[Depends(requires_access_connection("GET"))])
    async def runs(user: GetUserDep) -> dict[str, Any]:
        """Return the DAG runs that work on Spaces, of DAGs that the user may read."""
        known = await readings.connections()
        tasks = await readings.tasks()

        def read() -> list[dict[str, Any]]:
            readable = permitted_ids([each.conn_id for each in known], user)
            dags = readable_dags(user)
            return runs_of(tasks, [each for each in known if each.conn_id in readable], dags)

        return {"runs": await asyncio.to_thread(read)}

    @router.post(
        "/api/pause",
        dependencies=[
            Depends(_sent_by_the_page),
            Depends(_may("PUT")),
            Depends(action_logging("hf_spaces.pause")),
        ],
    )
    async def pause(connection_id: ConnectionId, repo_id: Annotated[str, Body(embed=True)]) -> dict[str, Any]:
        """Pause a Space, which then costs nothing, and return its new row."""
        connection, fleet = await readings.fleet_with(connection_id, repo_id)
        key = ("pause", connection_id, repo_id)
        with _answering(f"Space {repo_id} may or may not be paused"):
            try:
                row = await readings.of_hub.get(
                    key, lambda: readings.fleets.pause(connection, repo_id, fleet)
                )
            finally:
                readings.of_hub.forget(key)
                readings.of_hub.forget(connection_id)
        return {"space": row}

    @router.post(
        "/api/release",
        dependencies=[
            Depends(_sent_by_the_page),
            Depends(_may("PUT")),
            Depends(action_logging("hf_spaces.release")),
        ],
    )
    async def release_space(
        connection_id: ConnectionId, repo_id: Annotated[str, Body(embed=True)]
    ) -> dict[str, Any]:
        """Restore a Space whose lease no run gives back any more, and end the lease."""
        connection, _ = await readings.fleet_with(connection_id, repo_id)
        key = ("release", connection_id, repo_id)
        with _answering(f"Space {repo_id} may or may not be restored"):
            try:
                released = await readings.of_hub.get(key, lambda: release(connection, repo_id))
            except (NotLeased, SpaceLeased, LeaseLost) as error:
                raise HTTPException(409, _not_released(repo_id, error)) from None
            finally:
                readings.of_hub.forget(key)
                readings.of_hub.forget(connection_id)
                readings.of_hub.forget(("leases", connection_id))
                readings.leases.forget(repo_id)
        return {"released": released}

    return router


def _not_released(repo_id: str, error: Exception) -> str:
    """Return why a lease was not released, without the run's name: not every user may read its DAG."""
    if isinstance(error, NotLeased):
        return str(error)
    if isinstance(error, SpaceLeased):
        return (
            f"Space {repo_id}: the run that has leased it is alive, or belongs to another Airflow, and "
            f"restores it itself. Nothing was changed. End that run to release the Space."
        )
    return f"Space {repo_id}: another run took its lease during the release, and restores the Space itself."


def make_app() -> FastAPI:
    """Return the application that Airflow mounts under ``/hf_spaces``."""
    app = FastAPI(title="Hugging Face Spaces", docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def add_headers(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        for name, value in _HEADERS.items():
            if name != "Cache-Control" or "/api/" in request.url.path:
                response.headers.setdefault(name, value)
        return response

    app.include_router(_router(_Readings()))
    app.mount("/static", StaticFiles(directory=_PAGE), name="static")
    return app
