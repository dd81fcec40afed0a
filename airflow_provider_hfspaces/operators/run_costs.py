"""What the operators see of a Space while they work, and report about the cost of a run.

Come here to change what of a run's cost is logged, pushed and recorded, and what its operators note for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.state.pricing import app_started
from airflow_provider_hfspaces.state.records import COST, SIGHTINGS, pull, requests_around

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.cost.runs import RunCost, Sighting
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
    from airflow_provider_hfspaces.operators.base import WaitingOperator

__all__ = [
    "SeenSpace",
    "push_sightings",
    "report_run_cost",
]

_MOST_SIGHTINGS = 200
_CONTINUOUS_SECONDS = 60.0
"""A first look this soon after the request counts as one of a continuous watch."""


class SeenSpace:
    """What an operator has seen of its Space in this try, in order.

    An operator whose run has a cost pushes that as the XCom ``sightings``, also if it fails.

    :param task: the operator, with its hook and its log.
    """

    def __init__(self, task: WaitingOperator) -> None:
        self._task = task
        self.sightings: list[Sighting] = []

    def add(self, runtime: SpaceRuntime, *, since: datetime | None = None) -> None:
        """Add what the Hub reports now.

        :param since: since when the Space has been in this state, if that is known.
        """
        from airflow_provider_hfspaces.hub.cost.runs import Sighting

        self.sightings.append(Sighting.from_runtime(runtime, self._task.hook.clock(), since=since))
        del self.sightings[:-_MOST_SIGHTINGS]

    def add_change(self, runtime: SpaceRuntime, elapsed: float) -> None:
        """Add a change that a continuous watch reports.

        :param elapsed: seconds since the watch began.
        """
        is_first = not any(each.since for each in self.sightings)
        is_continuous = not is_first or elapsed < _CONTINUOUS_SECONDS
        self.add(runtime, since=self._task.hook.clock() if is_continuous else None)

    def extend(self, payload: Any) -> None:
        """Add what another task or a trigger has seen, from :meth:`to_list`."""
        from airflow_provider_hfspaces.hub.cost.runs import sightings_from

        self.sightings += sightings_from(payload)

    def to_list(self) -> list[dict[str, Any]]:
        """As plain JSON."""
        return [each.to_dict() for each in self.sightings]

    def push(self, context: Context, repo_id: str) -> None:
        """Push what this try has seen of the Space, if its run has a cost."""
        if self._task.records_sightings and self.sightings:
            push_sightings(context, repo_id, self)

    def note_inherited(self, repo_id: str, before: SpaceRuntime, snapshot: SpaceSnapshot) -> None:
        """Note since when the Space has been on hardware that an earlier try or run requested."""
        if before.is_billed and before.hardware != snapshot.hardware:
            self.add(before, since=app_started(self._task.hook, repo_id, self._task.log))

    def note_request(
        self, context: Context, repo_id: str, before: SpaceRuntime | None, answer: SpaceRuntime | None
    ) -> None:
        """Note the state before a request and the Hub's answer to it."""
        for runtime in (before, answer):
            if runtime is not None:
                self.add(runtime)
        self.push(context, repo_id)

    def note_change(self, repo_id: str) -> Callable[[SpaceRuntime, float], None]:
        """What a wait in the worker calls with each new state: notes and logs it."""
        from airflow_provider_hfspaces.hub.steps import describe

        def note(runtime: SpaceRuntime, elapsed: float) -> None:
            self.add_change(runtime, elapsed)
            self._task.log.info("%4.0f s  %s is %s", elapsed, repo_id, describe(runtime))

        return note

    @contextmanager
    def pushing(self, context: Context, repo_id: str) -> Iterator[None]:
        """Push what a wait has seen of the Space if the wait fails."""
        try:
            yield
        except BaseException:
            # What a run cost matters less than why its wait failed.
            with suppress(Exception):
                self.push(context, repo_id)
            raise


def push_sightings(context: Context, repo_id: str, seen: SeenSpace) -> None:
    """Push what a task has seen of its Space, for the task that computes the cost of the run."""
    requested = {each.destination for each in seen.sightings if each.destination}
    requested |= {each.hardware for each in seen.sightings[-1:] if each.hardware}
    payload = {"repo_id": repo_id, "requested": sorted(requested), "sightings": seen.to_list()}
    context["ti"].xcom_push(key=SIGHTINGS, value=payload)


def report_run_cost(
    task: Any,
    context: Context,
    repo_id: str,
    cost: RunCost,
    *,
    began: datetime | None = None,
    is_recorded: bool = True,
) -> dict[str, Any]:
    """Log the cost of a run, push it as the XCom ``cost``, and record it for the cost page.

    :param task: the operator that reports.
    :param repo_id: the Space, as ``owner/name``.
    :param began: when the window of the run began. The run, the Space and this moment identify the window,
        which is recorded once.
    :param is_recorded: whether the metrics and the cost page count it; not if another task reports these
        minutes too.
    :returns: ``cost_usd``, ``billed_seconds`` and ``billed_hardware``, for the result of the task.
    """
    from airflow_provider_hfspaces.metrics import run_ended
    from airflow_provider_hfspaces.state.run_costs import record_run_cost, window_of_run

    ti = context["ti"]
    task.log.info("Space %s: %s.", repo_id, cost.in_words())
    payload = cost.to_dict()
    ti.xcom_push(key=COST, value=payload)
    map_index = getattr(ti, "map_index", None)
    map_index = -1 if map_index is None else map_index
    window = window_of_run(began or ti.task_id, ti.run_id, repo_id, map_index)
    if is_recorded:
        run_ended(cost)
        record_run_cost(repo_id, cost, window, dag_id=ti.dag_id, in_crowd=map_index >= 0)
    return {
        "cost_usd": payload["cost_usd"],
        "billed_seconds": payload["billed_seconds"],
        "billed_hardware": payload["hardware"],
    }


def is_in_window(task: Any, context: Context, repo_id: str) -> bool:
    """Whether another task reports the minutes of a task: its group's, or a restore that follows it."""
    for task_id in requests_around(task, context.get("dag")):
        seen = pull(context, task_id, SIGHTINGS)
        if isinstance(seen, dict) and str(seen.get("repo_id")).casefold() == repo_id.casefold():
            return True
    group = getattr(task, "task_group", None)
    while group is not None:
        if getattr(group, "reports_cost", False):
            return True
        group = getattr(group, "parent_group", None)
    return False
