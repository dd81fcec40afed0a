"""How often waits look at a Space, and what a look is worth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

__all__ = ["Interval", "Source"]


@dataclass(frozen=True, slots=True)
class Interval:
    """How often to look at a Space: at least every so many seconds, as often as the quota allows, or both.

    :ivar seconds: the shortest interval that a wait has asked for; without one, infinite.
    :ivar automatic: whether a wait leaves the interval to the quota.
    """

    seconds: float = float("inf")
    automatic: bool = False

    @classmethod
    def shortest(cls, intervals: Iterable[float | None]) -> Interval:
        """Returns the interval that satisfies several waits; ``None`` leaves it to the quota."""
        known = list(intervals)
        return cls(min((each for each in known if each is not None), default=float("inf")), None in known)

    def limit(self, period: float) -> float:
        """Returns the seconds between two looks.

        :param period: the seconds between two looks that the quota allows.
        """
        return min(self.seconds, period) if self.automatic else self.seconds


class Source(Enum):
    """Where a runtime comes from."""

    SPACE = "an answer about the Space alone, which is certain"
    LIST = "a list of the owner's Spaces, which may be some seconds behind"
    DOUBTFUL_LIST = "a list of an owner whose lists have shown what the Spaces themselves did not confirm"
