"""StoredTrigger and WaitTrigger: what the triggers of this package have in common.

Come here to change how Airflow stores a trigger, what a wait reports after an unexpected error, and what
happens when a user ends a deferred task.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import BaseTrigger, TriggerEvent, has_trigger_on_kill

if TYPE_CHECKING:
    from airflow_provider_hfspaces.space_log.progress import LogProgress

__all__ = ["StoredTrigger", "WaitTrigger"]

_under_way: set[asyncio.Future[None]] = set()
"""Work that has not ended. The event loop itself keeps only weak references to its tasks."""


@dataclass(kw_only=True, eq=False, repr=False)
class StoredTrigger(BaseTrigger):
    """A trigger that Airflow stores as the path of its class and the fields of its dataclass.

    Tasks that are deferred during an upgrade of this package keep what the old version has stored. Do not
    move or rename a trigger, and give each new field a default.
    """

    repo_id: str

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the trigger as Airflow stores it. Airflow stores equal event triggers once."""
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__}", {
            each.name: getattr(self, each.name) for each in fields(self)
        }

    def event(self, status: str, **more: Any) -> TriggerEvent:
        """Return an event of this trigger."""
        return TriggerEvent({"status": status, "repo_id": self.repo_id, **more})  # type: ignore[no-untyped-call]


@dataclass(kw_only=True, eq=False, repr=False)
class WaitTrigger(StoredTrigger):
    """A wait that fires one event, shows logs of the Space, and may undo something after a kill.

    A restart of the triggerer and a cleared task undo nothing: the other triggerer, or the next try,
    continues.
    """

    deadline: float
    hf_spaces_conn_id: str = "hf_spaces_default"
    then: Mapping[str, Any] | None = None
    logs: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._progress: LogProgress | None = None

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire the one event."""
        try:
            yield await self._outcome()
        except asyncio.CancelledError:
            # Before Airflow 3.3 a trigger does not learn why it is cancelled.
            if not has_trigger_on_kill():
                await self.on_kill()
            raise

    async def on_kill(self) -> None:
        """Undo what the wait stands for, if a user has ended the task (Airflow 3.3)."""
        if not self._has_undo():
            return
        task = asyncio.ensure_future(self._undo_if_ended())
        _under_way.add(task)
        task.add_done_callback(_under_way.discard)
        # Airflow may cancel the trigger again while it handles the kill.
        await asyncio.shield(task)

    async def _outcome(self) -> TriggerEvent:
        try:
            return await self._wait()
        except Exception as error:
            if not isinstance(error, self._errors_of_waits()):
                # Airflow does not pass the message of an exception that leaves a trigger on to the task.
                self.log.exception("The wait for Space %s failed.", self.repo_id)
                error = self._unexpected(error)
            return self._failure(error)

    @abstractmethod
    async def _wait(self) -> TriggerEvent:
        """Wait, and return the event of a wait that did not fail."""

    @abstractmethod
    def _failure(self, error: Exception) -> TriggerEvent:
        """Return the event of a wait that failed with one of its errors."""

    @abstractmethod
    def _errors_of_waits(self) -> tuple[type[Exception], ...]:
        """Return the errors that a task shows as they are."""

    @abstractmethod
    def _unexpected(self, error: Exception) -> Exception:
        """Return the error that a task shows in place of any other error."""

    def _has_undo(self) -> bool:
        """Return whether a kill of the task has something to undo."""
        return False

    async def _undo(self) -> None:
        """Undo what the wait stands for. Errors are logged."""

    async def _undo_if_ended(self) -> None:
        from airflow_provider_hfspaces.compat.server import is_ended

        # Cleared or only moved: the next try, or the other triggerer, continues from here.
        if await is_ended(self.task_instance):
            await self._undo()
