"""LimitRunCostOperator: restore a Space when the run has cost too much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.operators.base import BACKSTOP_SECONDS
from airflow_provider_hfspaces.operators.hardware.budgets import known_run_cost
from airflow_provider_hfspaces.operators.hardware.restore import RestoreHardwareOperator

__all__ = ["LimitRunCostOperator"]

_LONGEST_WATCH_SECONDS = 30 * 24 * 3600.0


class LimitRunCostOperator(RestoreHardwareOperator):
    """Watch what a run costs while its tasks run, and restore the Space when it has cost too much.

    The task ``limit`` of a SpaceHardwareTaskGroup with ``max_run_cost``. It waits in the triggerer, without a
    worker, until the group has restored the Space. When the estimated cost reaches the limit first, ``limit``
    restores the Space itself, ends the lease and fails. Tasks of the work that are still running continue on
    other hardware: Airflow offers tasks no way to end other tasks.

    The estimate counts begun minutes, and checks the hardware every 30 seconds. The Hub also bills the time
    that the restore takes.

    :param max_run_cost: USD. Templated.
    :param closing_task: the id of the task that restores the Space after the work.
    """

    template_fields: Sequence[str] = (*RestoreHardwareOperator.template_fields, "max_run_cost")

    def __init__(self, *, max_run_cost: float | str, closing_task: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_run_cost = max_run_cost
        self.closing_task = closing_task

    def act(self, repo_id: str, context: Context) -> Any:
        from airflow_provider_hfspaces.hub.checks import InvalidNumber
        from airflow_provider_hfspaces.operators.hardware.window_cost import known_window, window_cost

        try:
            limit = known_run_cost(self.max_run_cost)
        except InvalidNumber as error:
            super().act(repo_id, context)
            raise AirflowFailException(
                f"Space {repo_id}: {error} The Space is restored, because nothing bounds what the run costs."
            ) from None
        if limit is None:
            self.log.info("Space %s: max_run_cost is empty: the run has no limit.", repo_id)
            return None
        window = known_window(self, repo_id, context)
        if window is None:
            self.log.info("Space %s: this run requested no hardware, so that it costs nothing.", repo_id)
            return None
        runtime = self.hook.get_runtime(repo_id)
        if runtime.configured_hardware not in window["requested"]:
            self.log.info("Space %s is on %s already.", repo_id, runtime.configured_hardware)
            return None
        self.seen.add(runtime)
        cost = window_cost(self, window, needs_prices=True)
        if cost.times and (cost.usd is None or cost.usd >= limit):
            self._end(repo_id, context, cost.in_words(), limit)
        self.log.info("Space %s: %s so far, of max_run_cost=%s.", repo_id, cost.in_words(), limit)
        self._watch(repo_id, context, window, limit)
        return None

    def look_again(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Continue after the watch in the triggerer.

        :param event: the trigger's event. It carries what the trigger has seen of the Space.
        """
        self.seen.extend(event["changes"])
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

    def _end(self, repo_id: str, context: Context, cost: str, limit: float) -> None:
        super().act(repo_id, context)
        raise AirflowFailException(
            f"Space {repo_id}: this run used {cost}, which reaches max_run_cost={limit}. The Space is "
            f"restored; tasks that are still running find other hardware. Raise max_run_cost, or do less in "
            f"one run."
        )

    def _watch(self, repo_id: str, context: Context, window: dict[str, Any], limit: float) -> None:
        """Defer. Does not return."""
        from airflow_provider_hfspaces.triggers.costs import RunCostTrigger

        ti = context["ti"]
        map_index = getattr(ti, "map_index", None)
        self.defer(
            trigger=RunCostTrigger(
                repo_id=repo_id,
                max_run_cost=limit,
                requested=window["requested"],
                sightings=[*window["sightings"], *self.seen.to_list()],
                dag_id=ti.dag_id,
                run_id=ti.run_id,
                map_index=-1 if map_index is None else map_index,
                closing_task=self._closing_task_id(context),
                hf_spaces_conn_id=self.hf_spaces_conn_id,
            ),
            method_name="look_again",
            timeout=timedelta(seconds=self._seconds_left(limit) + BACKSTOP_SECONDS),
        )

    def _closing_task_id(self, context: Context) -> str:
        from airflow_provider_hfspaces.state.records import task_ids_named

        return (task_ids_named(context.get("dag"), self.closing_task, self.task_id) or [self.closing_task])[
            -1
        ]

    def _seconds_left(self, limit: float) -> float:
        """Seconds until the limit would be reached without a break, on the latest hardware."""
        from airflow_provider_hfspaces.hub.errors import HubError

        last = self.seen.sightings[-1]
        hardware = last.hardware or last.destination
        try:
            minute = self.hook.price_list().of_minutes(str(hardware), last.replicas)
        except HubError:
            minute = None
        return min(limit / minute * 60, _LONGEST_WATCH_SECONDS) if minute else _LONGEST_WATCH_SECONDS
