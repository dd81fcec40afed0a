"""ResumeTrigger gives a worker back for some time, and remembers what the task needs afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

__all__ = ["ResumeTrigger"]


class ResumeTrigger(BaseTrigger):
    """Resume a task at a moment, with the payload that it deferred with.

    ::

        self.defer(
            trigger=ResumeTrigger(moment=time.time() + 30, payload={"deadline": deadline}),
            method_name="look_again",
        )

    Fires one event, the payload. A task must find there all that it needs: ``dag.test()`` does not pass on
    the ``kwargs`` of ``defer``.

    :param moment: when to resume, in seconds since 1970.
    :param payload: plain JSON.
    """

    def __init__(self, *, moment: float, payload: Mapping[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.moment = float(moment)
        self.payload = dict(payload)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Returns the trigger as Airflow stores it."""
        return (
            "airflow_provider_hfspaces.triggers.resume.ResumeTrigger",
            {"moment": self.moment, "payload": self.payload},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep, and fire the one event."""
        await asyncio.sleep(max(self.moment - time.time(), 0.0))
        yield TriggerEvent(self.payload)  # type: ignore[no-untyped-call]
