"""What a hardware window cost, from what its tasks and its lease have recorded.

Come here to change from which records RestoreHardwareOperator computes the cost of a run.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.operators.run_costs import report_run_cost
from airflow_provider_hfspaces.state.pricing import app_started, cost_of_sightings
from airflow_provider_hfspaces.state.records import SIGHTINGS, map_indexes, requesting_task_ids

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.cost.runs import RunCost, Sighting
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

    A failure is logged and not raised: it must not keep the lease from being given back.

    :param before: the runtime before the restore.
    :param after: the runtime after the restore.
    """
    try:
        return _window(task, repo_id, context, way_back, before, after)
    except Exception as error:
        task.log.warning("Space %s: the cost of this run is not known: %s", repo_id, error)
        return None


def _window(
    task: RestoreHardwareOperator,
    repo_id: str,
    context: Context,
    way_back: WayBack,
    before: SpaceRuntime,
    after: SpaceRuntime,
) -> dict[str, Any] | None:
    if way_back.is_leased and not way_back.holds:
        # The lease has ended before: an earlier try or another run has restored the Space and reported.
        return None
    recorded = way_back.snapshot or task.space_restore.recorded(repo_id, context)
    sightings, requested = _records(task, repo_id, context, recorded, way_back)
    if not sightings or not requested:
        return None
    has_changed = before.is_billed and before.hardware != sightings[-1].hardware
    task.seen.add(before, since=app_started(task.hook, repo_id, task.log) if has_changed else None)
    if after is not before:
        task.seen.add(after)
    return {
        "sightings": [each.to_dict() for each in sightings],
        "requested": sorted(requested),
    }


def known_window(task: RestoreHardwareOperator, repo_id: str, context: Context) -> dict[str, Any] | None:
    """What the tasks of this run have pushed about its window, as plain JSON; ``None`` before a request."""
    recorded = task.space_restore.recorded(repo_id, context)
    sightings, requested = _records(task, repo_id, context, recorded, None)
    if not sightings or not requested:
        return None
    return {"sightings": [each.to_dict() for each in sightings], "requested": sorted(requested)}


def _records(
    task: RestoreHardwareOperator,
    repo_id: str,
    context: Context,
    recorded: SpaceSnapshot | None,
    way_back: WayBack | None,
) -> tuple[list[Sighting], set[str]]:
    """What the snapshot, the lease and the other tasks say about the window, and the requested flavors."""
    first = _first_sighting(recorded)
    pushed, requested = _pushed(task, repo_id, context)
    sightings = [each for each in pushed if first is None or each.at >= first.at]
    if first is not None:
        sightings.insert(0, first)
    if way_back is not None:
        requested |= set(way_back.requested)
        sightings += _announced(first, way_back, sightings)
    return sorted(sightings, key=lambda each: each.at), requested


def _cost(task: RestoreHardwareOperator, window: dict[str, Any]) -> RunCost:
    """The cost of a window up to the last sighting of this task."""
    from airflow_provider_hfspaces.hub.cost.runs import sightings_from

    sightings = [*sightings_from(window["sightings"]), *task.seen.sightings]
    return cost_of_sightings(task.hook, sightings, window["requested"], task.log)


def report_window(
    task: RestoreHardwareOperator, context: Context, repo_id: str, window: dict[str, Any]
) -> dict[str, Any]:
    """Report what a window cost. Returns what the result of the task contains about it.

    A failure is logged and not raised: the Space is restored.
    """
    from airflow_provider_hfspaces.hub.cost.runs import sightings_from

    try:
        task.seen.push(context, repo_id)
        began = sightings_from(window["sightings"])[0].at
        return report_run_cost(task, context, repo_id, _cost(task, window), began=began)
    except Exception as error:
        task.log.warning("Space %s: the cost of this run is not known: %s", repo_id, error)
        return {}


def _first_sighting(recorded: SpaceSnapshot | None) -> Sighting | None:
    from airflow_provider_hfspaces.hub.checks import InvalidInput
    from airflow_provider_hfspaces.hub.cost.runs import Sighting

    try:
        return None if recorded is None else Sighting.from_snapshot(recorded)
    except InvalidInput:
        return None


def _pushed(task: RestoreHardwareOperator, repo_id: str, context: Context) -> tuple[list[Sighting], set[str]]:
    """What the other tasks of this window have seen of the Space, and the flavors that they requested."""
    from airflow_provider_hfspaces.hub.cost.runs import sightings_from

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
    from airflow_provider_hfspaces.compat.runs import task_states

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
