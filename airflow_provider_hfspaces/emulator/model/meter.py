"""Meter, which measures the sessions of a Space on billed hardware."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Meter", "Session"]


@dataclass(frozen=True)
class Session:
    """A period on billed hardware without a change. Minutes are rounded up, and each replica is billed.

    :ivar started: emulated seconds since 1970.
    :ivar stopped: emulated seconds since 1970; the current time while the session is ``active``.
    """

    hardware: str
    replicas: int
    started: float
    stopped: float
    active: bool = False

    @property
    def minutes(self) -> int:
        """Billed minutes of all replicas together."""
        return math.ceil(round((self.stopped - self.started) / 60, 6)) * self.replicas


class Meter:
    """The meter of one Space, which runs while the Space is billed."""

    def __init__(self) -> None:
        self._ended: list[Session] = []
        self._running: tuple[str, int, float] | None = None

    def switch(self, time: float, hardware: str | None, replicas: int) -> None:
        """Bill this hardware and these replicas from ``time`` on; ``None`` stops the meter."""
        if self._running is not None:
            if self._running[:2] == (hardware, replicas):
                return
            if time > self._running[2]:
                self._ended.append(Session(*self._running, time))
            self._running = None
        if hardware is not None:
            self._running = (hardware, replicas, time)

    def to_dict(self) -> dict[str, Any]:
        """The meter as plain JSON."""
        return {"ended": [asdict(each) for each in self._ended], "running": self._running}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Restore the state from the dictionary that :meth:`to_dict` returned."""
        self._ended = [Session(**each) for each in state["ended"]]
        running = state["running"]
        self._running = (running[0], running[1], running[2]) if running else None

    def sessions(self, now: float) -> list[Session]:
        """All sessions, the current one included."""
        if self._running is None:
            return list(self._ended)
        return [*self._ended, Session(*self._running, now, active=True)]
