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
        self._speed = _checked(speed)
        self._base = time.time()
        self._since = time.monotonic()

    def now(self) -> float:
        """The emulated time, in seconds since 1970."""
        return self._base + (time.monotonic() - self._since) * self._speed

    def advance(self, seconds: float) -> None:
        """Move the emulated time forward.

        :raises ValueError: for a negative number.
        """
        if not seconds >= 0:
            raise ValueError(f"Time only moves forward; got {seconds!r}.")
        self._base += seconds

    def go_to(self, moment: float) -> None:
        """Go on from another time, in seconds since 1970."""
        self._base, self._since = moment, time.monotonic()

    @property
    def speed(self) -> float:
        """Emulated seconds per real second; may be changed, from now on."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        checked = _checked(speed)
        self._base, self._since = self.now(), time.monotonic()
        self._speed = checked


def iso(seconds: float) -> str:
    """A moment as the Hub writes it: ISO 8601 with milliseconds and a Z."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _checked(speed: float) -> float:
    if not 0 <= speed < float("inf"):
        raise ValueError(f"The speed is 0 or more; got {speed!r}.")
    return speed
