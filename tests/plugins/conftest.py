"""The server of the fleet page as Airflow mounts it, with Airflow's own auth manager and database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.config import has_fleet_page
from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_records import airflow_records, as_server

__all__ = ["airflow_records", "as_server"]

_OF_THE_PAGE = ("in_browser", "leases", "page", "pausing", "releasing", "runs", "spend")
collect_ignore = [] if has_fleet_page() else [f"test_{name}.py" for name in _OF_THE_PAGE]


class Page:
    """A browser in which a user is logged in, or no user."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def log_in(self, role: str | None) -> Page:
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        self.client.cookies.clear()
        if role:
            user = SimpleAuthManagerUser(username=role.lower(), role=role)
            self.client.cookies.set("_token", get_auth_manager().generate_jwt(user))
        return self

    def get(self, path: str) -> Any:
        return self.client.get(f"/hf_spaces/{path}")

    def fleet(self, conn_id: str = "hf_spaces_default") -> Any:
        answer = self.client.get("/hf_spaces/api/fleet", params={"connection_id": conn_id})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def connections(self) -> dict[str, Any]:
        answer = self.get("api/connections")
        assert answer.status_code == 200, answer.text
        return {each["conn_id"]: each for each in answer.json()["connections"]}

    def leases(self, conn_id: str = "hf_spaces_default") -> dict[str, dict[str, Any]]:
        answer = self.client.get("/hf_spaces/api/leases", params={"connection_id": conn_id})
        assert answer.status_code == 200, answer.text
        return {each["repo_id"]: each for each in answer.json()["leases"]}

    def spend(self, conn_id: str = "hf_spaces_default") -> dict[str, dict[str, Any]]:
        answer = self.client.get("/hf_spaces/api/spend", params={"connection_id": conn_id})
        assert answer.status_code == 200, answer.text
        return {each["owner"]: each for each in answer.json()["spend"]}

    def pause(self, repo_id: str, conn_id: str = "hf_spaces_default", **headers: str) -> Any:
        return self._change("pause", repo_id, conn_id, headers)

    def release(self, repo_id: str, conn_id: str = "hf_spaces_default", **headers: str) -> Any:
        return self._change("release", repo_id, conn_id, headers)

    def _change(self, action: str, repo_id: str, conn_id: str, headers: dict[str, str]) -> Any:
        return self.client.post(
            f"/hf_spaces/api/{action}",
            params={"connection_id": conn_id},
            json={"repo_id": repo_id},
            headers={"X-HF-Spaces-Page": "1", **headers},
        )


@pytest.fixture
def page(airflow_db: None, as_server: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """The page, seen by an administrator. Its values do not expire, however slow the machine is."""
    from airflow.api_fastapi.app import init_auth_manager, purge_cached_app
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from airflow_provider_hfspaces.plugins import app
    from airflow_provider_hfspaces.plugins.cache import Cache
    from airflow_provider_hfspaces.plugins.plugin import HfSpacesPlugin

    monkeypatch.setattr(app, "Cache", partial(Cache, clock=lambda: 0.0))
    airflow = FastAPI()
    for each in HfSpacesPlugin().fastapi_apps:
        airflow.mount(each["url_prefix"], each["app"])
    init_auth_manager(airflow)
    with TestClient(airflow) as client:
        yield Page(client).log_in("ADMIN")
    purge_cached_app()


@pytest.fixture
def store_connection(airflow_db: None) -> Iterator[Any]:
    """Stores connections in Airflow's database: ``store_connection("id", hub, namespace="acme")``."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    conn_ids = []

    def store(conn_id: str, hub: HubEmulator | str, token: str | None = None, **extra: Any) -> None:
        host, password = (hub, token) if isinstance(hub, str) else (hub.url, token or hub.token)
        with create_session() as session:
            session.add(
                Connection(
                    conn_id=conn_id,
                    conn_type="hf_spaces",
                    host=host,
                    password=password,
                    extra=json.dumps(extra) if extra else None,
                )
            )
        conn_ids.append(conn_id)

    yield store
    with create_session() as session:
        session.execute(delete(Connection).where(Connection.conn_id.in_(conn_ids)))
