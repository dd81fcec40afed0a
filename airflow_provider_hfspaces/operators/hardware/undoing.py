"""How a hardware request ends if its task is killed or runs out of time: undone, or left to the restore.

Only a running task imports this module.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import Context
from airflow_provider_hfspaces.hub.errors import SpaceWaitTimeout
from airflow_provider_hfspaces.operators.hardware.leasing import undo_request
from airflow_provider_hfspaces.operators.hardware.seeking import HardwareSeeker
from airflow_provider_hfspaces.state.records import recorded_snapshot, restoring_task_ids

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.errors import SpaceWaitError
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
    from airflow_provider_hfspaces.operators.hardware.request import RequestHardwareOperator
    from airflow_provider_hfspaces.state.leases import AirflowLease

__all__ = ["UndoneRequest"]

_TIMER_SECONDS = 1.0
"""How much Airflow's timer for a timeout may differ from this task's clock."""


class UndoneRequest(HardwareSeeker):
    """Base of HardwareRequest: how the request ends if its task does not succeed."""

    _task: RequestHardwareOperator

    def __init__(self, task: RequestHardwareOperator) -> None:
        super().__init__(task)
        self._to_restore: SpaceSnapshot | None = None
        self._lease: AirflowLease | None = None
        self._flavor: str | None = None
        self._is_restored_later = False
        self._expires_at: float | None = None

    def resume(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Resume the task after a deferred wait; ``execution_timeout`` ends it as in a worker."""
        if event["status"] == "timeout":
            self._resume(context)
        return super().resume(context, event)

    def end_by_timeout(self, context: Context) -> None:
        """Restore the Space after Airflow itself has ended the deferred wait, which has no event then."""
        self._resume(context)
        if self._to_restore is not None:
            self._restore(self._to_restore, "execution_timeout has ended the task")
        elif self._is_restored_later:
            self._log_stays_requested(self._task.repo_id)

    def on_failed_wait(self, error: SpaceWaitError) -> None:
        """Restore the Space if ``execution_timeout`` has ended the wait; if not, log what stays requested."""

        snapshot, self._to_restore = self._to_restore, None
        limit = self._task.execution_timeout
        has_expired = (
            isinstance(error, SpaceWaitTimeout)
            and limit is not None
            and limit.total_seconds() <= self._task.timeout
        )
        if has_expired and snapshot is not None and not self._is_restored_later:
            self._restore(snapshot, "execution_timeout has ended the task")
        else:
            self._log_stays_requested(error.repo_id)

    def undo(self) -> None:
        """Restore the Space of a task that is killed, with a client of its own.

        Sends nothing to Airflow: the signal may have interrupted a request, and its lock is not reentrant.
        """
        snapshot, self._to_restore = self._to_restore, None
        if snapshot is not None:
            self._restore_after_kill(snapshot)

    def ends_at(self) -> float:
        return float("inf") if self._expires_at is None else self._expires_at

    def note_end(self, context: Context) -> None:
        """Note whether another task restores the Space, and when ``execution_timeout`` ends this task."""
        self._is_restored_later = bool(self._task.lease_task or restoring_task_ids(context))
        if self._task.execution_timeout is not None:
            started = getattr(context["ti"], "start_date", None)
            began = started.timestamp() if started is not None else time.time()
            self._expires_at = began + self._task.execution_timeout.total_seconds()

    def _resume(self, context: Context) -> None:
        """Read, in another process, what to restore if the task ends now."""
        self.note_end(context)
        self._to_restore = None if self._is_restored_later else recorded_snapshot(context)
        if self._search is None and not self.takes_one_flavor:
            self._search = self.read_search(context)

    def _restore_after_kill(self, snapshot: SpaceSnapshot) -> None:
        # Airflow calls on_kill for a timeout too, and does not tell which of the two it is.
        has_expired = self._expires_at is not None and time.time() >= self._expires_at - _TIMER_SECONDS
        if has_expired and self._is_restored_later:
            self._log_stays_requested(snapshot.repo_id)
        elif self._task.cancel_on_kill:
            self._restore(snapshot, "the task was killed")

    def _restore(self, snapshot: SpaceSnapshot, reason: str) -> bool:
        """Restore the Space within the few seconds that a signal handler has; log the outcome."""
        hook, log = self._task.hook, self._task.log
        return undo_request(hook, self._lease, snapshot, self._flavor_in_use, reason, log)

    @property
    def _flavor_in_use(self) -> str:
        """The flavor that the task requested last, or what it has to choose from."""
        searched = self._search.hardware if self._search is not None else None
        return self._flavor or searched or self.hardware_in_words

    def _log_stays_requested(self, repo_id: str) -> None:
        self._task.log.warning(
            "Space %s: %s stays requested until the Space is restored, as RestoreHardwareOperator does.",
            repo_id,
            self._flavor_in_use,
        )
