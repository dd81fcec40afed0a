"""Finds the token of a command: in an Airflow connection, or in the environment.

Come here to change which connection or environment variable a command uses by default.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_hfspaces.cli.output import UsageError

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook

__all__ = ["open_hook"]

_DEFAULT_CONN_ID = "hf_spaces_default"


@dataclass(frozen=True)
class _EnvironmentConnection:
    """The token and the endpoint of the environment, in the form of an Airflow connection."""

    password: str = field(repr=False)
    host: str | None
    conn_id: str = "HF_TOKEN"
    conn_type: str = "hf_spaces"
    login: str | None = None
    schema: str | None = None
    port: int | None = None
    extra: str | None = None


def open_hook(conn_id: str | None) -> HfSpacesHook:
    """Return the hook of a command. A token in the environment works without Airflow's database.

    :param conn_id: the connection; ``None`` for the environment variables ``HF_TOKEN`` and ``HF_ENDPOINT``,
        or without them for the connection ``hf_spaces_default``.
    :raises UsageError: if the connection does not exist.
    """
    from airflow_provider_hfspaces.compat.imports import AirflowNotFoundException
    from airflow_provider_hfspaces.compat.server import connection_in_server
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook

    token = os.environ.get("HF_TOKEN", "").strip()
    if conn_id is None and token:
        return HfSpacesHook.from_connection(_EnvironmentConnection(token, os.environ.get("HF_ENDPOINT")))
    try:
        connection = connection_in_server(conn_id or _DEFAULT_CONN_ID)
    except AirflowNotFoundException:
        raise UsageError(
            f"Connection {conn_id or _DEFAULT_CONN_ID!r} does not exist in this Airflow. "
            + (
                "Check --conn-id."
                if conn_id
                else "Set --conn-id to an existing connection, or HF_TOKEN to a token."
            )
        ) from None
    return HfSpacesHook.from_connection(connection)
