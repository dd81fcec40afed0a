"""The state of a Space before a restore that could only pause it, for the next run to restore.

A lease keeps that state in its own record. Without a lease it is in an Airflow Variable,
``hf_spaces_paused-`` and the Space, until the next run records the Space.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.server import delete_variable, get_variable, set_variable
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.snapshot import NEVER_SLEEP, Activity, SpaceSnapshot
from airflow_provider_hfspaces.hub.stages import SpaceStage
from airflow_provider_hfspaces.state.variables import unique_variable_name

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.desired import RestoreRejected
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = ["forget_pause", "remember_pause", "state_before_pause"]

log = logging.getLogger(__name__)

_DESCRIPTION = "Kept by airflow-provider-hfspaces: the state of a Space that the next run restores."


def remember_pause(error: RestoreRejected) -> None:
    """Keep the state that the Hub rejected, if the Space was paused instead and no lease keeps its state.

    A failure to write the Variable is only logged, because the caller raises or logs the error itself.
    """

    desired, runtime = error.desired, error.runtime
    if desired is None or runtime is None or runtime.stage != SpaceStage.PAUSED:
        return
    stage = SpaceStage.SLEEPING if desired.cost_nothing else SpaceStage.RUNNING
    snapshot = SpaceSnapshot(
        desired.repo_id,
        (SpaceStage.PAUSED if desired.activity is Activity.PAUSED else stage).value,
        desired.hardware,
        None if desired.sleep_time == NEVER_SLEEP else desired.sleep_time,
        desired.replicas,
        taken_at=datetime.now(timezone.utc).isoformat(),
    )
    value = {"paused_on": runtime.configured_hardware, "before": snapshot.to_dict()}
    try:
        set_variable(_variable(desired.repo_id), value, _DESCRIPTION)
    except Exception as problem:
        log.warning(
            "Space %s: its state before the pause could not be kept for the next run: %s",
            desired.repo_id,
            problem,
        )


def state_before_pause(repo_id: str, runtime: SpaceRuntime) -> SpaceSnapshot | None:
    """Return the state that :func:`remember_pause` kept, if the Space is still paused on the same hardware.

    The Variable is read only for a Space that is paused.
    """

    if runtime.stage != SpaceStage.PAUSED:
        return None
    value = get_variable(_variable(repo_id))
    if not isinstance(value, Mapping) or value.get("paused_on") != runtime.configured_hardware:
        return None
    try:
        snapshot = SpaceSnapshot.from_dict(value.get("before"))
    except InvalidInput as error:
        log.warning("The Airflow Variable %r is ignored: %s", _variable(repo_id), error)
        return None
    return snapshot if snapshot is not None and snapshot.is_of(repo_id) else None


def forget_pause(repo_id: str) -> None:
    """Delete the state, because a run has recorded it as the state to restore."""

    delete_variable(_variable(repo_id))


def _variable(repo_id: str) -> Any:
    return unique_variable_name("hf_spaces_paused", repo_id.lower())
