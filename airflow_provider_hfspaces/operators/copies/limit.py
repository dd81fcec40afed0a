"""LimitCopyCostOperator: delete a copy when it has cost too much."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from airflow_provider_hfspaces.operators.copies.window import DeleteCopyOperator, reserved_mark
from airflow_provider_hfspaces.operators.cost_limits import CostLimit

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.cost.runs import Sighting

__all__ = ["LimitCopyCostOperator"]


class LimitCopyCostOperator(CostLimit, DeleteCopyOperator):
    """Watch what a copy costs while tasks use it, and delete the copy when it has cost too much.

    The task ``limit`` of a SpaceCopyTaskGroup with ``max_run_cost``. It waits in the triggerer, without a
    worker, until the group has deleted the copy. When the estimated cost reaches the limit first, it deletes
    the copy itself and fails. Tasks of the work that are still running then find no copy.

    :param max_run_cost: USD. Templated.
    :param closing_task: the id of the task that deletes the copy after the work.
    """

    outcome = "The copy is deleted"

    def look(self, repo_id: str, context: Context) -> tuple[list[Sighting], Iterable[str]] | None:
        from airflow_provider_hfspaces.hub.errors import SpaceNotFound

        mark = reserved_mark(self, context)
        assert mark is not None
        try:
            runtime = self.hook.get_runtime(repo_id)
        except SpaceNotFound:
            self.log.info("Space %s is deleted already.", repo_id)
            return None
        seen = self.sightings(mark, runtime, context)
        return seen, {each.hardware for each in seen if each.hardware} | {str(runtime.configured_hardware)}

    def machines(self, seen: Sequence[Sighting], requested: Iterable[str]) -> list[tuple[str, int]]:
        return [(hardware, 1) for hardware in requested]

    def reached(self, repo_id: str, used: str, limit: float) -> str:
        return (
            f"Space {repo_id}: this run used {used}, which reaches max_run_cost={limit}. The copy is "
            f"deleted; tasks that are still running find no copy. Raise max_run_cost, or do less in one run."
        )
