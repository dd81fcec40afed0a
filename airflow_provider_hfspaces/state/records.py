"""The records of a run about a Space, and the search for the task that recorded them.

Come here to change the keys of the hardware operators' XComs, or how a task is found that another task
names: with its full id, or without the prefix of the task group that both are in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.rendered import is_template
from airflow_provider_hfspaces.state.retry_store import retry_store

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.errors import HubError
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

__all__ = [
    "COST",
    "LEASE",
    "PREVIOUS",
    "REQUESTED",
    "RESTORED",
    "SEARCH",
    "SIGHTINGS",
    "TRIED",
    "first_snapshot",
    "is_last_try",
    "map_indexes",
    "may_hold_lease",
    "pull",
    "recorded_snapshot",
    "recording_task_ids",
    "requested_hardware",
    "requesting_task_ids",
    "requests_around",
    "restoring_task_ids",
    "retry_while_tries_left",
    "task_ids_named",
    "temporary_statuses",
    "unrestored_snapshot",
]

PREVIOUS = "previous"
"""Key of the snapshot that a task recorded before it changed the Space: in XComs and in the retry store."""

LEASE = "lease"
"""Key of the XCom with the lease that a SnapshotSpaceOperator took."""

REQUESTED = "requested"
"""Key of the XCom with the hardware that a RequestHardwareOperator requested."""

SEARCH = "hardware_search"
"""Key of the retry store with how far a search for available hardware has come."""

TRIED = "tried"
"""Key of the XCom with the flavors of a list that a task tried, each with the reason why it was left."""

RESTORED = "restored"
"""Key of the XCom with the snapshot that a RestoreHardwareOperator restored."""

SIGHTINGS = "sightings"
"""Key of the XCom with what a task has seen of the Space, from which the cost of the run is computed."""

COST = "cost"
"""Key of the XCom with what the run cost."""


def task_ids_named(dag: Any, name: str, own_task_id: str | None = None) -> list[str]:
    """Return the ids of the tasks that a name may mean, the most likely one first.

    :param dag: the DAG; ``None`` if the caller does not know it, which takes every name for an id.
    :param name: a task id, with or without the prefix of its task group.
    :param own_task_id: the task that uses the name; a name without a prefix then means a task of its own
        group. By default such a name may mean a task of any group.
    """
    tasks = getattr(dag, "tasks", None)
    known = None if tasks is None else {str(task.task_id) for task in tasks}
    if own_task_id is None:
        if known is None or name in known:
            return [name]
        return sorted(each for each in known if each.rpartition(".")[2] == name)
    group, _, _ = own_task_id.rpartition(".")
    candidates = [name, f"{group}.{name}"] if group else [name]
    return [each for each in candidates if known is None or each in known]


def restoring_task_ids(context: Context) -> list[str]:
    """Return the RestoreHardwareOperators of this DAG that restore what this task records."""
    own, dag = str(context["ti"].task_id), context.get("dag")
    return [
        str(task.task_id)
        for task in getattr(dag, "tasks", ())
        if (name := _source_of(task)) is not None and own in task_ids_named(dag, name, str(task.task_id))
    ]


def recording_task_ids(dag: Any) -> list[str]:
    """Return the tasks of a DAG that record a snapshot."""
    return list(_task_ids_with(dag, "records_snapshot"))


def requesting_task_ids(dag: Any) -> list[str]:
    """Return the tasks of a DAG that request hardware."""
    return list(_task_ids_with(dag, "requests_hardware"))


def requests_around(task: Any, dag: Any) -> list[str]:
    """Return the tasks before a task that request hardware, if a task after it restores hardware."""
    try:
        before = task.get_flat_relative_ids(upstream=True)
        after = task.get_flat_relative_ids(upstream=False)
    except Exception:  # A task that was mapped may not know its DAG any more.
        return []
    restores = (str(each.task_id) for each in getattr(dag, "tasks", ()) if _source_of(each) is not None)
    return [each for each in requesting_task_ids(dag) if each in before] if set(restores) & after else []


def _trying_task_ids(dag: Any) -> list[str]:
    """Return the tasks of a DAG that may request hardware from a list, as far as the DAG tells.

    Airflow 3 logs an error for an XCom that does not exist, so callers should pull only XComs that may exist.
    """
    requesting = set(requesting_task_ids(dag))
    return [
        str(task.task_id)
        for task in getattr(dag, "tasks", ())
        if str(task.task_id) in requesting and _may_have_list(task)
    ]


def _tried_hardware(tried: Any) -> list[str]:
    """Return the flavors in the XCom :data:`TRIED`."""
    entries = tried if isinstance(tried, list) else []
    return [str(each["hardware"]) for each in entries if isinstance(each, Mapping) and "hardware" in each]


def requested_hardware(dag: Any, read: Callable[[str, str], Iterable[Any]]) -> list[str]:
    """Return the hardware that the tasks of a run have requested, from lists too.

    :param dag: the DAG of the run.
    :param read: returns the XComs of a task with a key: for callbacks and tasks, which ask Airflow in
        different ways.
    """
    requested = [value for task_id in requesting_task_ids(dag) for value in read(task_id, REQUESTED)]
    for task_id in _trying_task_ids(dag):
        requested += [hardware for value in read(task_id, TRIED) for hardware in _tried_hardware(value)]
    return [str(hardware) for hardware in requested if hardware is not None]


def map_indexes(ti: Any) -> list[int]:
    """Return the map indexes of another task to read: that of this task instance, and -1 (not mapped)."""
    own = getattr(ti, "map_index", None)
    return list(dict.fromkeys((-1 if own is None else own, -1)))


def pull(context: Context, task_id: str, key: str = PREVIOUS) -> Any:
    """Return an XCom of another task of this run, mapped like this one or not mapped; ``None`` if missing."""
    for map_index in map_indexes(context["ti"]):
        value = context["ti"].xcom_pull(task_ids=task_id, key=key, map_indexes=map_index)
        if value is not None:
            return value
    return None


def is_last_try(task: Any, context: Context) -> bool:
    """Return whether this is the last try of the task, after which Airflow does not retry it."""
    ti = context["ti"]
    tries = getattr(ti, "max_tries", None)
    tries = task.retries if tries is None else tries
    return int(getattr(ti, "try_number", 0) or 0) > int(tries or 0) or not tries


_TEMPORARY_STATUSES = frozenset({401, 403})
"""Statuses of rejections that may be temporary: a revoked token or a lapsed plan may be valid again."""


def temporary_statuses(task: Any, context: Context) -> frozenset[int]:
    """Return the HTTP statuses of rejections that a later try may not meet; none in the last try."""
    return frozenset() if is_last_try(task, context) else _TEMPORARY_STATUSES


def retry_while_tries_left(error: HubError, task: Any, context: Context) -> bool:
    """Have Airflow retry the task after a rejection that may be temporary, if a try is left.

    :returns: whether the rejection may be temporary.
    """
    if error.status not in temporary_statuses(task, context):
        return False
    error.permanent = False
    return True


def may_hold_lease(dag: Any, task_id: str) -> bool:
    """Return whether a task may have taken a lease, as far as the DAG tells.

    Airflow 3 logs an error for an XCom that does not exist, so callers should pull only XComs that may exist.
    """
    for task in getattr(dag, "tasks", None) or ():
        if str(task.task_id) != task_id:
            continue
        mapped = getattr(getattr(task, "expand_input", None), "value", None)
        if mapped is not None and (not isinstance(mapped, Mapping) or "lease" in mapped):
            return True
        arguments = getattr(task, "partial_kwargs", None) or {}
        return bool(getattr(task, "lease", arguments.get("lease")))
    return True


def recorded_snapshot(context: Context) -> SpaceSnapshot | None:
    """Return the snapshot that an earlier try of this task recorded in this run."""
    from airflow_provider_hfspaces.hub.checks import InvalidInput
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

    try:
        return SpaceSnapshot.from_dict(retry_store(context).get(PREVIOUS))
    except InvalidInput:
        return None


def first_snapshot(context: Context, repo_id: str) -> SpaceSnapshot | None:
    """Return the snapshot that an earlier try of this task recorded, unless it has been restored since."""
    snapshot = recorded_snapshot(context)
    if snapshot is None or not snapshot.is_of(repo_id):
        return None
    ti = context["ti"]
    for task_id in restoring_task_ids(context):
        restored = ti.xcom_pull(task_ids=task_id, key=RESTORED, map_indexes=getattr(ti, "map_index", -1))
        if restored is not None and restored.get("taken_at") == snapshot.taken_at:
            return None
    return snapshot


def unrestored_snapshot(context: Context, repo_id: str, runtime: SpaceRuntime) -> SpaceSnapshot | None:
    """Return the state to restore that an earlier try or run recorded; ``None`` for the present state.

    :param runtime: the present state.
    """
    from airflow_provider_hfspaces.state.last_resort import forget_pause, state_before_pause

    snapshot = first_snapshot(context, repo_id)
    if snapshot is None and restoring_task_ids(context):
        snapshot = state_before_pause(repo_id, runtime)
        if snapshot is not None:
            retry_store(context).set(PREVIOUS, snapshot.to_dict())
            forget_pause(repo_id)
    return snapshot


def _source_of(task: Any) -> str | None:
    """Return the ``from_task`` of a task, mapped or not; ``None`` if it has none."""
    source = getattr(task, "from_task", None)
    if source is None:
        source = (getattr(task, "partial_kwargs", None) or {}).get("from_task")
    source = getattr(source, "operator", source)
    return None if source is None else str(getattr(source, "task_id", source))


def _may_have_list(task: Any) -> bool:
    arguments = {**(getattr(task, "partial_kwargs", None) or {}), **getattr(task, "__dict__", {})}
    hardware = arguments.get("hardware")
    # A mapped argument is not in partial_kwargs.
    is_plain = isinstance(hardware, str) and not is_template(hardware)
    return not is_plain or arguments.get("retry_capacity_after") is not None


def _task_ids_with(dag: Any, mark: str) -> Iterator[str]:
    for task in getattr(dag, "tasks", ()):
        kind = getattr(task, "operator_class", None) or type(task)
        if getattr(kind, mark, False):
            yield str(task.task_id)
