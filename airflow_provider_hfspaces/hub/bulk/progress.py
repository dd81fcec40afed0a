"""How far a long piece of work is, told now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Progress", "duration"]

_SECONDS = 10.0
_LONGEST = 60.0
_SHARE = 0.05


class Progress:
    """Counts, and tells in a line such as ``Paused 120 of 1,000 Spaces (2 failed), about 3 min left.``

    Not more often than every ten seconds, and then every twentieth of the work or every minute.

    :param verb: what is done, in the past tense: ``Paused``.
    :param total: how many there are.
    :param tell: writes a line.
    :param waits: how long, in seconds, so many more have to wait for the Hub's quota.
    """

    def __init__(
        self,
        verb: str,
        total: int,
        tell: Callable[[str], None],
        *,
        waits: Callable[[int], float] = lambda left: 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.verb, self.total = verb, total
        self.done = self.failed = 0
        self._tell, self._waits, self._clock = tell, waits, clock
        self._began = self._told_at = clock()
        self._told = 0

    def count(self, *, failed: bool = False) -> None:
        """One more is over."""
        self.done += not failed
        self.failed += failed
        over, since = self.done + self.failed, self._clock() - self._told_at
        if over == self.total or since < _SECONDS:
            return
        if over - self._told >= self.total * _SHARE or since >= _LONGEST:
            self._told, self._told_at = over, self._clock()
            self._tell(f"{self}, about {duration(self.seconds_left())} left.")

    def seconds_left(self) -> float:
        """As far as can be told from the pace so far and from the quota."""
        over = self.done + self.failed
        left = self.total - over
        pace = (self._clock() - self._began) / over if over else 0.0
        return max(left * pace, self._waits(left))

    def __str__(self) -> str:
        failed = f" ({self.failed:,} failed)" if self.failed else ""
        return f"{self.verb} {self.done:,} of {self.total:,} Spaces{failed}"


def duration(seconds: float) -> str:
    """A length of time in one figure: ``40 s``, ``3 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
