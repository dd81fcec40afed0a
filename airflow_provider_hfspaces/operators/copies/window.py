"""The tasks of a SpaceCopyTaskGroup: reserve the name of a copy, create the copy, delete it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.hardware import is_one_flavor
from airflow_provider_hfspaces.operators.base import SpaceOperator
from airflow_provider_hfspaces.operators.duplicate import DuplicateSpaceOperator
from airflow_provider_hfspaces.operators.hardware.budgets import refuse_bad_budget, refuse_spent_budget
from airflow_provider_hfspaces.operators.values import KeepsText
from airflow_provider_hfspaces.state.records import (
    SEARCH,
    SIGHTINGS,
    pull,
    retry_while_tries_left,
    task_ids_named,
)
from airflow_provider_hfspaces.state.retry_store import DELETION, forget_of_task, retry_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_hfspaces.hub.cost.runs import Sighting
    from airflow_provider_hfspaces.hub.errors import HubError
    from airflow_provider_hfspaces.hub.models import SpaceInfo, SpaceRuntime
    from airflow_provider_hfspaces.state.copies import CopyMark

__all__ = ["COPY", "CreateCopyOperator", "DeleteCopyOperator", "ReserveCopyOperator", "reserved_mark"]

COPY = "copy"
"""The key of the mark of a copy: of the XCom of the reserving task, and in its retry store."""


class ReserveCopyOperator(KeepsText, SpaceOperator):
    """Choose the name of the copy that the tasks of a SpaceCopyTaskGroup use, and record its user.

    A retry, and the task after a clear, keep the name of a copy that exists. Nothing is sent that changes
    the Hub. Returns the mark; the XCom ``repo_id`` is the id of the copy.

    :param repo_id: the Space to copy. Templated.
    :param to_id: the owner of the copy and the beginning of its name (default: the connection's namespace or
        the token's owner, and the name of the Space). Templated.
    :param copy_duration: seconds after which the copy counts as left behind for another Airflow, and for this
        one if it no longer schedules the run.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "to_id")
    text_fields = ("to_id",)

    def __init__(
        self, *, to_id: str | None = None, copy_duration: float | str | timedelta = 24 * 3600, **kwargs: Any
    ) -> None:
        from airflow_provider_hfspaces.hub.seconds import checked_seconds

        super().__init__(**kwargs)
        self.to_id = to_id
        self.copy_duration = checked_seconds(copy_duration, f"copy_duration of task {self.task_id!r}")
        self.remember_text()

    def act(self, repo_id: str, context: Context) -> dict[str, str]:
        from airflow_provider_hfspaces.state.copies import CopyMark, remember_user
        from airflow_provider_hfspaces.state.leases import LeaseOwner

        store = retry_store(context)
        mark = CopyMark.from_dict(store.get(COPY))
        # The mark of a copy that is deleted, or was not created, may be about to expire.
        if mark is None or mark.source_id != repo_id or not self.hook.exists(mark.copy_id):
            base_id = self.hook.duplicate_target(repo_id, self.text("to_id", context))
            mark = CopyMark.new(repo_id, base_id, self.copy_duration)
            store.set(COPY, mark.to_dict())
        remember_user(mark, LeaseOwner.from_task_instance(context["ti"]))
        context["ti"].xcom_push(key="repo_id", value=mark.copy_id)
        context["ti"].xcom_push(key=COPY, value=mark.to_dict())
        self.log.info("The copy of Space %s for this run is %s.", repo_id, mark.copy_id)
        return mark.to_dict()


