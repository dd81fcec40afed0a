"""DeleteCopiesOperator: delete the copies of Spaces that crashes left behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.operators.fleet.selecting import SafetyNetOperator

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context

__all__ = ["DeleteCopiesOperator"]


class DeleteCopiesOperator(SafetyNetOperator):
    """Delete the copies that a SpaceCopyTaskGroup has left behind.

    ::

        DeleteCopiesOperator(task_id="copies", author="acme")

    The second safety net, in addition to the sleep time of each copy, for runs that ended without the
    deletion: after a ``dagrun_timeout``, a dead host, or an outage of the Hub. Run it every ten minutes.

    A Space is deleted only if all of this is true:

    - its name and its variable ``AIRFLOW_COPY_OF`` mark it as a copy, and it is still private. A copy that
      somebody renamed or published is not deleted;
    - Airflow answers that the run of the copy has ended or does not exist any more. A copy of another
      Airflow is deleted when its mark has expired, after the group's ``copy_duration``.

    A copy whose run is still "running" because its DAG is paused or its DAG file is gone is deleted when its
    mark has expired and no task of the run is queued, running or deferred.

    Returns a list of ``{"repo_id", "source", "reason", "outcome", "error", "cost_usd", "billed_seconds",
    "billed_hardware"}``, one for each marked copy. An outcome is ``deleted``, ``would be deleted``, ``left
    alone`` or ``failed``. The task fails if a copy could not be deleted. What a deleted copy cost is an
    estimate from list prices, from the start of its app until now, and at most that if it has stopped by
    itself; the cost page counts it for the DAG of the run.

    Endpoints: ``GET /api/spaces``, for each Space with the name of a copy
    ``GET /api/spaces/{repo_id}/variables``, and for one that is deleted its runtime, its log, the price list
    and ``DELETE /api/repos/delete``.

    :param dry_run: delete nothing and report what would be deleted (default False).
    :raises AirflowFailException: for input that is not valid.
    """

    done = "deleted"
    nothing_left = "No Space is a marked copy."

    def entries(self, context: Context) -> Iterator[dict[str, Any]]:
        """Delete one copy after the other, and yield its entry in the report."""
        from airflow_provider_hfspaces.operators.copies.sweep import CopySweep

        return CopySweep(self).entries()
