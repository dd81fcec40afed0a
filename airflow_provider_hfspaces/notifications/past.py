"""What was on a Space before this run, as far as a callback can find out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from airflow_provider_hfspaces.compat.server import callback_may_read_xcoms, callback_xcom
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
from airflow_provider_hfspaces.notifications.occasion import run_of
from airflow_provider_hfspaces.operators.hardware import (
    PREVIOUS,
    RequestHardwareOperator,
    SnapshotSpaceOperator,
)
from airflow_provider_hfspaces.state.leases import LeaseHolder, SpaceLease, previous_of

__all__ = ["Past", "look_back"]

_GAP = 3
"""Mapped task instances in a row that recorded nothing, after which there are no more."""


@dataclass(frozen=True)
class Past:
    """What a callback found out.

    :ivar snapshot: what was there; ``None`` if nobody recorded it.
    :ivar source: who recorded it.
    :ivar leased_by: another run that has the Space to itself now, and will put it back.
    """

    snapshot: SpaceSnapshot | None = None
    source: str = ""
    leased_by: str | None = None


def look_back(
    context: Mapping[str, Any], repo_id: str, from_task: str | None, log: Any, *, in_triggerer: bool = False
) -> Past:
    """Look for what was there: in the XComs of this run, then in the Space's lease.

    Blocks while Airflow answers.

    :param from_task: id of the task that recorded it; ``None`` for any.
    """
    holder: LeaseHolder | None = _attempt(log, "the lease", _holder, repo_id)
    is_ours = holder is not None and (holder.dag_id, holder.run_id) == run_of(context)
    if holder and not is_ours and not holder.abandoned:
        return Past(leased_by=str(holder))
    if callback_may_read_xcoms(context, in_triggerer=in_triggerer):
        found: Past | None = _attempt(
            log, "the XComs of the run", _from_xcoms, context, repo_id, from_task, log
        )
        if found:
            return found
    elif from_task:
        log.warning("Airflow lets this kind of callback read no XComs: task %r is not asked.", from_task)
    if is_ours:
        snapshot = _attempt(log, "the lease", previous_of, repo_id)
        if snapshot and _is_usable(snapshot, repo_id):
            return Past(snapshot, "the lease of this run")
    return Past()


def _attempt(log: Any, what: str, look: Any, *arguments: Any) -> Any:
    """A callback that cannot read one record still has the others."""
    try:
        return look(*arguments)
    except Exception as error:
        log.warning("%s could not be read: %s: %s", what.capitalize(), type(error).__name__, error)
        return None


def _from_xcoms(context: Mapping[str, Any], repo_id: str, from_task: str | None, log: Any) -> Past | None:
    found = []
    for task_id in _recorders(context, from_task, log):
        for said in _said_by(context, task_id):
            snapshot = _usable(said, repo_id)
            if snapshot:
                found.append((snapshot.taken_at or "", task_id, snapshot))
                break
    if not found:
        return None
    # The first that looked has seen what was there before this run changed anything.
    _, task_id, snapshot = min(found, key=lambda each: each[:2])
    return Past(snapshot, f"task {task_id!r}")


def _recorders(context: Mapping[str, Any], from_task: str | None, log: Any) -> list[str]:
    tasks = getattr(context.get("dag"), "tasks", None)
    if tasks is None:
        return [from_task] if from_task else []
    ids = [str(task.task_id) for task in tasks]
    if from_task is not None and from_task in ids:
        return [from_task]
    # Inside a task group the id may be given without the group's prefix.
    grouped = [each for each in ids if each.rpartition(".")[2] == from_task]
    if from_task and not grouped:
        log.error("This DAG has no task %r, which from_task names: looking at all.", from_task)
    return grouped or [str(task.task_id) for task in tasks if _records(task)]


def _records(task: Any) -> bool:
    kind = getattr(task, "operator_class", None) or type(task)
    return isinstance(kind, type) and issubclass(kind, (SnapshotSpaceOperator, RequestHardwareOperator))


def _said_by(context: Mapping[str, Any], task_id: str) -> Iterator[Any]:
    """What the instances of a task have recorded: the one that is mapped like the caller first."""
    own = getattr(context.get("ti"), "map_index", None)
    for map_index in dict.fromkeys((-1 if own is None else own, -1)):
        said = callback_xcom(context, run_of(context), task_id, PREVIOUS, map_index)
        if said is not None:
            yield said
    missing = 0
    for map_index in count():
        said = callback_xcom(context, run_of(context), task_id, PREVIOUS, map_index)
        missing = missing + 1 if said is None else 0
        if said is not None:
            yield said
        elif missing == _GAP:
            return


def _usable(said: Any, repo_id: str) -> SpaceSnapshot | None:
    try:
        snapshot = SpaceSnapshot.from_dict(said)
    except InvalidInput:
        return None
    return snapshot if _is_usable(snapshot, repo_id) else None


def _is_usable(snapshot: SpaceSnapshot, repo_id: str) -> bool:
    return snapshot.is_of(repo_id) and snapshot.hardware is not None


def _holder(repo_id: str) -> LeaseHolder | None:
    return SpaceLease(repo_id, LeaseHolder("", "", "")).holder()
