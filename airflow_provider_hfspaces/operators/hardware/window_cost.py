"""What a hardware window cost, from what its tasks and its lease have recorded.

Come here to change from which records RestoreHardwareOperator computes the cost of a run.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.runs import task_states
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.cost.runs import Sighting, sightings_from
from airflow_provider_hfspaces.operators.run_costs import report_run_cost
from airflow_provider_hfspaces.state.best_effort import only_logged
from airflow_provider_hfspaces.state.pricing import app_started, cost_of_sightings
from airflow_provider_hfspaces.state.records import SIGHTINGS, map_indexes, requesting_task_ids

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
    from airflow_provider_hfspaces.operators.hardware.leasing import WayBack
    from airflow_provider_hfspaces.operators.hardware.restore import RestoreHardwareOperator

__all__ = ["known_window", "report_window", "window_of"]

log = logging.getLogger(__name__)

_BEGUN_STATES = frozenset({"running", "success", "failed", "up_for_retry", "deferred"})


def window_of(
    task: RestoreHardwareOperator,
    repo_id: str,
    context: Context,
    way_back: WayBack,
    before: SpaceRuntime,
    after: SpaceRuntime,
) -> dict[str, Any] | None:
    """What is known about the window of this run, as plain JSON; ``None`` if another task reports it.

    A failure is only logged: it must not keep the lease from being given back.

    :param before: the runtime before the restore.
    :param after: the runtime after the restore.
    """
    with only_logged(task.log, _not_known(repo_id)):
        if way_back.is_leased and not way_back.holds:
            # The lease has ended before: an earlier try or another run has restored the Space and reported.
            return None
        window = known_window(task, repo_id, context, way_back)
        if window is None:
            return None
        has_changed = before.is_billed and before.hardware != window["sightings"][-1]["hardware"]
        task.seen.add(before, since=app_started(task.hook, repo_id, task.log) if has_changed else None)
        if after is not before:
            task.seen.add(after)
        return window
    return None


def known_window(
    task: RestoreHardwareOperator, repo_id: str, context: Context, way_back: WayBack | None = None
) -> dict[str, Any] | None:
    """What the tasks of this run have pushed about its window, as plain JSON; ``None`` before a request.

    :param way_back: the lease, if the window is over; its record then counts, too.
    """
    snapshot = way_back.snapshot if way_back is not None else None
    first = _first_sighting(snapshot or task.space_restore.recorded(repo_id, context))
    pushed, requested = _pushed(task, repo_id, context)
    sightings = [each for each in pushed if first is None or each.at >= first.at]
    if first is not None:
        sightings.insert(0, first)
    if way_back is not None:
        requested |= set(way_back.requested)
        sightings += _announced(first, way_back, sightings)
    if not sightings or not requested:
        return None
    sightings.sort(key=lambda each: each.at)
    return {"sightings": [each.to_dict() for each in sightings], "requested": sorted(requested)}


def report_window(
    task: RestoreHardwareOperator, context: Context, repo_id: str, window: dict[str, Any]
) -> dict[str, Any]:
    """Report what a window cost. Returns what the result of the task contains about it.

    A failure is only logged: the Space is restored.
    """
    with only_logged(task.log, _not_known(repo_id)):
        task.seen.push(context, repo_id)
        known = sightings_from(window["sightings"])
        sightings = [*known, *task.seen.sightings]
        cost = cost_of_sightings(task.hook, sightings, window["requested"], task.log)
        return report_run_cost(task, context, repo_id, cost, began=known[0].at)
    return {}


def _not_known(repo_id: str) -> str:
    return f"Space {repo_id}: the cost of this run is not known"


def _first_sighting(recorded: SpaceSnapshot | None) -> Sighting | None:
    try:
        return None if recorded is None else Sighting.from_snapshot(recorded)
    except InvalidInput:
        return None


def _pushed(task: RestoreHardwareOperator, repo_id: str, context: Context) -> tuple[list[Sighting], set[str]]:
    """What the other tasks of this window have seen of the Space, and the flavors that they requested."""
    sightings: list[Sighting] = []
    requested: set[str] = set()
    for task_id, map_index in _begun(context):
        payload = context["ti"].xcom_pull(task_ids=task_id, key=SIGHTINGS, map_indexes=map_index)
        if not isinstance(payload, dict) or str(payload.get("repo_id")).casefold() != repo_id.casefold():
            continue
        sightings += sightings_from(payload.get("sightings"))
        requested |= {each for each in payload.get("requested") or () if isinstance(each, str)}
    return sightings, requested


def _begun(context: Context) -> list[tuple[str, int]]:
    """The tasks of this task's group that have begun to request hardware, with their map indexes.

    Airflow 3 logs an error for an XCom that does not exist, so that the others are not pulled.
    """

    ti = context["ti"]
    group, _, _ = str(ti.task_id).rpartition(".")
    prefix = f"{group}." if group else ""
    ids = [each for each in requesting_task_ids(context.get("dag")) if each.startswith(prefix)]
    begun: dict[str, int] = {}
    for map_index in map_indexes(ti):
        try:
            states = task_states(ti.dag_id, ti.run_id, ids, map_index)
        except Exception as error:
            log.debug("Airflow does not say which tasks of run %s have begun: %s", ti.run_id, error)
            states = dict.fromkeys(ids, "success")
        for task_id in ids:
            if states.get(task_id) in _BEGUN_STATES:
                begun.setdefault(task_id, map_index)
    return list(begun.items())


def _announced(first: Sighting | None, way_back: WayBack, seen: list[Sighting]) -> list[Sighting]:
    """The request as the lease recorded it, if the tasks of this run have seen only what followed it."""
    from dataclasses import replace

    at = way_back.requested_at
    if first is None or at is None or not way_back.requested:
        return []
    if any(each.at <= at for each in seen if each is not first):
        return []
    return [replace(first, at=max(at, first.at), destination=way_back.requested[-1])]
