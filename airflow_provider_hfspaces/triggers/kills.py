"""What a trigger does when a user ends its task, undisturbed by further cancellations."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

__all__ = ["shielded"]

_under_way: set[asyncio.Future[None]] = set()
"""Work that is under way. The event loop itself keeps only weak references to its tasks."""


async def shielded(work: Coroutine[Any, Any, None]) -> None:
    """Carry out work although Airflow cancels the trigger a second time while it handles a kill."""
    task = asyncio.ensure_future(work)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    await asyncio.shield(task)
