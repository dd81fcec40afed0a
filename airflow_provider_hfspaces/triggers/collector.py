"""QuietCollector: no full garbage collection while thousands of waits begin.

Python looks through all objects of the process whenever their number has grown by a quarter, and nothing else
runs meanwhile. In a triggerer with thousands of waits that takes longer than a tenth of a second, and happens
several times while they begin. Waits are freed without it when they end.
"""

from __future__ import annotations

import gc
import threading

__all__ = ["MANY_WAITS", "QuietCollector", "quiet_collector"]

MANY_WAITS = 500
"""From so many waits on, full collections are rare."""

_RARE_FULL_COLLECTIONS = 1000
"""Collections of the middle generation between two full ones. Python's own value is 10."""


class QuietCollector:
    """Makes full collections rare while there are many waits in this process.

    The collector belongs to the whole process: its thresholds are restored when few waits are left, and a
    threshold that somebody else has set meanwhile stays.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits = 0
        self._before: tuple[int, int, int] | None = None

    def begin(self) -> None:
        """Count one more wait."""
        with self._lock:
            self._waits += 1
            thresholds = gc.get_threshold()
            if self._waits == MANY_WAITS and gc.isenabled() and 0 < thresholds[2] < _RARE_FULL_COLLECTIONS:
                self._before = thresholds
                gc.set_threshold(thresholds[0], thresholds[1], _RARE_FULL_COLLECTIONS)

    def end(self) -> None:
        """Count one wait less."""
        with self._lock:
            self._waits -= 1
            if self._waits < MANY_WAITS // 2 and self._before is not None:
                if gc.get_threshold()[2] == _RARE_FULL_COLLECTIONS:
                    gc.set_threshold(*self._before)
                self._before = None


quiet_collector = QuietCollector()
"""The one of this process."""
