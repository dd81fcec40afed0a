"""SpaceTrigger waits for a Space in the triggerer, without a worker."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hub.checks import InvalidInput, InvalidNumber
from airflow_provider_hfspaces.hub.errors import (
    HubError,
    SpaceWaitError,
    SpaceWaitFailed,
    SpaceWaitTimeout,
    error_to_dict,
)
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.seconds import checked_interval, checked_seconds
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.hub.waiting.wait import GRACE_SECONDS
from airflow_provider_hfspaces.triggers.base import WaitTrigger
from airflow_provider_hfspaces.triggers.loading import open_waits

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import TriggerEvent
    from airflow_provider_hfspaces.hub.cost.runs import Sightings
    from airflow_provider_hfspaces.space_log.progress import LogProgress

__all__ = ["SpaceTrigger"]


@dataclass(kw_only=True, eq=False, repr=False)
class SpaceTrigger(WaitTrigger):
    """Wait until a Space reaches a goal.

    ::

        self.defer(
            trigger=SpaceTrigger(repo_id="acme/whisper", goal=Goal(), deadline=time.time() + 1800),
            method_name="execute_complete",
        )

    All SpaceTriggers of a triggerer that use the same Hub and token share one
    :class:`~airflow_provider_hfspaces.hub.waiting.watch.SpaceWatch`. The arguments contain no token. The
    trigger fires one event: ``{"status": "reached" | "failed" | "timeout", "runtime": …, "reason": …,
    "error": …, "repo_id": …, "since": …, "changes": […], "then": …}``, and ``"logs": …`` if
    it shows logs.

    :param repo_id: the Space, as ``owner/name``.
    :param goal: what the Space has to reach, as a
        :class:`~airflow_provider_hfspaces.hub.waiting.goal.Goal` or its ``to_dict()``.
    :param hf_spaces_conn_id: the connection to the Hub.
    :param poll_interval: seconds between two looks at the Space, at least; by default as few as the share of
        the Hub's quota that ``[hf_spaces] quota_share`` sets allows, and no fewer than 2.
    :param deadline: when the wait ends, in seconds since 1970. It stays the same when the triggerer is
        restarted.
    :param grace: seconds after ``started`` during which the Hub may still report the state before the
        request; by default 30.
    :param started: when the wait began, in seconds since 1970; by default now.
    :param before: the runtime when a request was sent to the Space, from
        :meth:`~airflow_provider_hfspaces.hub.models.SpaceRuntime.to_dict`.
    :param answer: the runtime with which the Hub answered that request, from ``to_dict()``.
    :param put_back: the snapshot to restore if a user kills the task, from
        :meth:`~airflow_provider_hfspaces.hub.snapshot.SpaceSnapshot.to_dict`.
    :param health: the answer that the app has to give as well, from
        :meth:`~airflow_provider_hfspaces.space_app.health_check.HealthCheck.to_dict`.
    :param start_timeout: seconds that the Space may take to start once it is built; by default no limit.
    :param changes: what was seen of the Space before, as
        :meth:`~airflow_provider_hfspaces.hub.cost.runs.Sighting.to_dict`; the event has these and what the
        trigger itself sees.
    :param logs: the logs of the Space to show in the log of the task, from ``LogProgress.to_dict()``. The
        event says how far they are shown.
    :param then: plain JSON that the operator needs afterwards; returned in the event.
    :raises InvalidInput: for a duration that is not valid.
    """

    goal: Goal | Mapping[str, Any]
    poll_interval: float | None = None
    grace: float = GRACE_SECONDS
    started: float | None = None
    before: Mapping[str, Any] | None = None
    answer: Mapping[str, Any] | None = None
    put_back: Mapping[str, Any] | None = None
    health: Mapping[str, Any] | None = None
    start_timeout: float | None = None
    changes: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.goal, Goal):
            self.goal = Goal.from_dict(self.goal)
        self.poll_interval = checked_interval(self.poll_interval, "poll_interval")
        self.grace = checked_seconds(self.grace, "grace", zero=True)
        self.started = time.time() if self.started is None else _moment(self.started, "started")
        self.deadline = _moment(self.deadline, "deadline")
        self.changes = list(self.changes)
        self._seen: Sightings | None = None
        self._progress: LogProgress | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the trigger as Airflow stores it."""
        path, arguments = super().serialize()
        return path, {**arguments, "goal": arguments["goal"].to_dict()}

    async def _wait(self) -> TriggerEvent:
        from airflow_provider_hfspaces.hub.cost.runs import Sightings, sightings_from

        self._seen = Sightings(sightings_from(self.changes))
        runtime = await self._arrival()
        return self._ending("reached", runtime=runtime.to_dict(), reason=None, error=None)

    def _failure(self, error: Exception) -> TriggerEvent:
        runtime = getattr(error, "runtime", None)
        return self._ending(
            "timeout" if isinstance(error, SpaceWaitTimeout) else "failed",
            runtime=runtime.to_dict() if runtime else None,
            reason=str(error),
            error=error_to_dict(error),
        )

    def _ending(self, status: str, **more: Any) -> TriggerEvent:
        logs = {} if self._progress is None else {"logs": self._progress.to_dict()}
        changes = self.changes if self._seen is None else self._seen.to_list()
        return self.event(status, since=self.started, changes=changes, then=self.then, **more, **logs)

    def _errors_of_waits(self) -> tuple[type[Exception], ...]:
        return SpaceWaitError, HubError, InvalidInput

    def _unexpected(self, error: Exception) -> Exception:
        return SpaceWaitFailed(
            f"The wait for Space {self.repo_id} failed: {type(error).__name__}. Retry the task; the "
            f"traceback is in its log.",
            repo_id=self.repo_id,
            runtime=None,
        )

    async def _arrival(self) -> SpaceRuntime:
        assert self.started is not None
        assert isinstance(self.goal, Goal)
        async with open_waits(self.hf_spaces_conn_id) as (waits, _):
            # A worker that only stores the trigger does not import what runs it.
            from airflow_provider_hfspaces.space_app.health_check import HealthCheck
            from airflow_provider_hfspaces.triggers.space_logs import showing_logs

            arguments: dict[str, Any] = {
                "timeout": max(self.deadline - self.started, 0.0),
                "poll_interval": self.poll_interval,
                "before": SpaceRuntime.from_dict(self.before) if self.before else None,
                "answer": SpaceRuntime.from_dict(self.answer) if self.answer else None,
                "grace": self.grace,
                "elapsed": time.time() - self.started,
                "on_change": self._log_change,
                "start_timeout": self.start_timeout,
            }
            check = HealthCheck.from_value(self.health)
            async with showing_logs(self, waits, self.logs) as self._progress:
                if check is None:
                    return await waits.watch.wait_for(self.repo_id, self.goal, **arguments)
                return await waits.health.wait_for(
                    self.repo_id,
                    self.goal,
                    check,
                    on_reason=lambda reason: self.log.info("%s", check.describe(self.repo_id, reason)),
                    **arguments,
                )

    def _log_change(self, runtime: SpaceRuntime, elapsed: float) -> None:
        from airflow_provider_hfspaces.hub.steps import change_in_words

        assert self._seen is not None
        self._seen.add_change(runtime, elapsed, datetime.now(timezone.utc))
        self.log.info("%s", change_in_words(self.repo_id, runtime, elapsed))

    def _has_undo(self) -> bool:
        return bool(self.put_back)

    async def _undo(self) -> None:
        from airflow_provider_hfspaces.triggers.undo import restore_after_kill

        assert self.put_back
        await restore_after_kill(self.hf_spaces_conn_id, self.put_back, self.log)


def _moment(value: Any, name: str) -> float:
    """Return a moment in seconds since 1970.

    :raises InvalidNumber: for anything that is not a number.
    """

    try:
        moment = float(value)
    except (TypeError, ValueError, OverflowError):
        moment = float("nan")
    if not abs(moment) < 1e11:
        raise InvalidNumber(f"{name} must be a moment in seconds since 1970; got {value!r:.100}.")
    return moment
