"""DuplicateSpaceOperator: a copy of a Space, safe to try again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.hub.stages import SpaceStage
from airflow_provider_hfspaces.operators.base import WaitingOperator
from airflow_provider_hfspaces.operators.hardware import whole_number
from airflow_provider_hfspaces.operators.settings import rendered_secret
from airflow_provider_hfspaces.state.retry_store import retry_store

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.models import DuplicatedSpace, SpaceInfo, SpaceRuntime

__all__ = ["DuplicateSpaceOperator"]

ASKED = "duplicate"
"""The retry store's key for a copy that was asked for and not yet confirmed."""

_FILES_FOLLOW = 600.0
"""Seconds for which a copy may seem to have no app, while the Hub copies its files."""

_CLOCKS_APART = timedelta(minutes=5)
"""How far this host's clock and the Hub's may be apart without a copy being taken for older."""


class DuplicateSpaceOperator(WaitingOperator):
    """Copy a Space.

    Private unless asked otherwise (the Hub's own client publishes the copy of a public Space), so
    that a copy publishes nothing by accident. The Hub copies variables, but never secrets.

    Safe to try again: it looks whether the target exists before it asks, notes what it asks for,
    and, if the answer is lost or the worker dies, finds out whether the copy is there and is its
    own before it reports success or failure. A target that somebody else made is an error, unless
    ``exist_ok``.

    Returns ``{"repo_id", "url", "created"}``. ``POST /api/spaces/{from_id}/duplicate``.

    :param from_id: the Space to copy. Templated.
    :param to_id: the new Space; by default the same name in the connection's namespace, or in that
        of the token's owner. Templated.
    :param private: whether only its owner may see the copy.
    :param hardware: a flavor; ``None`` for free CPU. Templated.
    :param storage: a retired storage tier; prefer ``volumes``. Templated.
    :param sleep_time: seconds, or -1 for never. Templated.
    :param secrets: a mapping of keys to values, or a list of ``{"key", "value", "description"}``;
        rendered when the task runs, masked, and kept out of the rendered fields.
    :param variables: the same for variables. Templated.
    :param volumes: what to mount into the copy. Templated.
    :param exist_ok: take a Space that is there already for the copy, unchanged: its hardware and
        settings stay as they are.
    :param wait: whether to wait until the copy runs.
    :param timeout: seconds to wait at the most.
    :param poll_interval: seconds between two looks at the copy.
    :param deferrable: wait in the triggerer, without a worker; by default as Airflow's
        ``[operators] default_deferrable`` says.
    """

    template_fields: Sequence[str] = (
        "from_id",
        "to_id",
        "hf_spaces_conn_id",
        "hardware",
        "storage",
        "sleep_time",
        "variables",
        "volumes",
    )
    template_fields_renderers = {"variables": "json", "volumes": "json"}
    space_fields = ("to_id", "from_id")

    def __init__(
        self,
        *,
        from_id: str,
        to_id: str | None = None,
        private: bool = True,
        hardware: str | None = None,
        storage: str | None = None,
        sleep_time: int | str | None = None,
        secrets: Sequence[Mapping[str, str]] | Mapping[str, str] | None = None,
        variables: Sequence[Mapping[str, str]] | Mapping[str, str] | None = None,
        volumes: Sequence[Mapping[str, Any]] | None = None,
        exist_ok: bool = False,
        wait: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(repo_id=from_id, **kwargs)
        self.from_id = from_id
        self.to_id = to_id
        self.private = private
        self.hardware = hardware
        self.storage = storage
        self.sleep_time = sleep_time
        self.secrets = secrets
        self.variables = variables
        self.volumes = volumes
        self.exist_ok = exist_ok
        self.wait_until_running = wait

    def execute(self, context: Context) -> Any:
        return self.act_on(self.from_id, context)

    def act(self, repo_id: str, context: Context) -> Any:
        to_id = self.hook.duplicate_target(repo_id, self.to_id)
        if to_id == repo_id:
            raise AirflowFailException(f"Space {repo_id} cannot be copied onto itself: give another to_id.")
        self.link(context, to_id)
        created = self._create(repo_id, to_id, context)
        if self.wait_until_running:
            return self._wait(to_id, created, context)
        return self._made(to_id, created)

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> dict[str, Any]:
        return self._made(repo_id, then["created"])

    def _made(self, to_id: str, created: bool) -> dict[str, Any]:
        return {"repo_id": to_id, "url": self.hook.page_url(to_id), "created": created}

    def on_kill(self) -> None:
        """Stop waiting. The copy stays."""
        self.killed.set()

    def _create(self, from_id: str, to_id: str, context: Context) -> bool:
        from airflow_provider_hfspaces.hub.errors import HubError

        store = retry_store(context)
        asked = store.get(ASKED)
        if asked is not None and (asked.get("from_id"), asked.get("to_id")) != (from_id, to_id):
            asked = None
        existing = self._look(to_id)
        if existing is not None:
            if asked is not None and self._is_ours(existing, asked):
                self.log.info("An earlier try has made Space %s.", to_id)
                store.delete(ASKED)
                return True
            if not self.exist_ok:
                raise AirflowFailException(
                    f"Space {to_id} exists already, and was not made by this task: delete it, give another "
                    f"to_id, or set exist_ok=True to use it as it is."
                )
            self.log.info("Space %s exists already and is used as it is.", to_id)
            return False
        asked = {"from_id": from_id, "to_id": to_id, "at": datetime.now(timezone.utc).isoformat()}
        store.set(ASKED, asked)
        try:
            created = self._ask(from_id, to_id, asked, context)
        except HubError as error:
            if not error.outcome_unknown:
                store.delete(ASKED)
            raise
        store.delete(ASKED)
        return created

    def _ask(self, from_id: str, to_id: str, asked: Mapping[str, str], context: Context) -> bool:
        from airflow_provider_hfspaces.hub.errors import HubConflict, HubError

        self.log.info("Copying Space %s to %s, %s.", from_id, to_id, "private" if self.private else "PUBLIC")
        try:
            self._duplicate(from_id, to_id, context)
        except HubError as error:
            if not (error.outcome_unknown or isinstance(error, HubConflict)):
                raise
            existing = self._look(to_id)
            first = not error.outcome_unknown and error.tries == 1
            if existing is None or first or not self._is_ours(existing, asked):
                if existing is not None and isinstance(error, HubConflict) and self.exist_ok:
                    return False
                raise
            self.log.info("%s The copy is there all the same, and is ours.", error)
        return True

    def _duplicate(self, from_id: str, to_id: str, context: Context) -> DuplicatedSpace:
        return self.hook.duplicate(
            from_id,
            to_id=to_id,
            private=self.private,
            hardware=self.hardware,
            storage=self.storage,
            sleep_time=whole_number(self.sleep_time),
            secrets=rendered_secret(self, self.secrets, context),
            variables=self.variables,
            volumes=self.volumes,
        )

    def _look(self, to_id: str) -> SpaceInfo | None:
        from airflow_provider_hfspaces.hub.errors import SpaceNotFound

        try:
            found = self.hook.get_space(to_id, expand=("createdAt", "private"))
        except SpaceNotFound:
            return None
        # A renamed Space answers under its old name too, which is free to be taken.
        return found if found.id.lower() == to_id.lower() else None

    def _is_ours(self, space: SpaceInfo, asked: Mapping[str, str]) -> bool:
        """Whether a Space that did not exist when we asked was made after we asked."""
        if space.created_at is None:
            return False
        try:
            made = datetime.fromisoformat(space.created_at.replace("Z", "+00:00"))
        except ValueError:
            return False
        if made.tzinfo is None:
            made = made.replace(tzinfo=timezone.utc)
        if space.private is not None and space.private != self.private:
            return False
        return made >= datetime.fromisoformat(asked["at"]) - _CLOCKS_APART

    def _wait(self, to_id: str, created: bool, context: Context) -> Any:
        from airflow_provider_hfspaces.hub.waiting.goal import Goal

        first = self.hook.get_runtime(to_id)
        if not created and self.hardware not in (None, first.configured_hardware):
            self.log.warning(
                "Space %s exists already and is used as it is, on %s and not on %s.",
                to_id,
                first.configured_hardware,
                self.hardware,
            )
        # The Hub may still be copying files: until they are there, the copy seems to have no app.
        empty = created and first.stage == SpaceStage.NO_APP_FILE
        return self.wait(
            to_id,
            Goal(hardware=self.hardware if created else None),
            context,
            before=first if empty else None,
            grace=_FILES_FOLLOW,
            then={"created": created},
        )
