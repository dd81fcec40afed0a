"""SpaceTrigger: waits for a Space without a worker, and with next to no requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_hfspaces.compat.imports import has_trigger_on_kill
from airflow_provider_hfspaces.compat.server import is_ended
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook, describe
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.errors import HubError, SpaceWaitError, SpaceWaitTimeout, error_to_dict
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.triggers.watches import watching

__all__ = ["SpaceTrigger"]

_undoing: set[asyncio.Future[None]] = set()
"""The event loop forgets tasks that nobody holds."""


class SpaceTrigger(BaseTrigger):
    """Wait until a Space is where it should be.

    All SpaceTriggers of a triggerer that use the same Hub and token share one
    :class:`~airflow_provider_hfspaces.hub.waiting.watch.SpaceWatch`. No token is in its arguments. Fires one
    event: ``{"status": "reached" | "failed" | "timeout", "runtime": …, "reason": …, "error": …, "repo_id":
    …, "since": …, "then": …}``.

    :param repo_id: the Space, as ``owner/name``.
    :param goal: the goal of the wait, or its ``to_dict()``.
    :param hf_spaces_conn_id: the connection to the Hub.
    :param poll_interval: seconds between two looks at the Space, at least.
    :param deadline: when the wait ends at the latest, in seconds since 1970: it stays the same when the
        triggerer is restarted.
    :param grace: seconds after ``started`` for which a Space that looks as before is only late.
    :param started: when the wait began, in seconds since 1970; by default now.
    :param before: the runtime when something was asked of the Space, as
        :meth:`~airflow_provider_hfspaces.hub.models.SpaceRuntime.to_dict` says it.
    :param answer: the runtime that the Hub answered to that.
    :param put_back: the snapshot to put back when a user kills the task, as
        :meth:`~airflow_provider_hfspaces.hub.snapshot.SpaceSnapshot.to_dict` says it.
    :param then: what the operator needs to know afterwards, as plain JSON; comes back in the event.
    """

    def __init__(
        self,
        *,
        repo_id: str,
        goal: Goal | Mapping[str, Any],
        hf_spaces_conn_id: str = "hf_spaces_default",
        poll_interval: float = 10.0,
        deadline: float,
        grace: float = 30.0,
        started: float | None = None,
        before: Mapping[str, Any] | None = None,
        answer: Mapping[str, Any] | None = None,
        put_back: Mapping[str, Any] | None = None,
        then: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.repo_id = repo_id
        self.goal = goal if isinstance(goal, Goal) else Goal.from_dict(goal)
        self.hf_spaces_conn_id = hf_spaces_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.grace = grace
        self.started = time.time() if started is None else started
        self.before = before
        self.answer = answer
        self.put_back = put_back
        self.then = then

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """As Airflow stores it."""
        return (
            "airflow_provider_hfspaces.triggers.spaces.SpaceTrigger",
            {
                "repo_id": self.repo_id,
                "goal": self.goal.to_dict(),
                "hf_spaces_conn_id": self.hf_spaces_conn_id,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "grace": self.grace,
                "started": self.started,
                "before": self.before,
                "answer": self.answer,
                "put_back": self.put_back,
                "then": self.then,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire the one event."""
        try:
            yield TriggerEvent(await self._event())  # type: ignore[no-untyped-call]
        except asyncio.CancelledError:
            # Before 3.3 a trigger is not told why it is cancelled.
            if not has_trigger_on_kill():
                await self._undo_if_killed()
            raise

    async def on_kill(self) -> None:
        """A user has ended or cleared the task (Airflow 3.3)."""
        await self._undo_if_killed()

    async def _event(self) -> dict[str, Any]:
        told = {"repo_id": self.repo_id, "since": self.started, "then": self.then}
        try:
            async with watching(self.hf_spaces_conn_id) as (watch, _):
                now = time.time()
                runtime = await watch.wait_for(
                    self.repo_id,
                    self.goal,
                    timeout=self.deadline - now,
                    poll_interval=self.poll_interval,
                    before=SpaceRuntime.from_dict(self.before) if self.before else None,
                    answer=SpaceRuntime.from_dict(self.answer) if self.answer else None,
                    grace=self.grace,
                    elapsed=now - self.started,
                    whole_timeout=self.deadline - self.started,
                    on_change=self._tell_change,
                )
        except (SpaceWaitError, HubError, InvalidInput) as error:
            seen = getattr(error, "runtime", None)
            return {
                **told,
                "status": "timeout" if isinstance(error, SpaceWaitTimeout) else "failed",
                "reason": str(error),
                "runtime": seen.to_dict() if seen else None,
                "error": error_to_dict(error),
            }
        return {**told, "status": "reached", "reason": None, "runtime": runtime.to_dict(), "error": None}

    def _tell_change(self, runtime: SpaceRuntime, elapsed: float) -> None:
        self.log.info("%4.0f s  %s is %s", elapsed, self.repo_id, describe(runtime))

    async def _undo_if_killed(self) -> None:
        if not self.put_back:
            return
        # Airflow cancels a trigger again while it is being told of the kill: what undoes the upgrade
        # must go on all the same.
        undoing = asyncio.ensure_future(self._undo())
        _undoing.add(undoing)
        undoing.add_done_callback(_undoing.discard)
        await asyncio.shield(undoing)

    async def _undo(self) -> None:
        if not self.put_back or not await is_ended(self.task_instance):
            # Cleared or only moved: the next try, or the other triggerer, goes on from here.
            return
        snapshot = SpaceSnapshot.from_dict(self.put_back)
        client = await HfSpacesHook(self.hf_spaces_conn_id).async_client()
        try:
            await snapshot.put_back(client)
        except (HubError, InvalidInput) as error:
            self.log.error("The task was killed, and Space %s could not be put back: %s", self.repo_id, error)
        else:
            self.log.warning("The task was killed: Space %s is put back as it was.", self.repo_id)
        finally:
            await client.aclose()
