"""Interval, which says how often a Space is polled, and Source, which says how far to trust a runtime."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

__all__ = ["Interval", "Source"]


@dataclass(frozen=True, slots=True)
class Interval:
    """How often to poll a Space: at a fixed interval, as often as the quota allows, or the shorter of both.

    :ivar seconds: the shortest ``poll_interval`` of the waits for the Space; infinite if no wait has one.
    :ivar automatic: whether a wait leaves the interval to the quota.
    """

    seconds: float = float("inf")
    automatic: bool = False

    @classmethod
    def shortest(cls, intervals: Iterable[float | None]) -> Interval:
        """Return the interval for several waits.

        :param intervals: the ``poll_interval`` of each wait in seconds; ``None`` leaves it to the quota.
        """
        known = list(intervals)
        return cls(min((each for each in known if each is not None), default=float("inf")), None in known)

    def limit(self, period: float) -> float:
        """Return the seconds between two polls.

        :param period: the seconds between two polls that the quota allows.
        """
        return min(self.seconds, period) if self.automatic else self.seconds


class Source(Enum):
    """The kind of answer that a runtime comes from."""

    SPACE = "an answer about the Space alone, which is certain"
    LIST = "a list of the owner's Spaces, which may be some seconds behind"
    DOUBTFUL_LIST = "a list of an owner whose lists have shown what the Spaces themselves did not confirm"
