"""The ``hf_spaces`` connections of this Airflow, and which of them a user may use.

Come here to change how the fleet page finds connections.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from airflow_provider_hfspaces.compat.api_server import may_use_connection
from airflow_provider_hfspaces.compat.config import connections_of_config
from airflow_provider_hfspaces.compat.database import Connection, create_session
from airflow_provider_hfspaces.compat.imports import AirflowNotFoundException
from airflow_provider_hfspaces.compat.server import connection_in_server
from airflow_provider_hfspaces.hooks.connection import (
    CONNECTION_TYPE,
    ConnectionSettings,
    has_lost_its_type,
    token_of,
)
from airflow_provider_hfspaces.hub.checks import InvalidInput

__all__ = ["KnownConnection", "known_connections", "permitted_ids"]

_ENVIRONMENT_PREFIX = "AIRFLOW_CONN_"


@dataclass(frozen=True)
class KnownConnection:
    """A connection that the page shows.

    :ivar endpoint: the address of its Hub; ``None`` if the connection is not valid.
    :ivar namespace: the default owner; ``None`` if it has none.
    :ivar problem: why the connection cannot be used, as a sentence; ``None`` if it can.
    """

    conn_id: str
    endpoint: str | None = None
    namespace: str | None = None
    problem: str | None = None


def known_connections(named: Iterable[str] = ()) -> list[KnownConnection]:
    """Return every connection of type ``hf_spaces`` that Airflow can find, in order of their ids.

    Airflow can list connections in its database and in the environment of this process. A secrets backend
    lists nothing, so a connection in a backend has to be named: by ``[hf_spaces] fleet_connections`` or by a
    DAG.

    :param named: ids that DAGs name. Ids of connections that do not exist are left out.
    """
    with create_session() as session:
        listed = set(
            session.scalars(select(Connection.conn_id).where(Connection.conn_type == CONNECTION_TYPE))
        )
    prefix = _ENVIRONMENT_PREFIX
    listed |= {name[len(prefix) :].lower() for name in os.environ if name.startswith(prefix)}
    configured = set(connections_of_config())
    known = [_known(conn_id, conn_id in configured) for conn_id in listed | configured | set(named)]
    return sorted((each for each in known if each), key=lambda each: each.conn_id.casefold())


def _known(conn_id: str, is_configured: bool) -> KnownConnection | None:
    try:
        connection = connection_in_server(conn_id)
    except AirflowNotFoundException:
        problem = (
            f"Connection {conn_id!r}, which [hf_spaces] fleet_connections names, does not exist. Create it, "
            f"or remove it from the option."
        )
        return KnownConnection(conn_id, problem=problem) if is_configured else None
    except Exception as error:
        # A secrets backend that fails must not hide the page or the other connections.
        problem = f"Connection {conn_id!r} could not be read: {type(error).__name__}."
        return KnownConnection(conn_id, problem=problem) if is_configured else None
    if connection.conn_type != CONNECTION_TYPE and not has_lost_its_type(connection):
        problem = f"Connection {conn_id!r} is not of type 'Hugging Face Spaces'. Change its type."
        return KnownConnection(conn_id, problem=problem) if is_configured else None
    try:
        token_of(connection)
        settings = ConnectionSettings.from_connection(connection)
    except InvalidInput as error:
        return KnownConnection(conn_id, problem=str(error))
    return KnownConnection(conn_id, settings.endpoint, settings.namespace)


def permitted_ids(conn_ids: Iterable[str], user: Any, method: Any = "GET") -> set[str]:
    """Return the connections that a user may read (``GET``) or edit (``PUT``)."""
    return {conn_id for conn_id in conn_ids if may_use_connection(conn_id, user, method)}
