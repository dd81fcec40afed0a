"""Users and permissions in Airflow's API server, which the fleet page is part of.

Come here when a new Airflow changes how a page of a plugin knows its user. Only the API server imports this
module.
"""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_connection
from airflow.api_fastapi.logging.decorators import action_logging

from airflow_provider_hfspaces.compat.server import team_of_connection

__all__ = [
    "GetUserDep",
    "action_logging",
    "may_use_connection",
    "readable_dags",
    "requires_access_connection",
]


def may_use_connection(conn_id: str, user: Any, method: Any) -> bool:
    """Return whether a user may read (``GET``) or edit (``PUT``) a connection."""
    team = team_of_connection(conn_id)
    details = ConnectionDetails(conn_id=conn_id, **({"team_name": team} if team else {}))
    return bool(get_auth_manager().is_authorized_connection(method=method, details=details, user=user))


def readable_dags(user: Any) -> set[str]:
    """Return the ids of the DAGs that a user may read."""
    return get_auth_manager().get_authorized_dag_ids(user=user, method="GET")
