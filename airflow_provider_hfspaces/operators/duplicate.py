"""DuplicateSpaceOperator: copy a Space, exactly once however often the task is tried."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.operators.hardware.searching import SearchingOperator
from airflow_provider_hfspaces.operators.values import KeepsText, SecretArguments
from airflow_provider_hfspaces.state.retry_store import retry_store

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.hardware_search import HardwareSearch
    from airflow_provider_hfspaces.hub.models import SpaceInfo, SpaceRuntime
    from airflow_provider_hfspaces.operators.creation import Creation

__all__ = ["DuplicateSpaceOperator"]

REQUESTED = "duplicate"
"""The retry store's key for a copy that was requested and is not yet confirmed."""

MADE = "duplicate_made"
"""The retry store's key for the copy that this task has made and waits for."""

_NO_HARDWARE = "cpu-basic"
"""The hardware of a copy for which no flavor of a list is available. It costs nothing."""

_FILE_COPY_SECONDS = 600.0
"""Time during which a copy may seem to have no app, while the Hub copies its files."""


class DuplicateSpaceOperator(SecretArguments, KeepsText, SearchingOperator):
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

    With a list of hardware and ``wait=True``, a copy that does not start because the Hub has no such
    hardware moves to the next flavor. After the last flavor the copy is on free CPU, and the task fails.

    Returns ``{"repo_id", "url", "created"}``. ``POST /api/spaces/{from_id}/duplicate``.

    :param from_id: the Space to copy. Templated.
    :param to_id: the new Space (default: the same name in the connection's namespace, or in that of the
        token's owner). Templated.
    :param private: whether only the owner may see the copy (default True).
    :param hardware: a flavor, a list of flavors in order of preference, or
        :func:`~airflow_provider_hfspaces.hardware.any_hardware` (default: free CPU). Templated.
    :param storage: a storage tier, which the Hub is retiring; use ``volumes`` instead. Templated.
    :param sleep_time: seconds without a visitor until the copy sleeps, -1 for never (default: the Hub's).
        Templated.
    :param max_hourly_cost: USD per hour (default: no limit). A flavor that costs more, or has no listed
        price, is not requested. Templated.
    :param capacity_timeout: of a list: seconds that the copy may take to start on a flavor once it is
        built, before the next one is requested (default 600). ``None``: only the Hub's reports count.
    :param retry_capacity_after: seconds after the last flavor of a list until the list is started again
        (default: the task fails then). The copy is on free CPU meanwhile. Also for a single flavor.
    :param retry_capacity_until: until when the list is started again: a time of day such as ``"03:00"`` in
        the DAG's time zone, or a moment in ISO format (default: until ``timeout`` is over). Templated.
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
    :param stream_logs: show the Space's own log in the task's log while the task waits: ``"build"``,
        ``"run"`` or ``"both"`` (default: none).
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
        "max_hourly_cost",
        "retry_capacity_until",
    )
    template_fields_renderers = {
        "variables": "json",
        "volumes": "json",
        "health": "json",
        "hardware": "json",
    }
    space_fields = ("to_id", "from_id")
    text_fields = ("to_id", "variables", "volumes")
    secret_fields = ("secrets",)

    def __init__(
        self,
        *,
        from_id: str,
        to_id: str | None = None,
        private: bool = True,
        hardware: Any = None,
        storage: str | None = None,
        sleep_time: int | str | None = None,
        secrets: Any = None,
        variables: Sequence[Mapping[str, str]] | Mapping[str, str] | None = None,
        volumes: Sequence[Mapping[str, Any]] | None = None,
        exist_ok: bool = False,
        wait: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(repo_id=from_id, hardware=hardware, **kwargs)
        self.refuse_unless_waiting(wait, kwargs.get("default_args"))
        self.from_id = from_id
        self.to_id = to_id
        self.private = private
        self.storage = storage
        self.sleep_time = sleep_time
        self.secrets = secrets
        self.variables = variables
        self.volumes = volumes
        self.exist_ok = exist_ok
        self._is_made = False
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
        self._prepare(repo_id, to_id, context)
        self.link(context, to_id)
        if self._takes_one_flavor:
            created = self._create(self.hardware, context)
            if self.wait_until_running:
                return self._wait(to_id, created, self.hardware, context)
            return self._result(to_id, created)
        search = self.kept_search(to_id, context) or self.new_search(None, to_id, context)
        return self.seek(to_id, search, context)

    def try_hardware(self, repo_id: str, search: HardwareSearch, context: Context) -> Any:
        from airflow_provider_hfspaces.hub.cost.prices import replicas_of
        from airflow_provider_hfspaces.hub.desired import Activity, DesiredState, plan_move

        if not self._is_made:
            if not search.is_requested:
                search = self.priced(search, 1)
            search = self.keep_search(search.requested(time.time()), context)
            created = self._create(search.hardware, context)
            if self.wait_until_running:
                return self._wait(repo_id, created, search.hardware, context, search)
            self.finish_search(repo_id, None, search.to_dict(), context)
            return self._result(repo_id, created)
        before = self.hook.get_runtime(repo_id)
        if not search.is_requested:
            if (late := self.started_late(search, before)) is not None:
                return self.waited(repo_id, before, context, created=True, **self.waiting_for(late))
            search = self.priced(search, replicas_of(before))
        search = self.keep_search(search.requested(time.time()), context)
        self.log.info("Requesting %s for the copy, Space %s.", search.hardware, repo_id)
        sleep_time = self._copy_options["sleep_time"]
        desired = DesiredState(repo_id, search.hardware, sleep_time, activity=Activity.RUNNING)
        answer = self.hook.execute(plan_move(desired, before, log=self.log))
        return self._wait(repo_id, True, search.hardware, context, search, before, answer)

    def end_search(self, repo_id: str, search: HardwareSearch, context: Context) -> str:
        from airflow_provider_hfspaces.hub.desired import DesiredState, RestoreRejected, plan_restore

        if not self._is_made:
            return "No copy was made."
        steps = plan_restore(DesiredState(repo_id, _NO_HARDWARE), is_last_try=True, log=self.log)
        try:
            self.hook.execute(steps)
        except RestoreRejected as error:
            return str(error)
        return f"The copy stays, on {_NO_HARDWARE}."

    def resume_search(self, repo_id: str, state: Mapping[str, Any], context: Context) -> None:
        from_id = self.hook.repo_id(self.from_id)
        self._prepare(from_id, self.target(from_id, context), context)

    def target(self, repo_id: str, context: Context) -> str:
        """The id of the copy of a Space."""
        return self.hook.duplicate_target(repo_id, self.text("to_id", context))

    def created(self, repo_id: str, context: Context) -> None:
        """Act on the copy as soon as it exists, for operators that check whether it is still needed."""

    def variables_to_set(self, context: Context) -> Any:
        """The variables of the copy, besides those of its original."""
        return self.structure("variables", context)

    def recognize(self, space: SpaceInfo) -> bool | None:
        """Whether an existing Space was made by this task; ``None`` if the date of its creation tells."""
        return None

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> dict[str, Any]:
        self.finish_search(repo_id, runtime, then.get("search"), context)
        retry_store(context).delete(MADE)
        return self._result(repo_id, then["created"])

    def on_kill(self) -> None:
        """Stop waiting. The copy stays."""
        self.killed.set()

    def _result(self, to_id: str, created: bool) -> dict[str, Any]:
        return {"repo_id": to_id, "url": self.hook.page_url(to_id), "created": created}

    @property
    def _takes_one_flavor(self) -> bool:
        if self.hardware is None or self.hardware == "":
            return True
        return super()._takes_one_flavor and self.max_hourly_cost is None

    def _prepare(self, from_id: str, to_id: str, context: Context) -> None:
        """Check all arguments but the hardware before anything is sent, and read what an earlier try made."""
        from airflow_provider_hfspaces.hub.calls import duplicate
        from airflow_provider_hfspaces.hub.checks import checked_amount
        from airflow_provider_hfspaces.rendered import as_number, as_whole_number

        self.max_hourly_cost = as_number(self.max_hourly_cost)
        if self.max_hourly_cost is not None:
            checked_amount(self.max_hourly_cost, "max_hourly_cost")
        self._copy_options = {
            "private": self.private,
            "storage": self.storage,
            "sleep_time": as_whole_number(self.sleep_time),
            "secrets": self.secret("secrets", context, structure=True),
            "variables": self.variables_to_set(context),
            "volumes": self.structure("volumes", context),
        }
        duplicate(from_id, to_id, **self._copy_options)
        self._ids = from_id, to_id
        was_made = retry_store(context).get(MADE) == to_id
        self._is_made = was_made and self._creation(context).existing() is not None

    def _create(self, hardware: str | None, context: Context) -> bool:
        """Make the copy, unless an earlier try made it. Returns False if the target existed before."""
        from_id, to_id = self._ids

        def send() -> None:
            visibility = "private" if self.private else "PUBLIC"
            on = f", on {hardware}" if hardware else ""
            self.log.info("Copying Space %s to %s (%s%s).", from_id, to_id, visibility, on)
            self.hook.duplicate(from_id, to_id=to_id, hardware=hardware, **self._copy_options)

        created = self._is_made or self._creation(context).run(send, exist_ok=self.exist_ok)
        self.created(to_id, context)
        if created and self.wait_until_running and not self._is_made:
            self._is_made = True
            retry_store(context).set(MADE, to_id)
        return created

    def _creation(self, context: Context) -> Creation:
        from airflow_provider_hfspaces.operators.creation import Creation

        from_id, to_id = self._ids
        return Creation(
            self.hook,
            retry_store(context),
            self.log,
            key=REQUESTED,
            repo_id=to_id,
            request={"from_id": from_id, "to_id": to_id},
            private=self.private,
            recognize=self.recognize,
        )

    def _wait(
        self,
        to_id: str,
        created: bool,
        hardware: str | None,
        context: Context,
        search: HardwareSearch | None = None,
        before: SpaceRuntime | None = None,
        answer: SpaceRuntime | None = None,
    ) -> Any:
        """Wait until the copy runs.

        :param before: the copy's runtime before it was moved to other hardware; ``None`` for a new copy.
        """
        from airflow_provider_hfspaces.hub.stages import SpaceStage
        from airflow_provider_hfspaces.hub.waiting.goal import Goal
        from airflow_provider_hfspaces.hub.waiting.wait import GRACE_SECONDS

        self.space_logs.begin(
            at=0.0 if created else None
        )  # Everything that a new Space logs is of this copy.
        grace = GRACE_SECONDS
        if before is None:
            runtime = self.hook.get_runtime(to_id)
            if not created and hardware not in (None, runtime.configured_hardware):
                self.log.warning(
                    "Space %s already exists and is used as it is, on %s and not on %s.",
                    to_id,
                    runtime.configured_hardware,
                    hardware,
                )
            # The Hub may still be copying files. Until they arrive, the copy seems to have no app.
            has_no_files_yet = created and runtime.stage == SpaceStage.NO_APP_FILE
            before, grace = (runtime if has_no_files_yet else None), _FILE_COPY_SECONDS
        return self.wait(
            to_id,
            Goal(hardware=hardware if created else None),
            context,
            before=before,
            answer=answer,
            grace=grace,
            timeout=self.search_timeout(search) if search else None,
            start_timeout=self.capacity_timeout if search and created else None,
            then={"created": created, **(self.waiting_for(search) if search else {})},
        )
