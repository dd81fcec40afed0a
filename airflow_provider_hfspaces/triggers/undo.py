"""The undo of a hardware request whose deferred task was killed. Only a kill imports this module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_hfspaces.compat.server import in_thread
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.desired import RestoreRejected, plan_restore, restored_state
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.http.sequence import aexecute
from airflow_provider_hfspaces.hub.lease.actions import LeaseLost, SpaceLeased
from airflow_provider_hfspaces.hub.lease.guard import LeaseGuard
from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
from airflow_provider_hfspaces.state.last_resort import remember_pause
from airflow_provider_hfspaces.state.leases import lease_store, undo_check

__all__ = ["restore_after_kill"]


async def restore_after_kill(hf_spaces_conn_id: str, recorded: Mapping[str, Any], log: Any) -> None:
    """Restore what a killed task recorded, unless another run has leased the Space. Errors are logged.

    :param hf_spaces_conn_id: the connection to the Hub.
    :param recorded: the snapshot, from :meth:`~airflow_provider_hfspaces.hub.snapshot.SpaceSnapshot.to_dict`,
        and under ``lease_holder`` the id under whose lease the request was sent.
    :param log: the trigger's logger.
    """
    snapshot = SpaceSnapshot.from_dict(recorded)
    hook = HfSpacesHook(hf_spaces_conn_id)
    client = await hook.async_client()
    try:
        holder_id = recorded.get("lease_holder")
        check = await undo_check(hook, snapshot.repo_id, holder_id, client.send)
        plan = plan_restore(restored_state(snapshot), is_last_try=True, log=log)
        store = lease_store(hook, snapshot.repo_id)
        guard = LeaseGuard(store, check, holder_id=holder_id, clock=hook.clock)
        await aexecute(guard.run(plan, log), client.send)
    except (SpaceLeased, LeaseLost):
        log.warning(
            "Space %s is left alone after the kill, because another run has leased it.", snapshot.repo_id
        )
    except RestoreRejected as error:
        await in_thread(remember_pause, error)
        log.error("The task was killed. %s", error)
    except (HubError, InvalidInput) as error:
        log.error("The task was killed, and Space %s could not be restored: %s", snapshot.repo_id, error)
    else:
        log.warning("The task was killed: Space %s is restored.", snapshot.repo_id)
    finally:
        await client.aclose()
