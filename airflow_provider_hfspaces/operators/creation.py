"""Creating a Space exactly once, however often the task is tried."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.hub.errors import HubConflict, HubError, SpaceNotFound

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.models import SpaceInfo
    from airflow_provider_hfspaces.state.retry_store import RetryStore

__all__ = ["Creation"]

_CLOCK_SKEW = timedelta(minutes=5)
"""How much this host's clock may differ from the Hub's without a new Space being taken for an old one."""


class Creation:
    """Creates a Space unless an earlier try has created it.

    The request is recorded before it is sent. If its answer is lost or the worker dies, the record tells the
    next try whether a Space that now exists was made by this task.

    :param key: the key of the record in the retry store.
    :param repo_id: the Space to create.
    :param request: what identifies the request, as plain JSON.
    :param private: whether the Space is created private.
    :param recognize: returns whether an existing Space was made by this task, from a mark of the Space, or
        ``None`` if the record and the date of its creation have to tell.
    """

    def __init__(
        self,
        hook: HfSpacesHook,
        store: RetryStore,
        log: logging.Logger | Any,
        *,
        key: str,
        repo_id: str,
        request: Mapping[str, Any],
        private: bool,
        recognize: Callable[[SpaceInfo], bool | None] = lambda space: None,
    ) -> None:
        self._hook, self._store, self._log = hook, store, log
        self._key, self._repo_id = key, repo_id
        self._request = dict(request)
        self._private = private
        self._recognize = recognize

    def run(self, send: Callable[[], Any], *, exist_ok: bool) -> bool:
        """Create the Space.

        :param send: sends the request to the Hub.
        :param exist_ok: use a Space that somebody else made, as it is.
        :return: False if the Space existed before.
        :raises AirflowFailException: if the Space exists and was not made by this task.
        """

        record = self._recorded()
        existing = self.existing()
        if existing is not None:
            if self._is_ours(existing, record):
                self._log.info("Space %s was made by an earlier try of this task.", self._repo_id)
                self._store.delete(self._key)
                return True
            return self._use_existing(exist_ok)
        record = {**self._request, "at": datetime.now(timezone.utc).isoformat()}
        self._store.set(self._key, record)
        try:
            created = self._send(send, record, exist_ok)
        except HubError as error:
            if not error.outcome_unknown:
                self._store.delete(self._key)
            raise
        self._store.delete(self._key)
        return created

    def existing(self) -> SpaceInfo | None:
        """Return the Space, ``None`` if it does not exist."""

        try:
            space = self._hook.get_space(self._repo_id, expand=("createdAt", "private"))
        except SpaceNotFound:
            return None
        # A renamed Space still answers under its old name, which is free to be taken.
        return space if space.id.lower() == self._repo_id.lower() else None

    def _recorded(self) -> dict[str, Any] | None:
        """The record of an earlier try of the same request."""
        record = self._store.get(self._key)
        if not isinstance(record, dict):
            return None
        is_same = all(record.get(name) == value for name, value in self._request.items())
        return record if is_same else None

    def _use_existing(self, exist_ok: bool) -> bool:
        if not exist_ok:
            raise AirflowFailException(
                f"Space {self._repo_id} already exists, and was not made by this task. Delete it, choose "
                f"another name, or set exist_ok=True to use it as it is."
            )
        self._log.info("Space %s already exists and is used as it is.", self._repo_id)
        return False

    def _send(self, send: Callable[[], Any], record: Mapping[str, Any], exist_ok: bool) -> bool:
        try:
            send()
        except HubError as error:
            if not (error.outcome_unknown or isinstance(error, HubConflict)):
                raise
            existing = self.existing()
            if existing is None:
                raise
            # A conflict at the first try cannot come from our own request.
            is_first_try = not error.outcome_unknown and error.tries == 1
            if is_first_try or not self._is_ours(existing, record):
                if isinstance(error, HubConflict):
                    return self._use_existing(exist_ok)
                raise
            self._log.info("%s Space %s exists, and was made by this task.", error, self._repo_id)
        return True

    def _is_ours(self, space: SpaceInfo, record: Mapping[str, Any] | None) -> bool:
        """Whether a Space that did not exist at the time of the request was created after it."""
        if (is_ours := self._recognize(space)) is not None:
            return is_ours
        if record is None or space.created_at is None:
            return False
        try:
            created_at = datetime.fromisoformat(space.created_at.replace("Z", "+00:00"))
        except ValueError:
            return False
        if created_at.tzinfo is None:
            created_at = created_at.replace(tzinfo=timezone.utc)
        if space.private is not None and space.private != self._private:
            return False
        return created_at >= datetime.fromisoformat(record["at"]) - _CLOCK_SKEW