class CreateCopyOperator(DuplicateSpaceOperator):
    """Create the reserved copy in one request, and wait until it runs on its hardware and its app answers.

    A retry attaches to the copy, which its mark identifies. A copy that has failed, or that is on other
    hardware, is deleted and created again. The task makes no copy, and deletes one that it has just made, if
    the task that deletes the copy has already ended: a worker may have been frozen meanwhile.

    :param reserve_task: id of the :class:`ReserveCopyOperator` in the same task group.
    :param delete_task: id of the :class:`DeleteCopyOperator` in the same task group.
    :param monthly_budget: USD that the owner of the copy may spend on Spaces a month (default:
        ``[hf_spaces] monthly_budget``, otherwise no limit). Templated.
    :param require_budget: make no copy either if it is not known what the owner has spent.
    """

    template_fields: Sequence[str] = (*DuplicateSpaceOperator.template_fields, "monthly_budget")

    def __init__(
        self,
        *,
        reserve_task: str = "reserve",
        delete_task: str = "delete",
        monthly_budget: float | str | None = None,
        require_budget: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(wait=True, **kwargs)
        refuse_bad_budget(monthly_budget, f"monthly_budget of task {self.task_id!r}")
        self.monthly_budget = monthly_budget
        self.require_budget = require_budget
        self.reserve_task = reserve_task
        self.delete_task = delete_task
        self._mark: CopyMark | None = None

    def act(self, repo_id: str, context: Context) -> Any:
        mark = reserved_mark(self, context)
        if mark is not None and mark.source_id == repo_id:
            self._refuse_if_over(mark, context)
            if not self._keeps_earlier_copy(mark):
                self._refuse_spent_budget(mark)
        return super().act(repo_id, context)

    def created(self, repo_id: str, context: Context) -> None:
        """Delete the copy at once if the request for it came too late."""
        from airflow_provider_hfspaces.operators.repository.delete import delete_once

        assert self._mark is not None
        self._push_sightings(context)
        try:
            self._refuse_if_over(self._mark, context)
        except AirflowFailException:
            delete_once(self.hook, repo_id, self.log)
            raise

    def _refuse_spent_budget(self, mark: CopyMark) -> None:
        refuse_spent_budget(
            self.hook,
            mark.copy_id,
            self.hardware if is_one_flavor(self.hardware) else None,
            None,
            monthly_budget=self.monthly_budget,
            required=self.require_budget,
            log=self.log,
        )

    def _refuse_if_over(self, mark: CopyMark, context: Context) -> None:
        from airflow_provider_hfspaces.state.copies import is_task_over

        for task_id in task_ids_named(context.get("dag"), self.delete_task, self.task_id):
            if is_task_over(context["ti"], task_id):
                raise AirflowFailException(
                    f"Space {mark.source_id} is not copied: task {task_id!r} has already ended, so that no "
                    f"task would delete {mark.copy_id}. Clear that task together with this one."
                )

    def target(self, repo_id: str, context: Context) -> str:
        self._mark = mark = reserved_mark(self, context)
        if mark is None or mark.source_id != repo_id:
            raise AirflowFailException(
                f"Space {repo_id} is not copied: task {self.reserve_task!r} has reserved "
                f"{f'a copy of {mark.source_id}' if mark else 'no copy'}. Clear that task together with this "
                f"one."
            )
        return mark.copy_id

    def variables_to_set(self, context: Context) -> Any:
        from airflow_provider_hfspaces.hub.calls.settings import checked_settings
        from airflow_provider_hfspaces.hub.checks import InvalidInput
        from airflow_provider_hfspaces.state.copies import COPY_OF

        assert self._mark is not None
        variables = checked_settings(super().variables_to_set(context) or {}, "variable")
        if any(each["key"] == COPY_OF for each in variables):
            raise InvalidInput(
                f"variables of task {self.task_id!r} has the key {COPY_OF}, which marks the copy. Choose "
                f"another key."
            )
        return [*variables, {"key": COPY_OF, "value": self._mark.to_variable()}]

    def recognize(self, space: SpaceInfo) -> bool:
        """Whether a Space is the copy that this group has reserved."""
        from airflow_provider_hfspaces.state.copies import CopyMark

        mark = self._mark
        if mark is None or space.private is not True or not mark.fits(space):
            return False
        return CopyMark.from_variables(space.id, self.hook.get_variables(space.id)) == mark

    def _keeps_earlier_copy(self, mark: CopyMark) -> bool:
        """Whether an earlier try made the copy. Deletes it if it does not run by itself any more."""
        from airflow_provider_hfspaces.hub.errors import SpaceNotFound
        from airflow_provider_hfspaces.hub.stages import FAILED_COPY_STAGES
        from airflow_provider_hfspaces.operators.repository.delete import delete_once

        self._mark = mark
        try:
            space = self.hook.get_space(mark.copy_id, expand=("createdAt", "private", "runtime"))
        except SpaceNotFound:
            return False
        runtime = space.runtime
        if runtime is None or not self.recognize(space):
            return False
        # Until its files are there, a copy seems to have no app.
        has_failed = runtime.stage in FAILED_COPY_STAGES
        is_elsewhere = isinstance(self.hardware, str) and not runtime.is_set_to(self.hardware)
        if not has_failed and not is_elsewhere:
            return True
        self.log.warning(
            "Space %s, the copy of an earlier try, is %s on %s. The copy is deleted and created again. %s",
            mark.copy_id,
            runtime.stage,
            runtime.configured_hardware,
            runtime.error_message or "",
        )
        delete_once(self.hook, mark.copy_id, self.log)
        return False

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> dict[str, Any]:
        result = super().waited(repo_id, runtime, context, **then)
        self._push_sightings(context, runtime)
        return {**result, "hardware": runtime.hardware}

    def _push_sightings(self, context: Context, runtime: SpaceRuntime | None = None) -> None:
        """Push since when the copy may exist, and since when it runs: ``delete`` computes its cost."""
        from airflow_provider_hfspaces.hub.cost.runs import Sighting
        from airflow_provider_hfspaces.state.pricing import running_since

        mark = reserved_mark(self, context)
        if mark is None:
            return
        sightings = [Sighting(mark.since, None)]
        if runtime is not None:
            sightings.append(running_since(self.hook, mark.copy_id, runtime, self.log))
        context["ti"].xcom_push(key=SIGHTINGS, value=[each.to_dict() for each in sightings])


class DeleteCopyOperator(SpaceOperator):
    """Delete the reserved copy, and log what it cost.

    It succeeds if the copy was never created. A Space without the mark of this copy, and a copy that somebody
    has published, is not deleted, and fails the task. If the Hub refuses the deletion for good, the copy is
    paused, which ends its bill, and the task fails.

    Returns ``{"repo_id", "deleted", "cost_usd", "billed_seconds", "billed_hardware"}``.

    :param reserve_task: id of the :class:`ReserveCopyOperator` in the same task group.
    :param create_task: id of the :class:`CreateCopyOperator` in the same task group.
    """

    def __init__(self, *, reserve_task: str = "reserve", create_task: str = "create", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reserve_task = reserve_task
        self.create_task = create_task

    def execute(self, context: Context) -> Any:
        if reserved_mark(self, context) is None:
            self.log.info("No copy was reserved: nothing is deleted.")
            return {"repo_id": None, "deleted": False}
        return super().execute(context)

    def space(self, context: Context) -> str:
        mark = reserved_mark(self, context)
        assert mark is not None
        return mark.copy_id

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        from airflow_provider_hfspaces.hub.cost.runs import sightings_from
        from airflow_provider_hfspaces.hub.errors import HubError

        mark = reserved_mark(self, context)
        assert mark is not None
        try:
            seen = self._delete(mark, context)
        except HubError as error:
            if not retry_while_tries_left(error, self, context) and error.permanent:
                self._pause(mark, error)
            raise
        store = retry_store(context)
        if seen is None:
            earlier = store.get(DELETION)
            if earlier is None:
                # The request for the copy may still be on its way: DeleteCopiesOperator has to know its run.
                return {"repo_id": repo_id, "deleted": False}
            seen = sightings_from(earlier.get("sightings"))
        cost = self._report_cost(mark, seen, context)
        self._forget(mark, context)
        store.delete(DELETION)
        return {"repo_id": repo_id, "deleted": True, **cost}

    def _report_cost(self, mark: CopyMark, seen: list[Sighting], context: Context) -> dict[str, Any]:
        """Report what the copy cost. A failure is only logged: the copy is gone."""
        from airflow_provider_hfspaces.operators.run_costs import report_run_cost
        from airflow_provider_hfspaces.state.best_effort import only_logged
        from airflow_provider_hfspaces.state.pricing import cost_of_sightings

        with only_logged(self.log, f"Space {mark.copy_id}: the cost of this run is not known"):
            requested = {each.hardware for each in seen if each.hardware}
            cost = cost_of_sightings(self.hook, seen, requested, self.log)
            return report_run_cost(self, context, mark.copy_id, cost, began=mark.since)
        return {}

    def sightings(self, mark: CopyMark, last: SpaceRuntime | None, context: Context) -> list[Sighting]:
        """What the task that created the copy has seen of it, and the last look at it."""
        from airflow_provider_hfspaces.hub.cost.runs import Sighting, sightings_from
        from airflow_provider_hfspaces.state.copies import sightings_of_copy

        seen: list[Sighting] = []
        for task_id in task_ids_named(context.get("dag"), self.create_task, self.task_id):
            seen += sightings_from(pull(context, task_id, SIGHTINGS))
        now = self.hook.clock()
        if last is None:
            return [*seen, Sighting(now, None)]
        if any(each.hardware for each in seen):
            return [*seen, Sighting.from_runtime(last, now)]
        return sightings_of_copy(self.hook, mark, last, now, self.log)

    def _delete(self, mark: CopyMark, context: Context) -> list[Sighting] | None:
        """Delete the copy. Returns what was seen of it, ``None`` if it does not exist."""
        from airflow_provider_hfspaces.hub.errors import SpaceNotFound
        from airflow_provider_hfspaces.operators.repository.delete import delete_once
        from airflow_provider_hfspaces.state.copies import CopyMark

        repo_id = mark.copy_id
        try:
            space = self.hook.get_space(repo_id, expand=("createdAt", "private", "runtime"))
            variables = self.hook.get_variables(repo_id)
        except SpaceNotFound:
            self.log.info("Space %s does not exist: it was not created, or is deleted already.", repo_id)
            return None
        if space.id.lower() != repo_id.lower():
            raise AirflowFailException(
                f"Space {repo_id} was renamed to {space.id} and is not deleted. Delete {space.id} on the Hub "
                f"if nobody needs it."
            )
        is_marked = CopyMark.from_variables(repo_id, variables) == mark
        if not is_marked or space.private is not True:
            problem = "is not private any more" if is_marked else "does not have the mark of this run's copy"
            raise AirflowFailException(
                f"Space {repo_id} is not deleted: it {problem}. Delete it on the Hub if nobody needs it."
            )
        seen = self.sightings(mark, space.runtime, context)
        # A retry, which finds no copy any more, reports what it cost.
        record = {"repo_id": repo_id, "sightings": [each.to_dict() for each in seen]}
        retry_store(context).set(DELETION, record)
        delete_once(self.hook, repo_id, self.log)
        self.log.info("Space %s, the copy of %s, is deleted.", repo_id, mark.source_id)
        return seen

    def _pause(self, mark: CopyMark, error: HubError) -> None:
        """End the bill of a copy that the Hub does not delete."""
        from airflow_provider_hfspaces.hub.errors import HubError

        try:
            self.hook.pause(mark.copy_id)
        except HubError as problem:
            self.log.error("Space %s is neither deleted nor paused: %s", mark.copy_id, problem)
        else:
            self.log.error("Space %s is paused, because the Hub does not delete it: %s", mark.copy_id, error)

    def _forget(self, mark: CopyMark, context: Context) -> None:
        """Delete what Airflow keeps about the copy. An error is only logged: the copy is gone."""
        from airflow_provider_hfspaces.operators.copying import COPY_REQUESTED, MADE
        from airflow_provider_hfspaces.state.best_effort import only_logged
        from airflow_provider_hfspaces.state.copies import forget_user

        map_index, dag = getattr(context["ti"], "map_index", -1), context.get("dag")
        with only_logged(self.log, f"Airflow still keeps the record of Space {mark.copy_id}"):
            forget_user(mark)
            for task_id in _reserving_ids(self, context):
                forget_of_task(context, task_id, map_index, COPY)
            for task_id in task_ids_named(dag, self.create_task, self.task_id):
                for key in (MADE, COPY_REQUESTED, SEARCH):
                    forget_of_task(context, task_id, map_index, key)


def reserved_mark(task: Any, context: Context) -> CopyMark | None:
    """The mark that the reserving task of a group has pushed; ``None`` if it has pushed no mark."""
    from airflow_provider_hfspaces.state.copies import CopyMark

    for task_id in _reserving_ids(task, context):
        mark = CopyMark.from_dict(pull(context, task_id, COPY))
        if mark is not None:
            return mark
    return None


def _reserving_ids(task: Any, context: Context) -> list[str]:
    return task_ids_named(context.get("dag"), task.reserve_task, task.task_id)
