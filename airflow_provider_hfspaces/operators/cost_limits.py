"""Limits for the cost of a run: what the tasks ``limit`` of both task groups share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.operators.base import BACKSTOP_SECONDS, SpaceOperator, has_ended_deferral

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.cost.runs import Sighting

__all__ = ["CostLimit"]

_LONGEST_WATCH_SECONDS = 30 * 24 * 3600.0


class CostLimit(SpaceOperator):
    """Base of an operator that takes a Space from a run when the run has cost too much.

    Stands before the operator that takes the Space among the bases of a class. Until the cost reaches the
    limit, the task waits in the triggerer, without a worker. The task ends when the run restores the Space,
    or deletes the copy, by itself.

    :param max_run_cost: USD. Templated.
    :param closing_task: the id of the task that restores the Space, or deletes the copy, after the work.
    """

    outcome: str
    """What has become of the Space when the limit is not valid: the beginning of a sentence."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Those of the operator that takes the Space, which stands behind this class among the bases.
        cls.template_fields = (*super().template_fields, "max_run_cost")

    def __init__(self, *, max_run_cost: float | str, closing_task: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_run_cost = max_run_cost
        self.closing_task = closing_task

    @abstractmethod
    def look(self, repo_id: str, context: Context) -> tuple[list[Sighting], Iterable[str]] | None:
        """Look at the Space.

        :returns: what the run has seen of its Space until now, and the flavors that it requested; ``None`` if
            the run has no cost any more.
        """

    @abstractmethod
    def machines(self, seen: Sequence[Sighting], requested: Iterable[str]) -> Iterable[tuple[str, int]]:
        """The flavors, with their replicas, by which the run may reach the limit."""

    @abstractmethod
    def reached(self, repo_id: str, used: str, limit: float) -> str:
        """The error of the task after the run has reached the limit.

        :param used: the hardware, its time and its cost, in words.
        """

    def act(self, repo_id: str, context: Context) -> Any:
        from airflow_provider_hfspaces.hub.checks import InvalidNumber
        from airflow_provider_hfspaces.operators.hardware.budgets import known_run_cost
        from airflow_provider_hfspaces.state.pricing import cost_of_sightings

        try:
            limit = known_run_cost(self.max_run_cost)
        except InvalidNumber as error:
            super().act(repo_id, context)  # type: ignore[safe-super]
            raise AirflowFailException(
                f"Space {repo_id}: {error} {self.outcome}, because nothing bounds what the run costs."
            ) from None
        if limit is None:
            self.log.info("Space %s: max_run_cost is empty: the run has no limit.", repo_id)
            return None
        sighted = self.look(repo_id, context)
        if sighted is None:
            return None
        seen, requested = sighted
        cost = cost_of_sightings(self.hook, seen, requested, self.log, needs_prices=True)
        if cost.times and (cost.usd is None or cost.usd >= limit):
            super().act(repo_id, context)  # type: ignore[safe-super]
            raise AirflowFailException(self.reached(repo_id, cost.in_words(), limit))
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
            if has_ended_deferral(next_method, error):
                return self.execute(context)
            raise

    def _watch(
        self, repo_id: str, context: Context, seen: list[Sighting], requested: Iterable[str], limit: float
    ) -> None:
        """Defer. Does not return."""
        from airflow_provider_hfspaces.state.records import task_ids_named
        from airflow_provider_hfspaces.triggers.costs import RunCostTrigger

        ti = context["ti"]
        map_index = getattr(ti, "map_index", None)
        closing = task_ids_named(context.get("dag"), self.closing_task, self.task_id) or [self.closing_task]
        seconds = self._seconds_left(self.machines(seen, requested), limit)
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
            timeout=timedelta(seconds=seconds + BACKSTOP_SECONDS),
        )

    def _seconds_left(self, machines: Iterable[tuple[str, int]], limit: float) -> float:
        """Seconds until the limit would be reached without a break, on the cheapest of the machines."""
        from airflow_provider_hfspaces.state.pricing import prices_or_none

        prices = prices_or_none(
            self.hook, "When the run would reach max_run_cost is not known", self.log.info
        )
        if prices is None:
            return _LONGEST_WATCH_SECONDS
        minutes = [prices.of_minutes(hardware, replicas) for hardware, replicas in machines]
        known = [minute for minute in minutes if minute]
        return min(limit / min(known) * 60, _LONGEST_WATCH_SECONDS) if known else _LONGEST_WATCH_SECONDS
