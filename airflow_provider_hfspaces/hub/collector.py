"""QuietCollector: fewer full garbage collections while thousands of waits and calls are in flight.

A full collection traverses all objects of the process, and Python runs one whenever their number has grown by
a quarter. With thousands of waits, each full collection blocks the event loop for more than 0.1 seconds, and
several of them run while the waits begin. Reference counting frees finished waits and calls without them.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["MANY_WAITS", "QuietCollector", "quiet_collector"]

MANY_WAITS = 500
"""Number of waits and calls in flight from which on full collections are rare."""

_RARE_FULL_COLLECTIONS = 1000
"""Collections of the middle generation between two full collections. Python's default is 10."""


class QuietCollector:
    """Makes full collections rare while many waits and calls of this process are in flight.

    The garbage collector belongs to the whole process. Its thresholds are restored when fewer than half of
    :data:`MANY_WAITS` remain, unless other code has changed them in the meantime. A call that a counted wait
    makes is not counted again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits = 0
        self._before: tuple[int, int, int] | None = None
        self._is_counted: ContextVar[bool] = ContextVar("is_counted", default=False)

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Return a context manager that counts its block as one wait."""
        if self._is_counted.get():
            yield
            return
        self._is_counted.set(True)
        self.begin()
        try:
            yield
        finally:
            # Not reset(token): an asynchronous generator may end in another context, in which reset() fails.
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
        """Count one wait or call fewer."""
        with self._lock:
            self._waits -= 1
            if self._waits < MANY_WAITS // 2 and self._before is not None:
                if gc.get_threshold()[2] == _RARE_FULL_COLLECTIONS:
                    gc.set_threshold(*self._before)
                self._before = None


quiet_collector = QuietCollector()
"""The collector that all clients and waits of this process share."""
