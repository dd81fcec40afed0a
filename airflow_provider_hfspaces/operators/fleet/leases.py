"""Check whether a run has leased a Space before a fleet operator changes it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.http.client import HubClient

__all__ = ["check_lease", "reason_of"]


def check_lease(hook: HfSpacesHook, sender: HubClient, repo_id: str) -> None:
    """Check that no run has leased a Space: one request.

    :raises SpaceLeased: if a run of this or another Airflow has.
    """
    from airflow_provider_hfspaces.hub.http.sequence import execute
    from airflow_provider_hfspaces.hub.lease.actions import check_free
    from airflow_provider_hfspaces.state.leases import Owners, lease_store

    store = lease_store(hook, repo_id)
    execute(check_free(store, Owners().judge, datetime.now(timezone.utc)), sender.send)


def reason_of(error: Exception) -> str | None:
    """The reason to leave a Space alone if the error says that it is leased; ``None`` for other errors."""
    from airflow_provider_hfspaces.hub.lease.actions import SpaceLeased
    from airflow_provider_hfspaces.state.leases import Owners, describe_holder

    return f"leased by {describe_holder(error.holder, Owners())}" if isinstance(error, SpaceLeased) else None
