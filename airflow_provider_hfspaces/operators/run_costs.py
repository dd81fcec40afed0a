"""What the operators see of a Space while they work, and report about the cost of a run.

Come here to change what of a run's cost is logged, pushed and recorded, and what its operators note for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hub.cost.runs import Sighting, Sightings, sightings_from
from airflow_provider_hfspaces.hub.steps import change_in_words
from airflow_provider_hfspaces.state.leases import LeaseOwner
from airflow_provider_hfspaces.state.pricing import app_started
from airflow_provider_hfspaces.state.records import COST, SIGHTINGS, pull, requests_around
from airflow_provider_hfspaces.state.run_costs import report_cost

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.cost.runs import RunCost
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
    from airflow_provider_hfspaces.operators.base import WaitingOperator

__all__ = [
    "SeenSpace",
    "is_in_window",
    "report_run_cost",
]


class SeenSpace:
    """What an operator has seen of its Space in this try, in order.

    An operator whose run has a cost pushes that as the XCom ``sightings``, also if it fails.

    :param task: the operator, with its hook and its log.
    """

    def __init__(self, task: WaitingOperator) -> None:
        self._task = task
        self._seen = Sightings()

    @property
    def sightings(self) -> list[Sighting]:
        """The sightings, the latest 200."""
        return list(self._seen)

    def add(self, runtime: SpaceRuntime, *, since: datetime | None = None) -> None:
        """Add what the Hub reports now.

        :param since: since when the Space has been in this state, if that is known.
        """
        self._seen.add(Sighting.from_runtime(runtime, self._task.hook.clock(), since=since))

    def extend(self, payload: Any) -> None:
        """Add what another task or a trigger has seen, from :meth:`to_list`."""
        self._seen.add(*sightings_from(payload))

    def to_list(self) -> list[dict[str, Any]]:
        """As plain JSON."""
        return self._seen.to_list()

    def push(self, context: Context, repo_id: str) -> None:
        """Push what this try has seen of the Space, for the task that computes the cost of the run."""
        if not self._task.records_sightings or not self._seen:
            return
        seen = self.sightings
        requested = {each.destination for each in seen if each.destination}
        requested |= {each.hardware for each in seen[-1:] if each.hardware}
        payload = {"repo_id": repo_id, "requested": sorted(requested), "sightings": self.to_list()}
        context["ti"].xcom_push(key=SIGHTINGS, value=payload)

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

        def note(runtime: SpaceRuntime, elapsed: float) -> None:
            self._seen.add_change(runtime, elapsed, self._task.hook.clock())
            self._task.log.info("%s", change_in_words(repo_id, runtime, elapsed))

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


def report_run_cost(
    task: Any,
    context: Context,
    repo_id: str,
    cost: RunCost,
    *,
    began: datetime | None = None,
    is_recorded: bool = True,
) -> dict[str, Any]:
    """Report the cost of a task's own run, and push it as the XCom ``cost``.

    :param task: the operator that reports.
    :param repo_id: the Space, as ``owner/name``.
    :param began: when the window of the run began; by default the task identifies the window.
    :param is_recorded: whether the metrics and the cost page count it; not if another task reports these
        minutes too.
    :returns: what :meth:`~airflow_provider_hfspaces.hub.cost.runs.RunCost.to_result` returns, for the result
        of the task.
    """

    context["ti"].xcom_push(key=COST, value=cost.to_dict())
    run = LeaseOwner.from_task_instance(context["ti"])
    report_cost(
        repo_id,
        cost,
        run,
        task.log,
        began=began or run.task_id,
        is_counted=is_recorded,
        in_crowd=run.map_index >= 0,
    )
    return cost.to_result()


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
