"""Clock, the emulated time, which can run faster than real time and can be moved forward."""

from __future__ import annotations

import time
from datetime import datetime, timezone

__all__ = ["LATEST", "Clock", "iso"]

LATEST = datetime(9999, 1, 1, tzinfo=timezone.utc).timestamp()
"""The end of the emulated time, in seconds since 1970. Python has no dates after the year 9999."""

_MAX_SPEED = 1_000_000_000
"""Emulated seconds per real second."""


class Clock:
    """The emulated time.

    :param speed: emulated seconds per real second. With 0, time moves only by :meth:`advance`.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = _check_speed(speed)
        self._base = time.time()
        self._since = time.monotonic()

    def now(self) -> float:
        """The emulated time, in seconds since 1970."""
        return min(self._base + (time.monotonic() - self._since) * self._speed, LATEST)

    def advance(self, seconds: float) -> None:
        """Move the emulated time forward.

        :raises ValueError: for a negative number, and for a time after the year 9998.
        """
        if not 0 <= seconds <= LATEST:
            raise ValueError(f"seconds must be a number from 0 to {LATEST:.0f}; got {seconds!r}.")
        if self.now() + seconds > LATEST:
            raise ValueError(f"seconds must not move the time past the year 9998; got {seconds!r}.")
        self._base += seconds

    def pass_time(self, seconds: float) -> None:
        """Move the emulated time forward, at most to :data:`LATEST`."""
        self._base += max(min(seconds, LATEST - self.now()), 0)

    def go_to(self, moment: float) -> None:
        """Set the emulated time, in seconds since 1970.

        :raises ValueError: for a time before 1970 or after the year 9998.
        """
        if not 0 <= moment <= LATEST:
            raise ValueError(f"The emulated time must be from 0 to {LATEST:.0f} seconds; got {moment!r}.")
        self._base, self._since = moment, time.monotonic()

    @property
    def speed(self) -> float:
        """Emulated seconds per real second. A new speed applies from now on."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        checked = _check_speed(speed)
        self._base, self._since = self.now(), time.monotonic()
        self._speed = checked


def iso(seconds: float) -> str:
    """A time in the Hub's notation: ISO 8601 with milliseconds and a Z."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _check_speed(speed: float) -> float:
    if not 0 <= speed <= _MAX_SPEED:
        raise ValueError(f"speed must be a number from 0 to {_MAX_SPEED}; got {speed!r}.")
    return speed
