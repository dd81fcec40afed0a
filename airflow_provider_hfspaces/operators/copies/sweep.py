"""CopySweep, the work of DeleteCopiesOperator: find the copies that were left behind, and delete them.

Only a running task imports this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.bulk.queue import PARALLEL_LOOKS, Quota, in_parallel, queue_client
from airflow_provider_hfspaces.hub.cost.runs import RESULT_KEYS
from airflow_provider_hfspaces.hub.errors import HubError, HubPermissionError, SpaceNotFound
from airflow_provider_hfspaces.operators.fleet.target import FAILED, LEFT_ALONE
from airflow_provider_hfspaces.operators.repository.delete import delete_once
from airflow_provider_hfspaces.state.best_effort import only_logged
from airflow_provider_hfspaces.state.copies import (
    CopyMark,
    forget_user,
    is_copy_name,
    is_left_behind,
    sightings_of_copy,
)
from airflow_provider_hfspaces.state.leases import Owners
from airflow_provider_hfspaces.state.pricing import cost_of_sightings
from airflow_provider_hfspaces.state.run_costs import report_cost

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.cost.runs import Sighting
    from airflow_provider_hfspaces.operators.copies.delete import DeleteCopiesOperator

__all__ = ["CopySweep"]


class CopySweep:
    """Deletes the copies of Spaces that runs have left behind.

    :param task: the operator.
    """

    def __init__(self, task: DeleteCopiesOperator) -> None:
        self._task = task

    def entries(self) -> Iterator[dict[str, Any]]:
        """Delete one copy after the other, and yield its entry in the report."""
        owners = Owners()
        for repo_id, mark in self._marks().items():
            if mark is not None:
                yield self._entry(repo_id, mark, owners)

    def _marks(self) -> dict[str, CopyMark | Exception | None]:
        """The marks of the Spaces with the name of a copy, or the errors of reading them."""
        sender = queue_client(self._task.hook.client, self._task.killed, PARALLEL_LOOKS)

        def read(repo_id: str) -> tuple[CopyMark | None]:
            variables = sender.send(calls.get_variables(repo_id))
            return (CopyMark.from_variables(repo_id, variables),)

        try:
            results = in_parallel(
                [repo_id for repo_id in self._named_or_listed() if is_copy_name(repo_id)],
                read,
                quota=Quota(self._task.hook.client.budget),
                parallel=PARALLEL_LOOKS,
                stop=self._task.killed,
            )
            return {each.item: each.value[0] if each.value else each.error for each in results}
        finally:
            sender.close()

    def _named_or_listed(self) -> list[str]:
        if self._task.repo_ids is not None:
            return self._task.named()
        selection = self._task.selection()
        return [space.id for space in self._task.listed() if selection.matches(space)]

    def _entry(self, repo_id: str, mark: CopyMark | Exception, owners: Owners) -> dict[str, Any]:
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
            self._task.log.error("Space %s: its mark could not be read. %s", repo_id, mark)
            return {**entry, "outcome": FAILED, "error": str(mark)}
        entry["source"] = mark.source_id
        must_go, reason = is_left_behind(mark, owners)
        if not must_go:
            self._task.log.info("Space %s is left alone: %s.", repo_id, reason)
            return {**entry, "reason": reason}
        if self._task.changes_nothing:
            self._task.log.info("Space %s would be deleted: %s.", repo_id, reason)
            return {**entry, "reason": reason, "outcome": "would be deleted"}
        return {**entry, "reason": reason, **self._delete(mark, reason, owners)}

    def _delete(self, mark: CopyMark, reason: str, owners: Owners) -> dict[str, Any]:
        """Delete a copy, after a second look at the Space and at its run."""
        repo_id = mark.copy_id
        try:
            # First, so that no other request stands between the last look at the copy and its deletion.
            seen = self._seen(mark)
            if problem := self._changed(mark):
                self._task.log.warning("Space %s is left alone: %s.", repo_id, problem)
                return {"outcome": LEFT_ALONE, "reason": problem}
            must_go, since = is_left_behind(mark, owners)
            if not must_go:
                return {"outcome": LEFT_ALONE, "reason": since}
            delete_once(self._task.hook, repo_id, self._task.log)
        except HubError as error:
            self._task.log.error("Space %s could not be deleted: %s", repo_id, error)
            return {"outcome": FAILED, "error": str(error)}
        self._task.log.warning("Space %s is deleted, a copy of %s: %s.", repo_id, mark.source_id, reason)
        cost = self._report_cost(mark, seen, owners)
        if owners.owner(mark.as_holder()) is not None:
            forget_user(mark)
        return {"outcome": "deleted", **cost}

    def _seen(self, mark: CopyMark) -> list[Sighting]:
        """What is known of the bill of a copy. A failure is only logged: the copy has to go."""
        with only_logged(self._task.log, f"Space {mark.copy_id}: what it cost is not known"):
            runtime = self._task.hook.get_runtime(mark.copy_id)
            return sightings_of_copy(self._task.hook, mark, runtime, self._task.hook.clock(), self._task.log)
        return []

    def _report_cost(self, mark: CopyMark, seen: list[Sighting], owners: Owners) -> dict[str, Any]:
        """Report what a copy cost, for the DAG of its run. A failure is only logged."""
        if not seen:
            return {}
        with only_logged(self._task.log, f"Space {mark.copy_id}: what it cost is not known"):
            requested = {each.hardware for each in seen if each.hardware}
            cost = cost_of_sightings(self._task.hook, seen, requested, self._task.log)
            user = owners.owner(mark.as_holder())
            report_cost(mark.copy_id, cost, user, self._task.log, began=mark.since)
            return cost.to_result()
        return {}

    def _changed(self, mark: CopyMark) -> str | None:
        """Why a Space is not, or no longer, the copy that its mark describes; ``None`` if it is."""
        try:
            space = self._task.hook.get_space(mark.copy_id, expand=("createdAt", "private"))
            variables = self._task.hook.get_variables(mark.copy_id)
        except SpaceNotFound:
            return "it no longer exists"
        if space.id.lower() != mark.copy_id.lower():
            return f"it was renamed to {space.id}"
        if space.private is not True:
            return "it is not private any more"
        if CopyMark.from_variables(mark.copy_id, variables) != mark:
            return "its mark has changed"
        return None if mark.fits(space) else "it is older than its mark"
