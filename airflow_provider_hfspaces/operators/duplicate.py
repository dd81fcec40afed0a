"""DuplicateSpaceOperator: copy a Space, exactly once however often the task is tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.operators.base import WaitingOperator
from airflow_provider_hfspaces.operators.health import refuse_unused_health
from airflow_provider_hfspaces.operators.values import KeepsText, SecretArguments

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.models import SpaceInfo, SpaceRuntime

__all__ = ["DuplicateSpaceOperator"]

REQUESTED = "duplicate"
"""The retry store's key for a copy that was requested and is not yet confirmed."""

_FILE_COPY_SECONDS = 600.0
"""Time during which a copy may seem to have no app, while the Hub copies its files."""


class DuplicateSpaceOperator(SecretArguments, KeepsText, WaitingOperator):
    """Copy a Space.

    ::

        DuplicateSpaceOperator(
            task_id="copy",
            from_id="acme/whisper",
            to_id="acme/whisper-{{ ds_nodash }}",
            hardware="t4-small",
            secrets={"HF_TOKEN": "{{ var.value.whisper_token }}"},
            wait=True,
        )

    The copy is private unless you pass ``private=False``. (The Hub's own client publishes the copy of a
    public Space.) The Hub copies variables, but never secrets.

    The task is safe to retry: it looks for the target before it requests the copy and records the
    request. If the answer is lost or the worker dies, the next try finds out whether the copy exists and
    was made by this task. The task fails if somebody else made the target, unless ``exist_ok`` is set.

    Returns ``{"repo_id", "url", "created"}``. ``POST /api/spaces/{from_id}/duplicate``.

    :param from_id: the Space to copy. Templated.
    :param to_id: the new Space (default: the same name in the connection's namespace, or in that of the
        token's owner). Templated.
    :param private: whether only the owner may see the copy (default True).
    :param hardware: a flavor (default: free CPU). Templated.
    :param storage: a storage tier, which the Hub is retiring; use ``volumes`` instead. Templated.
    :param sleep_time: seconds without a visitor until the copy sleeps, -1 for never (default: the Hub's).
        Templated.
    :param secrets: a mapping of keys to values, or a list of ``{"key", "value", "description"}``
        (default: none). Templates and outputs of tasks are rendered when the task runs; secrets are
        masked and never stored. A mapped operator takes no secret that is written out.
    :param variables: variables to add or change, in the same two forms (default: none). Templated.
    :param volumes: the volumes to mount into the copy, as for :class:`SetVolumesOperator
        <airflow_provider_hfspaces.operators.storage.SetVolumesOperator>` (default: none). Templated.
    :param exist_ok: use the target as it is if it already exists (default False). Its hardware and
        settings are not changed.
    :param wait: whether to wait until the copy runs (default False).
    :param health: the answer of the copy's app to wait for as well, with ``wait=True``: ``True`` for its
        start page, a path, or a mapping with ``path``, ``status``, ``json`` and ``text`` (default: none).
        Templated.
    :param timeout: maximum number of seconds to wait (default 1800).
    :param poll_interval: seconds between two looks at the copy (default: as few as the Hub's quota allows,
        and no fewer than 2).
    :param deferrable: wait in the triggerer, without a worker (default: Airflow's ``[operators]
        default_deferrable``).
    :raises AirflowFailException: if the target exists and was not made by this task, and for other errors
        that a retry cannot fix.
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
        "health",
    )
    template_fields_renderers = {"variables": "json", "volumes": "json", "health": "json"}
    space_fields = ("to_id", "from_id")
    text_fields = ("to_id", "variables", "volumes")
    secret_fields = ("secrets",)

    def __init__(
        self,
        *,
        from_id: str,
        to_id: str | None = None,
        private: bool = True,
        hardware: str | None = None,
        storage: str | None = None,
        sleep_time: int | str | None = None,
        secrets: Any = None,
        variables: Sequence[Mapping[str, str]] | Mapping[str, str] | None = None,
        volumes: Sequence[Mapping[str, Any]] | None = None,
        exist_ok: bool = False,
        wait: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(repo_id=from_id, **kwargs)
        refuse_unused_health(self, kwargs.get("default_args"), waits=wait)
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
        self.remember_text()
        self.follow_secrets()

    def execute(self, context: Context) -> Any:
        return self.act_on(self.from_id, context)

    def act(self, repo_id: str, context: Context) -> Any:
        to_id = self.target(repo_id, context)
        if to_id == repo_id:
            raise AirflowFailException(
                f"Space {repo_id} cannot be copied onto itself. Set to_id to another name."
            )
        options = self._options(repo_id, to_id, context)
        self.link(context, to_id)
        created = self._create(repo_id, to_id, options, context)
        if self.wait_until_running:
            return self._wait(to_id, created, context)
        return self._result(to_id, created)

    def target(self, repo_id: str, context: Context) -> str:
        """The id of the copy of a Space."""
        return self.hook.duplicate_target(repo_id, self.text("to_id", context))

    def variables_to_set(self, context: Context) -> Any:
        """The variables of the copy, besides those of its original."""
        return self.structure("variables", context)

    def recognize(self, space: SpaceInfo) -> bool | None:
        """Whether an existing Space was made by this task; ``None`` if the date of its creation tells."""
        return None

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> dict[str, Any]:
        return self._result(repo_id, then["created"])

    def on_kill(self) -> None:
        """Stop waiting. The copy stays."""
        self.killed.set()

    def _result(self, to_id: str, created: bool) -> dict[str, Any]:
        return {"repo_id": to_id, "url": self.hook.page_url(to_id), "created": created}

    def _options(self, from_id: str, to_id: str, context: Context) -> dict[str, Any]:
        """The options of the copy, checked before anything is sent."""
        from airflow_provider_hfspaces.hub.calls import duplicate
        from airflow_provider_hfspaces.rendered import as_whole_number

        options = {
            "private": self.private,
            "storage": self.storage,
            "sleep_time": as_whole_number(self.sleep_time),
            "secrets": self.secret("secrets", context, structure=True),
            "variables": self.variables_to_set(context),
            "volumes": self.structure("volumes", context),
        }
        duplicate(from_id, to_id, **options)
        return {**options, "hardware": self.hardware}

    def _create(self, from_id: str, to_id: str, options: dict[str, Any], context: Context) -> bool:
        """Make the copy, unless an earlier try made it. Returns False if the target existed before."""
        from airflow_provider_hfspaces.operators.creation import Creation
        from airflow_provider_hfspaces.state.retry_store import retry_store

        def send() -> None:
            visibility = "private" if self.private else "PUBLIC"
            self.log.info("Copying Space %s to %s (%s).", from_id, to_id, visibility)
            self.hook.duplicate(from_id, to_id=to_id, **options)

        creation = Creation(
            self.hook,
            retry_store(context),
            self.log,
            key=REQUESTED,
            repo_id=to_id,
            request={"from_id": from_id, "to_id": to_id},
            private=self.private,
            recognize=self.recognize,
        )
        return creation.run(send, exist_ok=self.exist_ok)

    def _wait(self, to_id: str, created: bool, context: Context) -> Any:
        from airflow_provider_hfspaces.hub.stages import SpaceStage
        from airflow_provider_hfspaces.hub.waiting.goal import Goal

        runtime = self.hook.get_runtime(to_id)
        if not created and self.hardware not in (None, runtime.configured_hardware):
            self.log.warning(
                "Space %s already exists and is used as it is, on %s and not on %s.",
                to_id,
                runtime.configured_hardware,
                self.hardware,
            )
        # The Hub may still be copying files. Until they arrive, the copy seems to have no app.
        has_no_files_yet = created and runtime.stage == SpaceStage.NO_APP_FILE
        return self.wait(
            to_id,
            Goal(hardware=self.hardware if created else None),
            context,
            before=runtime if has_no_files_yet else None,
            grace=_FILE_COPY_SECONDS,
            then={"created": created},
        )
