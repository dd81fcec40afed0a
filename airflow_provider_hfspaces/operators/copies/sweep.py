"""DeleteCopiesOperator: delete the copies of Spaces that crashes left behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.operators.fleet.selecting import SafetyNetOperator

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.cost.runs import Sighting
    from airflow_provider_hfspaces.state.copies import CopyMark
    from airflow_provider_hfspaces.state.leases import Owners

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
        from airflow_provider_hfspaces.state.leases import Owners

        owners = Owners()
        for repo_id, mark in self._marks().items():
            if mark is not None:
                yield self._entry(repo_id, mark, owners)

    def _marks(self) -> dict[str, CopyMark | Exception | None]:
        """The marks of the Spaces with the name of a copy, or the errors of reading them."""
        from airflow_provider_hfspaces.hub import calls
        from airflow_provider_hfspaces.hub.bulk.queue import PARALLEL_LOOKS, Quota, in_parallel, queue_client
        from airflow_provider_hfspaces.state.copies import CopyMark, is_copy_name

        sender = queue_client(self.hook.client, self.killed, PARALLEL_LOOKS)

        def read(repo_id: str) -> tuple[CopyMark | None]:
            variables = sender.send(calls.get_variables(repo_id))
            return (CopyMark.from_variables(repo_id, variables),)

        try:
            results = in_parallel(
                [repo_id for repo_id in self._named_or_listed() if is_copy_name(repo_id)],
                read,
                quota=Quota(self.hook.client.budget),
                parallel=PARALLEL_LOOKS,
                stop=self.killed,
            )
            return {each.item: each.value[0] if each.value else each.error for each in results}
        finally:
            sender.close()

    def _named_or_listed(self) -> list[str]:
        if self.repo_ids is not None:
            return self.named()
        selection = self.selection()
        return [space.id for space in self.listed() if selection.matches(space)]

    def _entry(self, repo_id: str, mark: CopyMark | Exception, owners: Owners) -> dict[str, Any]:
        from airflow_provider_hfspaces.hub.cost.runs import RESULT_KEYS
        from airflow_provider_hfspaces.hub.errors import HubPermissionError, SpaceNotFound
        from airflow_provider_hfspaces.operators.fleet.target import FAILED, LEFT_ALONE
        from airflow_provider_hfspaces.state.copies import is_left_behind

        entry: dict[str, Any] = {
            "repo_id": repo_id,
            "source": None,
            "reason": None,
            "outcome": LEFT_ALONE,
            "error": None,
            **dict.fromkeys(RESULT_KEYS),
        }
        if isinstance(mark, SpaceNotFound):
            return {**entry, "reason": "it no longer exists"}
        if isinstance(mark, HubPermissionError):
            return {**entry, "reason": "the token may not read its variables"}
        if isinstance(mark, Exception):
            self.log.error("Space %s: its mark could not be read. %s", repo_id, mark)
            return {**entry, "outcome": FAILED, "error": str(mark)}
        entry["source"] = mark.source_id
        must_go, reason = is_left_behind(mark, owners)
        if not must_go:
            self.log.info("Space %s is left alone: %s.", repo_id, reason)
            return {**entry, "reason": reason}
        if self.changes_nothing:
            self.log.info("Space %s would be deleted: %s.", repo_id, reason)
            return {**entry, "reason": reason, "outcome": "would be deleted"}
        return {**entry, "reason": reason, **self._delete(mark, reason, owners)}

    def _delete(self, mark: CopyMark, reason: str, owners: Owners) -> dict[str, Any]:
        """Delete a copy, after a second look at the Space and at its run."""
        from airflow_provider_hfspaces.hub.errors import HubError
        from airflow_provider_hfspaces.operators.fleet.target import FAILED, LEFT_ALONE
        from airflow_provider_hfspaces.operators.repository.delete import delete_once
        from airflow_provider_hfspaces.state.copies import forget_user, is_left_behind

        repo_id = mark.copy_id
        try:
            # First, so that no other request stands between the last look at the copy and its deletion.
            seen = self._seen(mark)
            if problem := self._changed(mark):
                self.log.warning("Space %s is left alone: %s.", repo_id, problem)
                return {"outcome": LEFT_ALONE, "reason": problem}
            must_go, since = is_left_behind(mark, owners)
            if not must_go:
                return {"outcome": LEFT_ALONE, "reason": since}
            delete_once(self.hook, repo_id, self.log)
        except HubError as error:
            self.log.error("Space %s could not be deleted: %s", repo_id, error)
            return {"outcome": FAILED, "error": str(error)}
        self.log.warning("Space %s is deleted, a copy of %s: %s.", repo_id, mark.source_id, reason)
        cost = self._report_cost(mark, seen, owners)
        if owners.owner(mark.as_holder()) is not None:
            forget_user(mark)
        return {"outcome": "deleted", **cost}

    def _seen(self, mark: CopyMark) -> list[Sighting]:
        """What is known of the bill of a copy. A failure is only logged: the copy has to go."""
        from airflow_provider_hfspaces.state.best_effort import only_logged
        from airflow_provider_hfspaces.state.copies import sightings_of_copy

        with only_logged(self.log, f"Space {mark.copy_id}: what it cost is not known"):
            runtime = self.hook.get_runtime(mark.copy_id)
            return sightings_of_copy(self.hook, mark, runtime, self.hook.clock(), self.log)
        return []

    def _report_cost(self, mark: CopyMark, seen: list[Sighting], owners: Owners) -> dict[str, Any]:
        """Report what a copy cost, for the DAG of its run. A failure is only logged."""
        from airflow_provider_hfspaces.state.best_effort import only_logged
        from airflow_provider_hfspaces.state.pricing import cost_of_sightings
        from airflow_provider_hfspaces.state.run_costs import report_cost

        if not seen:
            return {}
        with only_logged(self.log, f"Space {mark.copy_id}: what it cost is not known"):
            requested = {each.hardware for each in seen if each.hardware}
            cost = cost_of_sightings(self.hook, seen, requested, self.log)
            user = owners.owner(mark.as_holder())
            report_cost(mark.copy_id, cost, user, self.log, began=mark.since)
            return cost.to_result()
        return {}

    def _changed(self, mark: CopyMark) -> str | None:
        """Why a Space is not, or no longer, the copy that its mark describes; ``None`` if it is."""
        from airflow_provider_hfspaces.hub.errors import SpaceNotFound
        from airflow_provider_hfspaces.state.copies import CopyMark

        try:
            space = self.hook.get_space(mark.copy_id, expand=("createdAt", "private"))
            variables = self.hook.get_variables(mark.copy_id)
        except SpaceNotFound:
            return "it no longer exists"
        if space.id.lower() != mark.copy_id.lower():
            return f"it was renamed to {space.id}"
        if space.private is not True:
            return "it is not private any more"
        if CopyMark.from_variables(mark.copy_id, variables) != mark:
            return "its mark has changed"
        return None if mark.fits(space) else "it is older than its mark"
