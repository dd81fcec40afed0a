"""View, Moment and Entry: the runtime of a Space, its state in the past, and its secrets and variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Entry", "Moment", "View"]


class View(NamedTuple):
    """The values that the runtime of a Space shows, which may lag behind the actual state.

    :ivar sha: the commit that answers visitors; ``None`` while nothing runs.
    """

    stage: str
    hardware: str | None
    requested: str | None
    error_message: str | None
    sha: str | None = None


class Moment(NamedTuple):
    """The state of a Space from ``time`` on.

    :ivar time: emulated seconds since 1970.
    :ivar hardware: the hardware that the Space runs on; ``None`` while nothing runs.
    :ivar billed: the hardware for which the Space is billed; ``None`` while it is free.
    :ivar sha: the commit that runs; ``None`` while nothing runs.
    """

    time: float
    stage: str
    hardware: str | None
    requested: str | None
    billed: str | None
    sha: str | None = None

    def view(self) -> View:
        """What the runtime showed at this time, without the error message."""
        return View(self.stage, self.hardware, self.requested, None, self.sha)


@dataclass(frozen=True)
class Entry:
    """A secret or a variable.

    :ivar updated: time of the last change, in emulated seconds since 1970.
    """

    value: str
    updated: float
    description: str | None = None
