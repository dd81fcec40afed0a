"""Whether another run has leased the Space, whose work a deployment would interrupt."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow_provider_hfspaces.hub.errors import HubUnavailable
from airflow_provider_hfspaces.hub.http.sequence import execute
from airflow_provider_hfspaces.hub.lease.actions import SpaceLeased, check_free
from airflow_provider_hfspaces.hub.lease.record import LeaseHolder, Standing
from airflow_provider_hfspaces.state.leases import LeaseOwner, Owners, describe_holder, lease_store

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook

__all__ = ["refuse_leased"]


def refuse_leased(hook: HfSpacesHook, repo_id: str, context: Context) -> None:
    """Refuse to deploy to a Space that another run has leased. The task's own run may have leased it.

    :raises HubUnavailable: naming the run; a retry may find the Space free.
    """
    me = LeaseOwner.from_task_instance(context["ti"])
    owners = Owners(me)

    def judge(holder: LeaseHolder) -> Standing:
        owner = owners.owner(holder)
        return Standing.OWN if owner is not None and owner.is_same_run(me) else owners.judge(holder)

    try:
        execute(check_free(lease_store(hook, repo_id), judge, datetime.now(timezone.utc)), hook.client.send)
    except SpaceLeased as error:
        holder = describe_holder(error.holder, owners, in_task=True)
        raise HubUnavailable(
            f"Space {repo_id} is leased by {holder}, whose work a deployment would interrupt. Nothing was "
            f"sent. Retry the task when that run is over, or deploy in the same run before the work.",
            repo_id=repo_id,
        ) from None
