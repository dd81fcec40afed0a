"""Progress: report how far a bulk operation has come, without flooding the log."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Progress", "duration"]

_MIN_INTERVAL_SECONDS = 10.0
_MAX_INTERVAL_SECONDS = 60.0
_MIN_SHARE = 0.05


class Progress:
    """Counts Spaces, and reports lines such as ``Paused 120 of 1,000 Spaces (2 failed), about 3 min left.``

    A line is reported for each 5 % of the Spaces and at least every minute, but never twice within 10
    seconds.

    :param verb: the action in the past tense, such as ``Paused``.
    :param total: number of Spaces.
    :param report: called with each line.
    :param waits: returns the seconds that a number of further requests have to wait for the rate limit; by
        default 0.
    :param clock: returns the current time in seconds.
    """

    def __init__(
        self,
        verb: str,
        total: int,
        report: Callable[[str], None],
        *,
        waits: Callable[[int], float] = lambda requests: 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.verb, self.total = verb, total
        self.done = self.failed = 0
        self._report, self._waits, self._clock = report, waits, clock
        self._started = self._reported_at = clock()
        self._reported = 0

    def count(self, *, failed: bool = False) -> None:
        """Count one more Space, and report a line if one is due."""
        self.done += not failed
        self.failed += failed
        over, since = self.done + self.failed, self._clock() - self._reported_at
        if over == self.total or since < _MIN_INTERVAL_SECONDS:
            return
        if over - self._reported >= self.total * _MIN_SHARE or since >= _MAX_INTERVAL_SECONDS:
            self._reported, self._reported_at = over, self._clock()
            self._report(f"{self}, about {duration(self.seconds_left())} left.")

    def seconds_left(self) -> float:
        """Return the estimated seconds until the end, from the speed so far and the rate limit."""
        over = self.done + self.failed
        remaining = self.total - over
        pace = (self._clock() - self._started) / over if over else 0.0
        return max(remaining * pace, self._waits(remaining))

    def __str__(self) -> str:
        failed = f" ({self.failed:,} failed)" if self.failed else ""
        return f"{self.verb} {self.done:,} of {self.total:,} Spaces{failed}"


def duration(seconds: float) -> str:
    """Return a duration as text: ``40 s``, ``3 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
