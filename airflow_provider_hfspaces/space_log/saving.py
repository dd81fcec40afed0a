"""Saving: saves how far a log is shown, so that no line is lost or repeated when a process stops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["Save", "Saving"]

_LONGEST_SAVE_SECONDS = 2.0

Save = Callable[[dict[str, Any], Callable[[], bool]], Awaitable[None]]
"""Saves a progress. It calls the function right before it writes, in any thread, and does not write if the
function returns False."""


class Saving:
    """One save of the progress, before its lines are written.

    If the process stops when the save has begun, it must still write the lines, because the next process
    begins after them. If the save has not begun, :meth:`prevent` it, and the next process shows the lines.

    :param save: saves the progress.
    """

    def __init__(self, save: Save) -> None:
        self._save = save
        # Acquired once: by the save when it begins, or by prevent(). The other one then fails to acquire it.
        self._decision = threading.Lock()

    async def run(self, progress: dict[str, Any]) -> None:
        """Save within two seconds. If the save fails, lines may be shown twice after a restart."""
        saving = asyncio.ensure_future(self._save(progress, self._begin))
        saving.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            await asyncio.wait({saving}, timeout=_LONGEST_SAVE_SECONDS)
            self.prevent()
        finally:
            saving.cancel()

    def prevent(self) -> bool:
        """Prevent a save that has not begun. Returns False if it has."""
        return self._decision.acquire(blocking=False)

    def _begin(self) -> bool:
        return self._decision.acquire(blocking=False)
