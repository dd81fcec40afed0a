"""Finishes the work of a trigger whose task a user has ended, although Airflow cancels the trigger."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

__all__ = ["run_shielded"]

_under_way: set[asyncio.Future[None]] = set()
"""Work that has not ended. The event loop itself keeps only weak references to its tasks."""


async def run_shielded(work: Coroutine[Any, Any, None]) -> None:
    """Run work to its end, even if Airflow cancels the trigger again while it handles a kill."""
    task = asyncio.ensure_future(work)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    await asyncio.shield(task)
