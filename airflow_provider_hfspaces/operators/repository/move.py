"""MoveSpaceOperator: rename a Space, or give it to another owner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.operators.base import SpaceOperator

__all__ = ["MoveSpaceOperator"]

MOVE = "move"
"""The retry store's key for a move that was requested."""


class MoveSpaceOperator(SpaceOperator):
    """Rename a Space, or give it to another owner.

    ::

        MoveSpaceOperator(task_id="rename", repo_id="acme/whisper-next", to_id="acme/whisper")

    The Hub redirects requests for the old id to the new one. The task succeeds without a request if the Space
    has been moved already, as after a lost answer. Returns ``{"repo_id", "url"}`` of the new id.
    ``POST /api/repos/move``.

    :param to_id: the new id: ``owner/name``, or the name alone if the connection has a namespace. Templated.
    :raises AirflowFailException: if a repository already has the new id, and for other errors that a retry
        cannot fix.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "to_id")

    def __init__(self, *, to_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.to_id = to_id

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        from airflow_provider_hfspaces.hub.errors import HubError, SpaceNotFound
        from airflow_provider_hfspaces.state.retry_store import retry_store

        to_id = self.hook.repo_id(self.to_id)
        if to_id == repo_id:
            raise AirflowFailException(
                f"Space {repo_id} already has this id. Set to_id to another owner or name."
            )
        store = retry_store(context)
        request = store.get(MOVE)
        space = self.hook.get_space(repo_id, expand=("createdAt",))
        if space.id.lower() not in (repo_id.lower(), to_id.lower()):
            raise AirflowFailException(
                f"Space {repo_id} was renamed to {space.id} and is not moved. Set repo_id to {space.id}."
            )
        identity = space.raw.get("_id")
        # The old id may belong to a new Space by now, and the new id to a Space that was there before.
        if space.id == to_id or (isinstance(request, dict) and self._has_arrived(to_id, request)):
            self.log.info("Space %s is %s already.", repo_id, to_id)
        else:
            store.set(MOVE, {"to_id": to_id, "identity": identity})
            try:
                self.hook.move_space(repo_id, to_id)
            except HubError as error:
                has_arrived = identity is not None and self._has_arrived(to_id, {"identity": identity})
                if isinstance(error, SpaceNotFound) or not has_arrived:
                    raise
                self.log.warning("%s Space %s is %s nevertheless.", error, repo_id, to_id)
        store.delete(MOVE)
        self.link(context, to_id)
        self.log.info("Space %s is now %s.", repo_id, to_id)
        return {"repo_id": to_id, "url": self.hook.page_url(to_id)}

    def _has_arrived(self, to_id: str, request: Mapping[str, Any]) -> bool:
        """Whether the Space that was to be moved has the new id."""
        from airflow_provider_hfspaces.hub.errors import SpaceNotFound

        try:
            space = self.hook.get_space(to_id, expand=("createdAt",))
        except SpaceNotFound:
            return False
        wanted = request.get("identity")
        return wanted is not None and space.id == to_id and space.raw.get("_id") == wanted
