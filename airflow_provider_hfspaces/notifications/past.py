"""What was on a Space before this run, as far as a callback can find out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import count
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.server import callback_may_read_xcoms, callback_xcom
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.http.sequence import execute
from airflow_provider_hfspaces.hub.lease.actions import check_free
from airflow_provider_hfspaces.hub.lease.record import LeaseHolder, Standing, is_free
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE
from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
from airflow_provider_hfspaces.notifications.occasion import run_of
from airflow_provider_hfspaces.operators.hardware import (
    PREVIOUS,
    REQUESTED,
    RequestHardwareOperator,
    SnapshotSpaceOperator,
)
from airflow_provider_hfspaces.state.leases import Owners, describe_holder, lease_store

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.http.sequence import Steps
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = ["Past", "look_back"]

_GAP = 3
"""Mapped task instances in a row that recorded nothing, after which there are no more."""


@dataclass(frozen=True)
class Past:
    """What a callback found out.

    :ivar snapshot: what was there; ``None`` if nobody recorded it.
    :ivar source: who recorded it.
    :ivar leased_by: another run that holds the lease and will restore the Space.
    :ivar is_leased: whether the lease itself knows what to restore.
    :ivar requested: the hardware that the tasks of this run have requested.
    :ivar check: steps before each request, which stop the restore if another run takes the lease.
    """

    snapshot: SpaceSnapshot | None = None
    source: str = ""
    leased_by: str | None = None
    is_leased: bool = False
    requested: tuple[str, ...] = ()
    check: Callable[[], Steps[Any]] | None = None

    def is_dearer_than(self, runtime: SpaceRuntime) -> bool:
        """Whether a record that is not the lease's would put a Space on free hardware on paid hardware."""
        if self.is_leased or self.snapshot is None or runtime.configured_hardware in self.requested:
            return False
        return runtime.configured_hardware in FREE_HARDWARE and self.snapshot.hardware not in FREE_HARDWARE


@dataclass(frozen=True)
class _Lease:
    """The lease of a Space as a callback sees it."""

    leased_by: str | None
    snapshot: SpaceSnapshot | None
    source: str
    check: Callable[[], Steps[Any]]


def look_back(
    context: Mapping[str, Any],
    repo_id: str,
    from_task: str | None,
    log: Any,
    *,
    hook: HfSpacesHook,
    timeout: float,
    in_triggerer: bool = False,
) -> Past:
    """Look for the state to restore: in the Space's lease and in the XComs of this run.

    Blocks while Airflow and the Hub answer.

    :param from_task: id of the task that recorded it; ``None`` for any.
    :param timeout: seconds for which the Hub is asked about the lease.
    """
    lease: _Lease | None = _attempt(log, "the lease", _read_lease, context, repo_id, hook, timeout)
    check = lease.check if lease else None
    if lease is not None and lease.leased_by is not None:
        return Past(leased_by=lease.leased_by)
    if callback_may_read_xcoms(context, in_triggerer=in_triggerer):
        found: Past | None = _attempt(
            log, "the XComs of the run", _from_xcoms, context, repo_id, from_task, log
        )
        if found:
            requested = _attempt(log, "the requests of the run", _requested, context, log) or ()
            return replace(found, is_leased=bool(lease and lease.snapshot), requested=requested, check=check)
    elif from_task:
        log.warning("Airflow lets this kind of callback read no XComs: task %r is not asked.", from_task)
    if lease is not None and lease.snapshot is not None and _is_usable(lease.snapshot, repo_id):
        return Past(lease.snapshot, lease.source, is_leased=True, check=check)
    return Past(check=check)


def _read_lease(context: Mapping[str, Any], repo_id: str, hook: HfSpacesHook, timeout: float) -> _Lease:
    """Who holds the Space: this run, a run that is over, or one that restores the Space itself."""
    store, owners = lease_store(hook, repo_id), Owners()
    with hook.client_within(timeout) as client:
        record, _ = execute(store.read(), client.send)
    standings: dict[str, Standing] = {}
    source = "the lease of this run"
    for holder in record.holders:
        owner = owners.owner(holder)
        if owner is not None and (owner.dag_id, owner.run_id) == run_of(context):
            standings[holder.holder_id] = Standing.OWN
            continue
        standings[holder.holder_id] = standing = owners.judge(holder)
        if owners.is_unanswered:
            # This callback may not ask Airflow: the lease may be that of its own run.
            standings[holder.holder_id] = Standing.OWN
            source = "the lease of the Space"
        elif is_free(holder, standing, datetime.now(timezone.utc)):
            source = "the lease of a run that is over"

    def judge(holder: LeaseHolder) -> Standing:
        return standings.get(holder.holder_id, Standing.UNKNOWN)

    def check() -> Steps[Any]:
        return check_free(store, judge, datetime.now(timezone.utc))

    current = record.current
    if current is None:
        return _Lease(None, None, "", check)
    standing = judge(current)
    if standing is not Standing.OWN and not is_free(current, standing, datetime.now(timezone.utc)):
        return _Lease(describe_holder(current, owners), None, "", check)
    previous = record.holders[0].previous
    snapshot = SpaceSnapshot.from_dict({**previous, "repo_id": repo_id}) if previous else None
    return _Lease(None, snapshot, source, check)


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


def _requested(context: Mapping[str, Any], log: Any) -> tuple[str, ...]:
    """The hardware that the tasks of this run have requested."""
    own = getattr(context.get("ti"), "map_index", None)
    pushed = (
        callback_xcom(context, run_of(context), task_id, REQUESTED, map_index)
        for task_id in _recorders(context, None, log)
        for map_index in dict.fromkeys((-1 if own is None else own, -1))
    )
    return tuple(str(each) for each in pushed if each is not None)


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
