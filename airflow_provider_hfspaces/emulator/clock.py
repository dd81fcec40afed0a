"""The emulator's time, which may run faster than the real one and be moved forward."""

from __future__ import annotations

import time
from datetime import datetime, timezone

__all__ = ["Clock", "iso"]


class Clock:
    """Seconds since 1970, ``speed`` of them for each real one.

    :param speed: emulated seconds per real second; 0 stands still but for :meth:`advance`.
    """

    def __init__(self, speed: float = 1.0) -> None:
        if speed < 0:
            raise ValueError(f"The speed is 0 or more; got {speed!r}.")
        self.speed = speed
        self._epoch = time.time()
        self._started = time.monotonic()
        self._advanced = 0.0

    def now(self) -> float:
        """The emulated time, in seconds since 1970."""
        return self._epoch + (time.monotonic() - self._started) * self.speed + self._advanced

    def advance(self, seconds: float) -> None:
        """Move the emulated time forward."""
        if seconds < 0:
            raise ValueError("Time only moves forward.")
        self._advanced += seconds


def iso(seconds: float) -> str:
    """A moment as the Hub writes it: ISO 8601 with milliseconds and a Z."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
