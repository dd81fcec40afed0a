"""Finds the state that a Space had before the run of a callback: in the Space's lease and in XComs.

Come here to change where a notifier looks for the state to restore, and in which order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.server import callback_may_read_xcoms, callback_xcom
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.http.sequence import execute
from airflow_provider_hfspaces.hub.lease.actions import check_free
from airflow_provider_hfspaces.hub.lease.guard import LeaseGuard
from airflow_provider_hfspaces.hub.lease.record import LeaseHolder, Standing, is_free
from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot, raises_cost
from airflow_provider_hfspaces.notifications.occasion import run_of
from airflow_provider_hfspaces.state.leases import Owners, describe_holder, lease_store
from airflow_provider_hfspaces.state.records import (
    PREVIOUS,
    map_indexes,
    recording_task_ids,
    requested_hardware,
    task_ids_named,
)

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.http.sequence import Steps
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = ["RecordedState", "find_recorded_state", "read_lease"]

_OWN_LEASE = "the lease of this run"

_MAX_MISSING = 3
"""Mapped task instances in a row without a record, after which no further ones are read."""


@dataclass(frozen=True)
class RecordedState:
    """The state to restore, and what is known about it.

    :ivar snapshot: the recorded state; ``None`` if no task recorded it.
    :ivar source: what recorded it, for logs.
    :ivar leased_by: another run that holds the lease and will restore the Space.
    :ivar is_leased: whether :attr:`snapshot` is from the lease.
    :ivar requested: the hardware that the tasks of this run have requested.
    :ivar guard: runs the plan, and stops it if another run takes the lease; ``None`` if the lease could not
        be read.
    """

    snapshot: SpaceSnapshot | None = None
    source: str = ""
    leased_by: str | None = None
    is_leased: bool = False
    requested: tuple[str, ...] = ()
    guard: LeaseGuard | None = None

    def raises_cost(self, runtime: SpaceRuntime) -> bool:
        """Return True if the restore would move the Space from free to paid hardware without a lease."""
        if self.is_leased or self.snapshot is None:
            return False
        return raises_cost(self.snapshot, runtime, self.requested)


def find_recorded_state(
    context: Mapping[str, Any],
    repo_id: str,
    from_task: str | None,
    log: Any,
    *,
    hook: HfSpacesHook,
    timeout: float,
    in_triggerer: bool = False,
) -> RecordedState:
    """Find the state to restore: in the lease of this run, in the run's XComs, or in an older lease.

    Blocks while Airflow and the Hub answer.

    :param from_task: id of the task that recorded the state; ``None`` for any task.
    :param timeout: seconds for which requests about the lease are retried.
    """
    lease = read_lease(context, repo_id, log, hook=hook, timeout=timeout)
    # While a run holds the lease, its XComs only display what the lease recorded.
    if lease.leased_by is not None or (lease.is_leased and lease.source == _OWN_LEASE):
        return lease
    if callback_may_read_xcoms(context, in_triggerer=in_triggerer):
        recorded: tuple[SpaceSnapshot, str] | None = _attempt(
            log, "the XComs of the run", _from_xcoms, context, repo_id, from_task, log
        )
        if recorded:
            requested = _attempt(log, "the requests of the run", _requested, context) or ()
            return replace(lease, snapshot=recorded[0], source=recorded[1], requested=requested)
    elif from_task:
        log.warning(
            "Airflow lets this kind of callback read no XComs: the record of task %r is not read.", from_task
        )
    return lease


def read_lease(
    context: Mapping[str, Any],
    repo_id: str,
    log: Any,
    *,
    hook: HfSpacesHook,
    timeout: float,
) -> RecordedState:
    """Read the lease of a Space: which run holds the lease, and which state it recorded.

    :param timeout: seconds for which requests about the lease are retried.
    """
    lease: RecordedState | None = _attempt(log, "the lease", _read_lease, context, repo_id, hook, timeout)
    return lease or RecordedState()


def _read_lease(
    context: Mapping[str, Any], repo_id: str, hook: HfSpacesHook, timeout: float
) -> RecordedState:
    """Read the lease, which this run, an ended run, or a run that restores the Space itself may hold."""
    store, owners = lease_store(hook, repo_id), Owners()
    with hook.client_within(timeout) as client:
        record, _ = execute(store.read(), client.send)
    standings: dict[str, Standing] = {}
    source = _OWN_LEASE
    # A holder that Airflow does not name may be any run: its Space is left alone until the lease expires.
    for holder in record.holders:
        owner = owners.owner(holder)
        if owner is not None and (owner.dag_id, owner.run_id) == run_of(context):
            standings[holder.holder_id] = Standing.OWN
            continue
        standings[holder.holder_id] = standing = owners.judge(holder)
        if is_free(holder, standing, hook.clock()):
            source = "the lease of a run that is over"

    def judge(holder: LeaseHolder) -> Standing:
        return standings.get(holder.holder_id, Standing.UNKNOWN)

    def check() -> Steps[Any]:
        return check_free(store, judge, hook.clock())

    state = RecordedState(guard=LeaseGuard(store, check, clock=hook.clock))
    current = record.current
    if current is None:
        return state
    standing = judge(current)
    if standing is not Standing.OWN and not is_free(current, standing, hook.clock()):
        return replace(state, leased_by=describe_holder(current, owners))
    previous = record.holders[0].previous
    snapshot = SpaceSnapshot.from_dict({**previous, "repo_id": repo_id}) if previous else None
    if snapshot is None or not _is_usable(snapshot, repo_id):
        return state
    guard = LeaseGuard(store, check, holder_id=current.holder_id, clock=hook.clock)
    return RecordedState(snapshot, source, is_leased=True, guard=guard)


def _attempt(log: Any, what: str, look: Any, *arguments: Any) -> Any:
    """Read one record. An error is logged, so that the callback can still use the other records."""
    try:
        return look(*arguments)
    except Exception as error:
        log.warning("%s could not be read: %s: %s", what.capitalize(), type(error).__name__, error)
        return None


def _from_xcoms(
    context: Mapping[str, Any], repo_id: str, from_task: str | None, log: Any
) -> tuple[SpaceSnapshot, str] | None:
    """Return the earliest state that a task of this run recorded, and that task in words."""
    records = []
    for task_id in _task_ids(context, from_task, log):
        for payload in _payloads(context, task_id):
            snapshot = _usable(payload, repo_id)
            if snapshot:
                records.append((snapshot.taken_at or "", task_id, snapshot))
                break
    if not records:
        return None
    # The earliest record is of the state before this run changed anything.
    _, task_id, snapshot = min(records, key=lambda each: each[:2])
    return snapshot, f"task {task_id!r}"


def _requested(context: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the hardware that the tasks of this run requested."""
    run, indexes, dag = run_of(context), map_indexes(context.get("ti")), context.get("dag")

    def read(task_id: str, key: str) -> Iterator[Any]:
        return (callback_xcom(context, run, task_id, key, index) for index in indexes)

    return tuple(requested_hardware(dag, read))


