"""Which ``hf_spaces`` connections there are, and which of them a user may see."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails
from airflow.models.connection import Connection
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_hfspaces.compat.config import connections_of_config
from airflow_provider_hfspaces.compat.imports import AirflowNotFoundException
from airflow_provider_hfspaces.compat.server import connection_in_server, team_of_connection
from airflow_provider_hfspaces.hooks.connection import ConnectionSettings
from airflow_provider_hfspaces.hub.checks import InvalidInput

__all__ = ["CONN_TYPE", "Known", "known_connections", "permitted"]

CONN_TYPE = "hf_spaces"
_VARIABLE = "AIRFLOW_CONN_"


@dataclass(frozen=True)
class Known:
    """A connection that the page has heard of.

    :ivar problem: why it cannot be used, as a sentence.
    """

    conn_id: str
    endpoint: str | None = None
    namespace: str | None = None
    problem: str | None = None


def known_connections(named: Iterable[str] = ()) -> list[Known]:
    """All of the type ``hf_spaces`` that can be found, by name.

    Those in the database and in this process's environment are listed; a secrets backend lists nothing,
    so that what is in one has to be named: by ``[hf_spaces] fleet_connections``, or by a DAG.

    :param named: ids that DAGs name; one that there is not is left out.
    """
    with create_session() as session:
        listed = set(session.scalars(select(Connection.conn_id).where(Connection.conn_type == CONN_TYPE)))
    listed |= {name[len(_VARIABLE) :].lower() for name in os.environ if name.startswith(_VARIABLE)}
    configured = set(connections_of_config())
    found = [_known(conn_id, conn_id in configured) for conn_id in listed | configured | set(named)]
    return sorted((each for each in found if each), key=lambda each: each.conn_id.casefold())


def _known(conn_id: str, asked_for: bool) -> Known | None:
    try:
        connection = connection_in_server(conn_id)
    except AirflowNotFoundException:
        problem = f"[hf_spaces] fleet_connections names {conn_id!r}, but there is no such connection."
        return Known(conn_id, problem=problem) if asked_for else None
    except Exception as error:
        # A secrets backend that fails takes neither the page nor the other connections with it.
        problem = f"The connection {conn_id!r} could not be read: {type(error).__name__}."
        return Known(conn_id, problem=problem) if asked_for else None
    if connection.conn_type != CONN_TYPE:
        problem = f"The connection {conn_id!r} is not of the type 'Hugging Face Spaces'."
        return Known(conn_id, problem=problem) if asked_for else None
    try:
        settings = ConnectionSettings.from_connection(connection)
    except InvalidInput as error:
        return Known(conn_id, problem=str(error))
    return Known(conn_id, settings.endpoint, settings.namespace)


def permitted(conn_ids: Iterable[str], user: Any, method: Any = "GET") -> set[str]:
    """Those of some connections that a user may read (``GET``) or edit (``PUT``)."""
    return {conn_id for conn_id in conn_ids if _is_permitted(conn_id, user, method)}


def _is_permitted(conn_id: str, user: Any, method: Any) -> bool:
    team = team_of_connection(conn_id)
    details = ConnectionDetails(conn_id=conn_id, **({"team_name": team} if team else {}))
    return bool(get_auth_manager().is_authorized_connection(method=method, details=details, user=user))
