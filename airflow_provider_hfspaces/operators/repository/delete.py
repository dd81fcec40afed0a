"""DeleteSpaceOperator: delete a Space, if its id is confirmed or it is a marked copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.operators.base import SpaceOperator
from airflow_provider_hfspaces.rendered import is_template

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook

__all__ = ["DeleteSpaceOperator", "delete_once"]


class DeleteSpaceOperator(SpaceOperator):
    """Delete a Space with its files, its settings and its history. This cannot be undone.

    ::

        DeleteSpaceOperator(task_id="delete", repo_id="acme/old-demo", confirm="acme/old-demo")

    A Space is deleted only if ``confirm`` repeats its id, or if the Space is private and carries the mark of
    a copy that :class:`SpaceCopyTaskGroup <airflow_provider_hfspaces.task_groups.copies.SpaceCopyTaskGroup>`
    made: its name, and the variable ``AIRFLOW_COPY_OF``, which names the copy and its source.

    If the Hub's answer is lost, the task checks whether the Space still exists; a retry does not fail for a
    Space that an earlier try has deleted. A Space that was renamed is not deleted under its old id.

    Returns ``{"repo_id", "deleted"}``; ``deleted`` is False for a missing Space with ``missing_ok``.
    ``DELETE /api/repos/delete``.

    :param confirm: the id of the Space again, as ``owner/name`` (default: none, which deletes only a marked
        copy). Templated.
    :param missing_ok: succeed if the Space does not exist (default False).
    :raises AirflowFailException: without a confirmation, and for other errors that a retry cannot fix.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "confirm")

    def __init__(self, *, confirm: str | None = None, missing_ok: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.confirm = confirm
        self.missing_ok = missing_ok
        self._refuse_written_mismatch()

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        from airflow_provider_hfspaces.hub.errors import SpaceNotFound
        from airflow_provider_hfspaces.state.retry_store import DELETION, retry_store

        self._refuse_other_confirmation(repo_id)
        store = retry_store(context)
        try:
            space = self.hook.get_space(repo_id, expand=("createdAt", "private"))
        except SpaceNotFound:
            return self._missing(repo_id, store)
        if space.id.lower() != repo_id.lower():
            raise AirflowFailException(
                f"Space {repo_id} was renamed to {space.id} and is not deleted. Set repo_id to {space.id} to "
                f"delete it."
            )
        if not self.confirm:
            self._require_mark(repo_id)
            self._require_private(repo_id, space.private)
        store.set(DELETION, {"repo_id": repo_id})
        delete_once(self.hook, repo_id, self.log)
        store.delete(DELETION)
        self.log.info("Space %s is deleted.", repo_id)
        return {"repo_id": repo_id, "deleted": True}

    def _refuse_written_mismatch(self) -> None:
        """Refuse a confirmation of another Space when the DAG is parsed, if both ids are written out."""
        names = (self.repo_id, self.confirm)
        if any(not isinstance(each, str) or is_template(each) or each.count("/") != 1 for each in names):
            return
        if str(self.repo_id).lower() != str(self.confirm).lower():
            raise ValueError(
                f"confirm of task {self.task_id!r} is {self.confirm!r}, and repo_id is {self.repo_id!r}: set "
                f"both to the Space that the task deletes."
            )

    def _refuse_other_confirmation(self, repo_id: str) -> None:
        if self.confirm and self.hook.repo_id(self.confirm).lower() != repo_id.lower():
            raise AirflowFailException(
                f"Space {repo_id} is not deleted: confirm is {self.confirm!r}. Set confirm to {repo_id!r}."
            )

    def _require_mark(self, repo_id: str) -> None:
        from airflow_provider_hfspaces.state.copies import COPY_OF, CopyMark

        mark = CopyMark.from_variables(repo_id, self.hook.get_variables(repo_id))
        if mark is None:
            raise AirflowFailException(
                f"Space {repo_id} is not deleted: it has no variable {COPY_OF} that marks it as a copy made "
                f"by this package. Set confirm={repo_id!r} to delete it with all its files."
            )
        self.log.info("Space %s is a copy of %s.", repo_id, mark.source_id)

    def _require_private(self, repo_id: str, is_private: bool | None) -> None:
        if is_private is not True:
            raise AirflowFailException(
                f"Space {repo_id} is not deleted: it is a copy that is not private any more. Set "
                f"confirm={repo_id!r} to delete it with all its files."
            )

    def _missing(self, repo_id: str, store: Any) -> dict[str, Any]:
        from airflow_provider_hfspaces.state.retry_store import DELETION

        request = store.get(DELETION)
        if isinstance(request, dict) and request.get("repo_id") == repo_id:
            store.delete(DELETION)
            self.log.info("Space %s was deleted by an earlier try of this task.", repo_id)
            return {"repo_id": repo_id, "deleted": True}
        if self.missing_ok:
            self.log.info("Space %s does not exist.", repo_id)
            return {"repo_id": repo_id, "deleted": False}
        raise AirflowFailException(
            f"Space {repo_id} cannot be deleted: it does not exist, or the token may not see it. Check the "
            f"repo_id, or set missing_ok=True."
        )


def delete_once(hook: HfSpacesHook, repo_id: str, log: Any) -> None:
    """Delete a Space. A Space that is deleted already, or whose deletion was not answered, fails nothing.

    :raises HubError: if the Space still exists.
    """
    from airflow_provider_hfspaces.hub.errors import HubError, SpaceNotFound

    try:
        hook.delete_space(repo_id)
    except SpaceNotFound:
        log.info("Space %s is deleted already.", repo_id)
    except HubError as error:
        if not error.outcome_unknown or hook.exists(repo_id):
            raise
        log.warning("%s Space %s is deleted nevertheless.", error, repo_id)
