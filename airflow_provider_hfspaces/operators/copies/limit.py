"""LimitCopyCostOperator: delete a copy when it has cost too much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.operators.base import BACKSTOP_SECONDS
from airflow_provider_hfspaces.operators.copies.window import DeleteCopyOperator, reserved_mark
from airflow_provider_hfspaces.operators.hardware.budgets import known_run_cost
from airflow_provider_hfspaces.state.records import task_ids_named

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.cost.runs import Sighting

__all__ = ["LimitCopyCostOperator"]

_LONGEST_WATCH_SECONDS = 30 * 24 * 3600.0


class LimitCopyCostOperator(DeleteCopyOperator):
    """Watch what a copy costs while tasks use it, and delete the copy when it has cost too much.

    The task ``limit`` of a SpaceCopyTaskGroup with ``max_run_cost``. It waits in the triggerer, without a
    worker, until the group has deleted the copy. When the estimated cost reaches the limit first, it deletes
    the copy itself and fails. Tasks of the work that are still running then find no copy.

    :param max_run_cost: USD. Templated.
    :param closing_task: the id of the task that deletes the copy after the work.
    """

    template_fields: Sequence[str] = (*DeleteCopyOperator.template_fields, "max_run_cost")

    def __init__(self, *, max_run_cost: float | str, closing_task: str = "delete", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_run_cost = max_run_cost
        self.closing_task = closing_task

    def act(self, repo_id: str, context: Context) -> Any:
        from airflow_provider_hfspaces.hub.checks import InvalidNumber
        from airflow_provider_hfspaces.hub.errors import SpaceNotFound
        from airflow_provider_hfspaces.state.pricing import cost_of_sightings

        try:
            limit = known_run_cost(self.max_run_cost)
        except InvalidNumber as error:
            super().act(repo_id, context)
            raise AirflowFailException(
                f"Space {repo_id}: {error} The copy is deleted, because nothing bounds what the run costs."
            ) from None
        if limit is None:
            self.log.info("Space %s: max_run_cost is empty: the run has no limit.", repo_id)
            return None
        mark = reserved_mark(self, context)
        assert mark is not None
        try:
            runtime = self.hook.get_runtime(repo_id)
        except SpaceNotFound:
            self.log.info("Space %s is deleted already.", repo_id)
            return None
        seen = self.sightings(mark, runtime, context)
        requested = {each.hardware for each in seen if each.hardware} | {str(runtime.configured_hardware)}
        cost = cost_of_sightings(self.hook, seen, requested, self.log, needs_prices=True)
        if cost.times and (cost.usd is None or cost.usd >= limit):
            super().act(repo_id, context)
            raise AirflowFailException(
                f"Space {repo_id}: this run used {cost.in_words()}, which reaches max_run_cost={limit}. The "
                f"copy is deleted; tasks that are still running find no copy. Raise max_run_cost, or do less "
                f"in one run."
            )
        self.log.info("Space %s: %s so far, of max_run_cost=%s.", repo_id, cost.in_words(), limit)
        self._watch(repo_id, context, seen, requested, limit)
        return None

    def look_again(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Continue after the watch in the triggerer.

        :param event: the trigger's event.
        """
        if event["status"] == "reached":
            return self.execute(context)
        if event["status"] == "unwatched":
            self.log.warning(
                "Space %s: no triggerer watches this run, as in dag.test(): max_run_cost does not end it.",
                event["repo_id"],
            )
        return None

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Look again if Airflow has ended the deferral because no triggerer watches."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except Exception as error:
            # TaskDeferralTimeout on Airflow 3, TaskDeferralError("Trigger/execution timeout") on 2.11.
            if next_method == "__fail__" and "timeout" in f"{type(error).__name__} {error}".lower():
                return self.execute(context)
            raise

    def _watch(
        self, repo_id: str, context: Context, seen: list[Sighting], requested: set[str], limit: float
    ) -> None:
        """Defer. Does not return."""
        from airflow_provider_hfspaces.triggers.costs import RunCostTrigger

        ti = context["ti"]
        map_index = getattr(ti, "map_index", None)
        closing = task_ids_named(context.get("dag"), self.closing_task, self.task_id) or [self.closing_task]
        self.defer(
            trigger=RunCostTrigger(
                repo_id=repo_id,
                max_run_cost=limit,
                requested=sorted(requested),
                sightings=[each.to_dict() for each in seen],
                dag_id=ti.dag_id,
                run_id=ti.run_id,
                map_index=-1 if map_index is None else map_index,
                closing_task=closing[-1],
                hf_spaces_conn_id=self.hf_spaces_conn_id,
            ),
            method_name="look_again",
            timeout=timedelta(seconds=self._seconds_left(requested, limit) + BACKSTOP_SECONDS),
        )

    def _seconds_left(self, requested: set[str], limit: float) -> float:
        """Seconds until the limit would be reached without a break, on the cheapest of the hardware."""
        from airflow_provider_hfspaces.hub.errors import HubError

        try:
            prices = self.hook.price_list()
        except HubError:
            return _LONGEST_WATCH_SECONDS
        minutes = [prices.of_minutes(hardware, 1) for hardware in requested]
        known = [minute for minute in minutes if minute]
        return min(limit / min(known) * 60, _LONGEST_WATCH_SECONDS) if known else _LONGEST_WATCH_SECONDS
