"""What the tasks of a run recorded about a Space, and which task recorded it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_hfspaces.state.retry_store import retry_store

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

__all__ = ["LEASE", "PREVIOUS", "RESTORED", "first_snapshot", "in_own_group", "restoring_tasks"]

PREVIOUS = "previous"
"""The key of what was there before, as an XCom and in the retry store."""

LEASE = "lease"
"""The key of the XCom in which a SnapshotSpaceOperator says that it has leased the Space."""

RESTORED = "restored"
"""The key of the XCom in which a RestoreHardwareOperator says what it has put back."""


def first_snapshot(context: Context, repo_id: str) -> SpaceSnapshot | None:
    """What an earlier try of this task in this run has recorded, unless that has been put back since."""
    from airflow_provider_hfspaces.hub.checks import InvalidInput
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

    try:
        snapshot = SpaceSnapshot.from_dict(retry_store(context).get(PREVIOUS))
    except InvalidInput:
        return None
    if not snapshot.is_of(repo_id):
        return None
    ti = context["ti"]
    for task_id in restoring_tasks(context):
        done = ti.xcom_pull(task_ids=task_id, key=RESTORED, map_indexes=getattr(ti, "map_index", -1))
        if done is not None and done.get("taken_at") == snapshot.taken_at:
            return None
    return snapshot


def restoring_tasks(context: Context) -> list[str]:
    """The ids of those RestoreHardwareOperators of this DAG that go by what this task records."""
    own = context["ti"].task_id
    names = {own, own.rpartition(".")[2]}
    found = []
    for task in getattr(context.get("dag"), "tasks", ()):
        mapped = getattr(task, "partial_kwargs", None) or {}
        if (getattr(task, "from_task", None) or mapped.get("from_task")) in names:
            found.append(str(task.task_id))
    return found


def in_own_group(given: str, task_id: str) -> str:
    """The id of another task of the same group, given without the group's prefix or with it."""
    group, _, _ = task_id.rpartition(".")
    return given if not group or given.startswith(f"{group}.") else f"{group}.{given}"
