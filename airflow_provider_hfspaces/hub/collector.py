"""QuietCollector: no full garbage collection while thousands of waits and calls are in flight.

Python looks through all objects of the process whenever their number has grown by a quarter, and nothing else
runs meanwhile. With thousands of waits on an event loop that takes longer than a tenth of a second, and it
happens several times while they begin. Waits and calls are freed without it when they end.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["MANY_WAITS", "QuietCollector", "quiet_collector"]

MANY_WAITS = 500
"""From so many waits and calls on, full collections are rare."""

_RARE_FULL_COLLECTIONS = 1000
"""Collections of the middle generation between two full ones. Python's own value is 10."""


class QuietCollector:
    """Makes full collections rare while many waits and calls are in flight on event loops of this process.

    The collector belongs to the whole process: its thresholds are restored when few are left, and a threshold
    that somebody else has set meanwhile stays. What a counted wait begins, such as a call, is not counted
    again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits = 0
        self._before: tuple[int, int, int] | None = None
        self._is_counted: ContextVar[bool] = ContextVar("is_counted", default=False)

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what the current coroutine does in here as one wait."""
        if self._is_counted.get():
            yield
            return
        self._is_counted.set(True)
        self.begin()
        try:
            yield
        finally:
            # Not by token: the end of an asynchronous generator may run in another context.
            self._is_counted.set(False)
            self.end()

    def begin(self) -> None:
        """Count one more wait or call."""
        with self._lock:
            self._waits += 1
            thresholds = gc.get_threshold()
            if self._waits == MANY_WAITS and gc.isenabled() and 0 < thresholds[2] < _RARE_FULL_COLLECTIONS:
                self._before = thresholds
                gc.set_threshold(thresholds[0], thresholds[1], _RARE_FULL_COLLECTIONS)

    def end(self) -> None:
        """Count one wait or call less."""
        with self._lock:
            self._waits -= 1
            if self._waits < MANY_WAITS // 2 and self._before is not None:
                if gc.get_threshold()[2] == _RARE_FULL_COLLECTIONS:
                    gc.set_threshold(*self._before)
                self._before = None


quiet_collector = QuietCollector()
"""The one of this process."""
