"""PauseTrigger waits for a moment in the triggerer, between two searches for hardware."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

__all__ = ["PauseTrigger"]


class PauseTrigger(BaseTrigger):
    """Wait until a moment, without a request and without a worker.

    An operator with ``retry_capacity_after`` defers to this trigger when no hardware of its list is
    available. The trigger fires one event: ``{"status": "over", "repo_id": …, "then": …}``.

    :param repo_id: the Space, as ``owner/name``.
    :param until: the moment, in seconds since 1970.
    :param then: plain JSON that the operator needs afterwards; returned in the event.
    """

    def __init__(self, *, repo_id: str, until: float, then: Mapping[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.repo_id = repo_id
        self.until = until
        self.then = dict(then)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the trigger as Airflow stores it."""
        return (
            "airflow_provider_hfspaces.triggers.pauses.PauseTrigger",
            {"repo_id": self.repo_id, "until": self.until, "then": self.then},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire the one event."""
        await asyncio.sleep(max(0.0, self.until - time.time()))
        yield TriggerEvent({"status": "over", "repo_id": self.repo_id, "then": self.then})  # type: ignore[no-untyped-call]
