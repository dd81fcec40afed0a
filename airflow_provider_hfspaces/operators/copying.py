"""CopyRequest: the work of DuplicateSpaceOperator. Only a running task imports this module."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.hub.calls import duplicate
from airflow_provider_hfspaces.hub.cost.prices import replicas_of
from airflow_provider_hfspaces.hub.desired import (
    Activity,
    DesiredState,
    RestoreRejected,
    plan_move,
    plan_restore,
)
from airflow_provider_hfspaces.hub.stages import SpaceStage
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.hub.waiting.wait import GRACE_SECONDS
from airflow_provider_hfspaces.operators.creation import Creation
from airflow_provider_hfspaces.operators.hardware.budgets import known_hourly_cost
from airflow_provider_hfspaces.operators.hardware.seeking import HardwareSeeker
from airflow_provider_hfspaces.rendered import as_whole_number
from airflow_provider_hfspaces.state.retry_store import retry_store

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.hardware_search import HardwareSearch
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.operators.duplicate import DuplicateSpaceOperator

__all__ = ["COPY_REQUESTED", "MADE", "CopyRequest"]

COPY_REQUESTED = "duplicate"
"""The retry store's key for a copy that was requested and is not yet confirmed."""

MADE = "duplicate_made"
"""The retry store's key for the copy that this task has made and waits for."""

_NO_HARDWARE = "cpu-basic"
"""The hardware of a copy for which no flavor of a list is available. It costs nothing."""

_FILE_COPY_SECONDS = 600.0
"""Time during which a copy may seem to have no app, while the Hub copies its files."""


