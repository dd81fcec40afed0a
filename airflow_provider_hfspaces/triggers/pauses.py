"""PauseTrigger waits for a moment in the triggerer, between two searches for hardware."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.triggers.base import StoredTrigger

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import TriggerEvent

__all__ = ["PauseTrigger"]


@dataclass(kw_only=True, eq=False, repr=False)
class PauseTrigger(StoredTrigger):
    """Wait until a moment, without a request and without a worker.

    An operator with ``retry_capacity_after`` defers to this trigger when no hardware of its list is
    available. The trigger fires one event: ``{"status": "over", "repo_id": …, "then": …}``.

    :param repo_id: the Space, as ``owner/name``.
    :param until: the moment, in seconds since 1970.
    :param then: plain JSON that the operator needs afterwards; returned in the event.
    """

    until: float
    then: Mapping[str, Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.then = dict(self.then)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire the one event."""
        await asyncio.sleep(max(0.0, self.until - time.time()))
        yield self.event("over", then=self.then)