def _task_ids(context: Mapping[str, Any], from_task: str | None, log: Any) -> list[str]:
    """Return the tasks whose records to read: those that ``from_task`` may mean, or all that record one."""
    dag = context.get("dag")
    if dag is None:
        return [from_task] if from_task else []
    task_ids = task_ids_named(dag, from_task) if from_task else []
    if from_task and not task_ids:
        log.error(
            "This DAG has no task %r, which from_task names. The records of all tasks are read.", from_task
        )
    return task_ids or recording_task_ids(dag)


def _payloads(context: Mapping[str, Any], task_id: str) -> Iterator[Any]:
    """Yield what the instances of a task recorded, first the instance that is mapped like the caller."""
    run = run_of(context)
    for map_index in map_indexes(context.get("ti")):
        payload = callback_xcom(context, run, task_id, PREVIOUS, map_index)
        if payload is not None:
            yield payload
    missing = 0
    for map_index in count():
        payload = callback_xcom(context, run, task_id, PREVIOUS, map_index)
        missing = missing + 1 if payload is None else 0
        if payload is not None:
            yield payload
        elif missing == _MAX_MISSING:
            return


def _usable(payload: Any, repo_id: str) -> SpaceSnapshot | None:
    try:
        snapshot = SpaceSnapshot.from_dict(payload)
    except InvalidInput:
        return None
    return snapshot if _is_usable(snapshot, repo_id) else None


def _is_usable(snapshot: SpaceSnapshot, repo_id: str) -> bool:
    return snapshot.is_of(repo_id) and snapshot.hardware is not None