class CopyRequest(HardwareSeeker):
    """The request of a task for a copy of a Space, in this process.

    :param task: the operator.
    """

    _task: DuplicateSpaceOperator

    def __init__(self, task: DuplicateSpaceOperator) -> None:
        super().__init__(task)
        self._is_made = False

    def begin(self, repo_id: str, context: Context) -> Any:
        """Make the copy of a Space, and wait until it runs."""
        to_id = self._task.target(repo_id, context)
        if to_id == repo_id:
            raise AirflowFailException(
                f"Space {repo_id} cannot be copied onto itself. Set to_id to another name."
            )
        self._prepare(repo_id, to_id, context)
        self._task.link(context, to_id)
        if self.takes_one_flavor:
            created = self._create(self._task.hardware, context)
            if self._task.wait_until_running:
                return self._wait(to_id, created, self._task.hardware, context)
            return self._result(to_id, created)
        search = self.kept_search(to_id, context) or self.new_search(None, to_id, context)
        return self.seek(to_id, search, context)

    def try_hardware(self, repo_id: str, search: HardwareSearch, context: Context) -> Any:
        if not self._is_made:
            if not search.is_requested:
                search = self.priced(search, 1)
            search = self.keep_search(search.requested(time.time()), context)
            created = self._create(search.hardware, context)
            if self._task.wait_until_running:
                return self._wait(repo_id, created, search.hardware, context, search)
            self.finish_search(repo_id, search.to_dict(), context)
            return self._result(repo_id, created)
        before = self._task.hook.get_runtime(repo_id)
        if not search.is_requested:
            if (late := self.started_late(search, before)) is not None:
                return self._task.waited(repo_id, before, context, created=True, **self.waiting_for(late))
            search = self.priced(search, replicas_of(before))
        search = self.keep_search(search.requested(time.time()), context)
        self._task.log.info("Requesting %s for the copy, Space %s.", search.hardware, repo_id)
        sleep_time = self._copy_options["sleep_time"]
        desired = DesiredState(repo_id, search.hardware, sleep_time, activity=Activity.RUNNING)
        answer = self._task.hook.execute(plan_move(desired, before, log=self._task.log))
        return self._wait(repo_id, True, search.hardware, context, search, before, answer)

    def end_search(self, repo_id: str, search: HardwareSearch, context: Context) -> str:
        if not self._is_made:
            return "No copy was made."
        steps = plan_restore(DesiredState(repo_id, _NO_HARDWARE), is_last_try=True, log=self._task.log)
        try:
            self._task.hook.execute(steps)
        except RestoreRejected as error:
            return str(error)
        return f"The copy stays, on {_NO_HARDWARE}."

    def resume_search(self, repo_id: str, state: Mapping[str, Any], context: Context) -> None:
        from_id = self._task.hook.repo_id(self._task.from_id)
        self._prepare(from_id, self._task.target(from_id, context), context)

    def arrived(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> dict[str, Any]:
        """Forget what a retry would need, after the copy runs."""
        self.finish_search(repo_id, then.get("search"), context)
        retry_store(context).delete(MADE)
        return self._result(repo_id, then["created"])

    def _result(self, to_id: str, created: bool) -> dict[str, Any]:
        return {"repo_id": to_id, "url": self._task.hook.page_url(to_id), "created": created}

    @property
    def takes_one_flavor(self) -> bool:
        """Whether the copy is made on one flavor, whose price has no limit, or on the Hub's default."""
        if self._task.hardware is None or self._task.hardware == "":
            return True
        return super().takes_one_flavor and self._task.max_hourly_cost is None

    def _prepare(self, from_id: str, to_id: str, context: Context) -> None:
        """Check all arguments but the hardware before anything is sent, and read what an earlier try made."""

        self._task.max_hourly_cost = known_hourly_cost(self._task.max_hourly_cost)
        self._copy_options = {
            "private": self._task.private,
            "storage": self._task.storage,
            "sleep_time": as_whole_number(self._task.sleep_time),
            "secrets": self._task.secret("secrets", context, structure=True),
            "variables": self._task.variables_to_set(context),
            "volumes": self._task.structure("volumes", context),
        }
        duplicate(from_id, to_id, **self._copy_options)
        self._ids = from_id, to_id
        was_made = retry_store(context).get(MADE) == to_id
        self._is_made = was_made and self._creation(context).existing() is not None

    def _create(self, hardware: str | None, context: Context) -> bool:
        """Make the copy, unless an earlier try made it. Returns False if the target existed before."""
        from_id, to_id = self._ids

        def send() -> None:
            visibility = "private" if self._task.private else "PUBLIC"
            on = f", on {hardware}" if hardware else ""
            self._task.log.info("Copying Space %s to %s (%s%s).", from_id, to_id, visibility, on)
            self._task.hook.duplicate(from_id, to_id=to_id, hardware=hardware, **self._copy_options)

        created = self._is_made or self._creation(context).run(send, exist_ok=self._task.exist_ok)
        self._task.created(to_id, context)
        if created and self._task.wait_until_running and not self._is_made:
            self._is_made = True
            retry_store(context).set(MADE, to_id)
        return created

    def _creation(self, context: Context) -> Creation:
        from_id, to_id = self._ids
        return Creation(
            self._task.hook,
            retry_store(context),
            self._task.log,
            key=COPY_REQUESTED,
            repo_id=to_id,
            request={"from_id": from_id, "to_id": to_id},
            private=self._task.private,
            recognize=self._task.recognize,
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

        # Everything that a new Space logs is of this copy.
        self._task.space_logs.begin(at=0.0 if created else None)
        grace = GRACE_SECONDS
        if before is None:
            runtime = self._task.hook.get_runtime(to_id)
            if not created and hardware not in (None, runtime.configured_hardware):
                self._task.log.warning(
                    "Space %s already exists and is used as it is, on %s and not on %s.",
                    to_id,
                    runtime.configured_hardware,
                    hardware,
                )
            # The Hub may still be copying files. Until they arrive, the copy seems to have no app.
            has_no_files_yet = created and runtime.stage == SpaceStage.NO_APP_FILE
            before, grace = (runtime if has_no_files_yet else None), _FILE_COPY_SECONDS
        return self._task.wait(
            to_id,
            Goal(hardware=hardware if created else None),
            context,
            before=before,
            answer=answer,
            grace=grace,
            timeout=self.search_timeout(search) if search else None,
            start_timeout=self._task.capacity_timeout if search and created else None,
            then={"created": created, **(self.waiting_for(search) if search else {})},
        )
