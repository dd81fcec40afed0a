"""The plans that the notifiers execute: pause a Space, or restore it, and log the reason.

Come here to change when a notifier leaves a Space alone.
"""

from __future__ import annotations

from typing import Any, TypeVar

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.desired import (
    describe,
    plan_pause,
    plan_restore,
    restored_state,
)
from airflow_provider_hfspaces.hub.http.sequence import Steps
from airflow_provider_hfspaces.hub.lease.actions import SpaceLeased
from airflow_provider_hfspaces.hub.snapshot import fallback_snapshot
from airflow_provider_hfspaces.hub.stages import SpaceStage
from airflow_provider_hfspaces.notifications.recorded import RecordedState

__all__ = ["pause_and_log", "restore_and_log"]

T = TypeVar("T")


def pause_and_log(repo_id: str, lease: RecordedState, reason: str, log: Any) -> Steps[None]:
    """Pause a Space, unless it is already paused, is static, or is leased by another run."""
    if lease.leased_by:
        _log_leased(repo_id, lease.leased_by, log)
        return
    before = yield calls.get_runtime(repo_id)
    if before.is_static:
        log.info("Space %s is static and costs nothing: there is nothing to pause.", repo_id)
    elif before.stage == SpaceStage.PAUSED:
        log.info("Space %s is already paused.", repo_id)
    else:
        try:
            after = yield from _under_lease(lease, plan_pause(repo_id, before), log)
        except SpaceLeased:
            log.warning("Space %s was leased by another run just now. Nothing was changed.", repo_id)
            return
        log.info("Space %s was %s and is %s now, because %s.", repo_id, describe(before), after.stage, reason)


def _under_lease(lease: RecordedState, plan: Steps[T], log: Any) -> Steps[T]:
    """Execute a plan that stops before a request if another run has leased the Space."""
    return (yield from plan) if lease.guard is None else (yield from lease.guard.run(plan, log))


def _log_leased(repo_id: str, leased_by: str, log: Any) -> None:
    log.warning(
        "Space %s is leased by %s, which restores it afterwards. Nothing was changed.", repo_id, leased_by
    )


def restore_and_log(
    repo_id: str, recorded: RecordedState, fallback: str, reason: str, log: Any
) -> Steps[None]:
    """Restore a Space, or move it to the fallback if nothing was recorded about it."""
    if recorded.leased_by:
        _log_leased(repo_id, recorded.leased_by, log)
        return
    before = yield calls.get_runtime(repo_id)
    if before.is_static:
        log.info("Space %s is static: there is no hardware to restore.", repo_id)
        return
    if recorded.raises_cost(before):
        log.warning(
            "Space %s is on %s and stays there: %s, which %s recorded, costs more.",
            repo_id,
            before.configured_hardware,
            recorded.snapshot.hardware if recorded.snapshot else None,
            recorded.source,
        )
        return
    snapshot, source = recorded.snapshot, recorded.source
    if snapshot is None:
        snapshot = fallback_snapshot(repo_id, before, fallback)
        source = "the fallback, because no task of this run recorded the Space"
    desired = restored_state(snapshot)
    plan = plan_restore(desired, before, fallback=fallback, is_last_try=True, log=log)
    try:
        after = yield from _under_lease(recorded, plan, log)
    except SpaceLeased:
        log.warning("Space %s was leased by another run just now. Nothing was changed.", repo_id)
        return
    if after is before:
        log.info("Space %s is %s, as before the run. There is nothing to restore.", repo_id, describe(after))
        return
    log.info(
        "Space %s was restored to %s%s (according to %s), because %s. The Space was %s and is %s.",
        repo_id,
        desired.hardware,
        ", paused" if after.stage == SpaceStage.PAUSED else "",
        source,
        reason,
        describe(before),
        describe(after),
    )
