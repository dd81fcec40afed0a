"""SpaceCallTrigger reads the answer of an app, and SpaceQueueTrigger waits for a place in its queue.

The worker sends a call and stores in the trigger what identifies the call in the app. Airflow writes the
trigger into its database before any triggerer reads the answer. A triggerer that restarts therefore knows
every call that was sent, and reads the answer instead of sending the call a second time. An app gives an
answer only once: if another triggerer has begun to read it, the app reports this, and the call is lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import storage_folder
from airflow_provider_hfspaces.compat.server import in_thread
from airflow_provider_hfspaces.hub.errors import HubError, InvalidInput, error_to_dict
from airflow_provider_hfspaces.space_app.errors import AppCallLost, AppTimeout, SpaceAppError
from airflow_provider_hfspaces.triggers.base import WaitTrigger
from airflow_provider_hfspaces.triggers.loading import open_waits

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import TriggerEvent
    from airflow_provider_hfspaces.space_app.started import StartedCall

__all__ = ["SpaceCallTrigger", "SpaceQueueTrigger"]

_LAST_READ_SECONDS = 5.0
"""Time for one last read if the deadline has passed before the trigger runs, as after a restart."""


@dataclass(kw_only=True, eq=False, repr=False)
class _AppTrigger(WaitTrigger):
    """The base of both triggers: the Space, the connections, and when the wait ends.

    The arguments hold neither a token nor the inputs of the call.
    """

    started: float
    app_conn_id: str | None = None

    @property
    def remaining(self) -> float:
        """Seconds until the deadline. After the deadline, a few seconds for one last read."""
        remaining = self.deadline - time.time()
        return remaining if remaining > 0 else _LAST_READ_SECONDS

    def _ending(self, status: str, **more: Any) -> TriggerEvent:
        """Return an event with what the operator needs to continue."""
        logs = self.logs if self._progress is None else self._progress.to_dict()
        name, then = type(self).__name__, dict(self.then or {})
        return self.event(status, of=name, since=self.started, then=then, logs=logs, **more)

    def _failure(self, error: Exception) -> TriggerEvent:
        is_lost, is_late = isinstance(error, AppCallLost), isinstance(error, AppTimeout)
        status = "lost" if is_lost else "timeout" if is_late else "failed"
        return self._ending(status, error=error_to_dict(error))

    def _errors_of_waits(self) -> tuple[type[Exception], ...]:
        return SpaceAppError, HubError, InvalidInput

    def _unexpected(self, error: Exception) -> Exception:
        return AppCallLost(
            f"Space {self.repo_id}: the answer of the call could not be read: {type(error).__name__}: "
            f"{error}. The traceback is in the log of the task.",
            repo_id=self.repo_id,
        )


@dataclass(kw_only=True, eq=False, repr=False)
class SpaceCallTrigger(_AppTrigger):
    """Read the answer of a call that a worker has sent to the app of a Space.

    :class:`~airflow_provider_hfspaces.operators.app.CallSpaceOperator` defers to this trigger. All such
    triggers of a triggerer share one client for each Space, with one connection for each call in flight. The
    trigger fires one event: ``{"status": "answered" | "lost" | "failed" | "timeout", "value": …, "error":
    …, "repo_id": …, "since": …, "then": …}``.

    If a user ends the task, the call is cancelled in the app. A restart of the triggerer and a cleared task
    cancel nothing.

    :param repo_id: the Space, as ``owner/name``.
    :param call: the call, from :meth:`StartedCall.to_dict
        <airflow_provider_hfspaces.space_app.started.StartedCall.to_dict>`.
    :param deadline: when the call has to end, in seconds since 1970.
    :param started: when the task began, in seconds since 1970.
    :param output: the folder for a large answer and for files; ``None`` for small JSON only.
    :param hf_spaces_conn_id: the connection to the Hub.
    :param app_conn_id: the connection with the login of the app itself; ``None`` for an app without one.
    :param then: plain JSON that the operator needs afterwards; returned in the event.
    :param logs: the logs of the Space to show in the log of the task, from ``LogProgress.to_dict()``. The
        event says how far they are shown.
    """

    call: Mapping[str, Any]
    output: str | None = None

    def _failure(self, error: Exception) -> TriggerEvent:
        """Return the event of a wait that failed, with the call as the app identifies it."""
        event = super()._failure(error)
        event.payload["call"] = dict(self.call)
        return event

    async def _wait(self) -> TriggerEvent:
        from airflow_provider_hfspaces.app_log import AppLog
        from airflow_provider_hfspaces.space_app.answers import AnswerKeeper
        from airflow_provider_hfspaces.triggers.space_logs import showing_logs

        started = self._started_call()
        async with (
            open_waits(self.hf_spaces_conn_id) as (waits, _),
            showing_logs(self, waits, self.logs) as self._progress,
        ):
            app = await waits.app(self.repo_id, self.app_conn_id)
            result = await app.aresult(
                started, timeout=self.remaining, listener=AppLog(self.repo_id, self.log)
            )
            folder = await in_thread(storage_folder, self.output) if self.output else None
            value = await AnswerKeeper(app, folder).akeep(result, started.answer)
        return self._ending("answered", value=value, seconds=getattr(result, "seconds", None))

    def _has_undo(self) -> bool:
        return self._started_call().accepted is not None

    async def _undo(self) -> None:
        """Cancel the call in the app."""
        accepted = self._started_call().accepted
        assert accepted is not None
        try:
            async with open_waits(self.hf_spaces_conn_id) as (waits, _):
                app = await waits.app(self.repo_id, self.app_conn_id)
                await app.acancel(accepted)
        except (SpaceAppError, HubError, InvalidInput) as error:
            self.log.error(
                "Space %s: the task was killed, but its call was not cancelled: %s", self.repo_id, error
            )
        else:
            self.log.warning(
                "Space %s: the task was killed, and its call of %s was cancelled.", self.repo_id, accepted.api
            )

    def _started_call(self) -> StartedCall:
        from airflow_provider_hfspaces.space_app.started import StartedCall

        return StartedCall.from_dict(self.call)


@dataclass(kw_only=True, eq=False, repr=False)
class SpaceQueueTrigger(_AppTrigger):
    """Wait until the queue of an app has a place for a call that it has refused.

    All such triggers for one Space share one look at its queue every few seconds. For each free place, one of
    them continues. Fires one event, ``{"status": "free" | "failed" | "timeout", …}``.

    :param repo_id: the Space, as ``owner/name``.
    :param places: calls that may wait in the queue, as the app reported; ``None`` if it did not.
    :param deadline: when the wait ends, in seconds since 1970.
    :param started: when the task began, in seconds since 1970.
    :param delay: seconds before the first look, as the app requested; by default 0.
    :param hf_spaces_conn_id: the connection to the Hub.
    :param app_conn_id: the connection with the login of the app itself; ``None`` for an app without one.
    :param then: plain JSON that the operator needs afterwards; returned in the event.
    :param logs: the logs of the Space to show in the log of the task, from ``LogProgress.to_dict()``. The
        event says how far they are shown.
    """

    places: int | None = None
    delay: float = 0.0

    async def _wait(self) -> TriggerEvent:
        from airflow_provider_hfspaces.triggers.space_logs import showing_logs

        try:
            await asyncio.sleep(min(self.delay, self.remaining))
            async with (
                open_waits(self.hf_spaces_conn_id) as (waits, _),
                showing_logs(self, waits, self.logs) as self._progress,
            ):
                app = await waits.app(self.repo_id, self.app_conn_id)
                await asyncio.wait_for(waits.queue(app).turn(self.places), self.remaining)
        except (asyncio.TimeoutError, TimeoutError):
            return self._ending("timeout")
        return self._ending("free")
