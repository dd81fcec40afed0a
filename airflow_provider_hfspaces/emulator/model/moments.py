"""A Space at a point in time: what it is, what its runtime shows, and what is stored in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Entry", "Moment", "View"]


class View(NamedTuple):
    """What the runtime shows of a Space. It may lag behind the Space's state.

    :ivar sha: the commit that answers visitors; ``None`` while nothing runs.
    """

    stage: str
    hardware: str | None
    requested: str | None
    error_message: str | None
    sha: str | None = None


class Moment(NamedTuple):
    """The state of a Space from an emulated time (seconds since 1970) on.

    :ivar hardware: the hardware that it runs on; ``None`` while nothing runs.
    :ivar billed: the hardware that it is billed for; ``None`` while it costs nothing.
    :ivar sha: the commit that it runs; ``None`` while nothing runs.
    """

    time: float
    stage: str
    hardware: str | None
    requested: str | None
    billed: str | None
    sha: str | None = None

    def view(self) -> View:
        """What the runtime showed then, without the error message."""
        return View(self.stage, self.hardware, self.requested, None, self.sha)


@dataclass(frozen=True)
class Entry:
    """A secret or a variable.

    :ivar updated: emulated seconds since 1970.
    """

    value: str
    updated: float
    description: str | None = None
