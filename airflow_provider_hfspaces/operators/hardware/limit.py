"""LimitRunCostOperator: restore a Space when the run has cost too much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.operators.cost_limits import CostLimit
from airflow_provider_hfspaces.operators.hardware.restore import RestoreHardwareOperator

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.cost.runs import Sighting

__all__ = ["LimitRunCostOperator"]


class LimitRunCostOperator(CostLimit, RestoreHardwareOperator):
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

    outcome = "The Space is restored"

    def look(self, repo_id: str, context: Context) -> tuple[list[Sighting], Iterable[str]] | None:
        from airflow_provider_hfspaces.hub.cost.runs import sightings_from
        from airflow_provider_hfspaces.operators.hardware.window_cost import known_window

        window = known_window(self, repo_id, context)
        if window is None:
            self.log.info("Space %s: this run requested no hardware, so that it costs nothing.", repo_id)
            return None
        runtime = self.hook.get_runtime(repo_id)
        if runtime.configured_hardware not in window["requested"]:
            self.log.info("Space %s is on %s already.", repo_id, runtime.configured_hardware)
            return None
        self.seen.add(runtime)
        return [*sightings_from(window["sightings"]), *self.seen.sightings], window["requested"]

    def machines(self, seen: Sequence[Sighting], requested: Iterable[str]) -> list[tuple[str, int]]:
        return [(str(seen[-1].hardware or seen[-1].destination), seen[-1].replicas)]

    def reached(self, repo_id: str, used: str, limit: float) -> str:
        return (
            f"Space {repo_id}: this run used {used}, which reaches max_run_cost={limit}. The Space is "
            f"restored; tasks that are still running find other hardware. Raise max_run_cost, or do less in "
            f"one run."
        )

    def look_again(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Continue after the watch in the triggerer.

        :param event: the trigger's event. It carries what the trigger has seen of the Space.
        """
        self.seen.extend(event["changes"])
        return super().look_again(context, event)
