"""How a hardware request ends if its task is killed or runs out of time: undone, or left to the restore."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import Context
from airflow_provider_hfspaces.operators.hardware.searching import SearchingOperator
from airflow_provider_hfspaces.state.records import recorded_snapshot, restoring_task_ids

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.errors import SpaceWaitError
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
    from airflow_provider_hfspaces.state.leases import AirflowLease

__all__ = ["UndoneRequest"]

_TIMER_SECONDS = 1.0
"""How much Airflow's timer for a timeout may differ from this task's clock."""


class UndoneRequest(SearchingOperator):
    """Base of RequestHardwareOperator: how its request ends if the task does not succeed.

    :param cancel_on_kill: whether to restore the Space if the task is killed (default True).
    :param lease_task: id of the task that has leased the Space (default: none).
    """

    def __init__(self, *, cancel_on_kill: bool = True, lease_task: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cancel_on_kill = cancel_on_kill
        self.lease_task = lease_task
        self._to_restore: SpaceSnapshot | None = None
        self._lease: AirflowLease | None = None
        self._flavor: str | None = None
        self._is_restored_later = False
        self._expires_at: float | None = None

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Resume the task after a deferred wait; ``execution_timeout`` ends it as in a worker."""
        if event["status"] == "timeout":
            self._resume(context)
        return super().execute_complete(context, event)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Restore the Space if Airflow itself has ended the deferred wait, which has no event then."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except Exception as error:
            # TaskDeferralTimeout on Airflow 3, TaskDeferralError("Trigger/execution timeout") on 2.11.
            if next_method == "__fail__" and "timeout" in f"{type(error).__name__} {error}".lower():
                self._resume(context)
                if self._to_restore is not None:
                    self._restore(self._to_restore, "execution_timeout has ended the task")
                elif self._is_restored_later:
                    self._log_stays_requested(self.repo_id)
            raise

    def on_failed_wait(self, error: SpaceWaitError) -> None:
        from airflow_provider_hfspaces.hub.errors import SpaceWaitTimeout

        snapshot, self._to_restore = self._to_restore, None
        limit = self.execution_timeout
        has_expired = (
            isinstance(error, SpaceWaitTimeout)
            and limit is not None
            and limit.total_seconds() <= self.timeout
        )
        if has_expired and snapshot is not None and not self._is_restored_later:
            self._restore(snapshot, "execution_timeout has ended the task")
        else:
            self._log_stays_requested(error.repo_id)

    def on_kill(self) -> None:
        """Stop waiting and restore the Space, with a client of its own.

        Sends nothing to Airflow: the signal may have interrupted a request, and its lock is not reentrant.
        """
        self.killed.set()
        snapshot, self._to_restore = self._to_restore, None
        if snapshot is not None:
            self._restore_after_kill(snapshot)

    def ends_at(self) -> float:
        return float("inf") if self._expires_at is None else self._expires_at

    def note_end(self, context: Context) -> None:
        """Note whether another task restores the Space, and when ``execution_timeout`` ends this task."""
        self._is_restored_later = bool(self.lease_task or restoring_task_ids(context))
        if self.execution_timeout is not None:
            started = getattr(context["ti"], "start_date", None)
            began = started.timestamp() if started is not None else time.time()
            self._expires_at = began + self.execution_timeout.total_seconds()

    def _resume(self, context: Context) -> None:
        """Read, in another process, what to restore if the task ends now."""
        self.note_end(context)
        self._to_restore = None if self._is_restored_later else recorded_snapshot(context)
        if self._search is None and not self._takes_one_flavor:
            self._search = self.read_search(context)

    def _restore_after_kill(self, snapshot: SpaceSnapshot) -> None:
        # Airflow calls on_kill for a timeout too, and does not tell which of the two it is.
        has_expired = self._expires_at is not None and time.time() >= self._expires_at - _TIMER_SECONDS
        if has_expired and self._is_restored_later:
            self._log_stays_requested(snapshot.repo_id)
        elif self.cancel_on_kill:
            self._restore(snapshot, "the task was killed")

    def _restore(self, snapshot: SpaceSnapshot, reason: str) -> bool:
        """Restore the Space within the few seconds that a signal handler has; log the outcome."""
        from airflow_provider_hfspaces.operators.hardware.leasing import undo_request

        return undo_request(self.hook, self._lease, snapshot, self._flavor_in_use, reason, self.log)

    @property
    def _flavor_in_use(self) -> str:
        """The flavor that the task requested last, or what it has to choose from."""
        searched = self._search.hardware if self._search is not None else None
        return self._flavor or searched or self.hardware_in_words

    def _log_stays_requested(self, repo_id: str) -> None:
        self.log.warning(
            "Space %s: %s stays requested until the Space is restored, as RestoreHardwareOperator does.",
            repo_id,
            self._flavor_in_use,
        )
