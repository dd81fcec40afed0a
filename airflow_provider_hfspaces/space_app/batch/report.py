"""BatchReport: the numbers of items, the working time and the cost of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.hub.cost.prices import PriceList, cost_of
from airflow_provider_hfspaces.hub.cost.runs import BilledTime
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE
from airflow_provider_hfspaces.space_app.batch.journal import Segment
from airflow_provider_hfspaces.space_app.batch.progress import duration

__all__ = ["BatchReport"]


@dataclass(frozen=True)
class BatchReport:
    """The report of a batch, over all runs with its output folder.

    :ivar repo_id: the Space, as ``owner/name``.
    :ivar output: path of the output folder.
    :ivar results: path of the results.
    :ivar items: number of items.
    :ivar done: number of items with a result.
    :ivar failed: number of items that the app answered with an error.
    :ivar called: number of calls of this run, including repeated calls.
    :ivar repeated: number of calls that were sent again because their answer was lost, in all runs.
    :ivar segments: the working times of all runs, by machine.
    :ivar own_segments: the working times of this run, by machine.
    :ivar failures: the first ten failed items of this run, each with index, place, type and message.
    :ivar cost_usd: estimated USD for the hardware of all replicas during the working time, where each started
        minute counts; ``None`` if a price is unknown.
    """

    repo_id: str
    output: str
    results: str
    items: int
    done: int
    failed: int
    called: int
    repeated: int
    segments: tuple[Segment, ...] = ()
    own_segments: tuple[Segment, ...] = ()
    failures: tuple[Mapping[str, Any], ...] = ()
    cost_usd: float | None = field(default=None)

    @property
    def seconds(self) -> float:
        """Working time of all runs together, in seconds."""
        return sum(each.seconds for each in self.segments)

    @property
    def items_per_second(self) -> float | None:
        """Items per second of working time; ``None`` without working time."""
        return (self.done + self.failed) / self.seconds if self.seconds else None

    @property
    def cost_per_thousand_items(self) -> float | None:
        """USD per thousand results; ``None`` if the cost is unknown or no item has a result."""
        return None if self.cost_usd is None or not self.done else self.cost_usd / self.done * 1000

    @property
    def hardware(self) -> str | None:
        """The flavor on which the batch worked last; ``None`` if unknown."""
        return self.segments[-1].machine.get("hardware") if self.segments else None

    @property
    def billed_seconds(self) -> int:
        """Seconds that the Hub bills for the hardware of all replicas. Each started minute counts."""
        return 60 * sum(each.minutes for each in self.billed_times() if each.hardware not in FREE_HARDWARE)

    def billed_times(self, *, own: bool = False) -> list[BilledTime]:
        """Return the working time by hardware. Time on unknown hardware is left out.

        :param own: whether to count only this run, without earlier runs; by default not.
        """
        segments = self.own_segments if own else self.segments
        return [
            BilledTime(hardware, replicas, seconds)
            for (hardware, replicas), seconds in self._seconds_by_machine(segments).items()
            if hardware is not None
        ]

    def cost_from(self, prices: PriceList) -> float | None:
        """Return the estimated cost in USD; ``None`` if the Hub lists no price for some hardware.

        :param prices: the Hub's price list.
        """
        total = 0.0
        for (hardware, replicas), seconds in self._seconds_by_machine(self.segments).items():
            hourly = None if hardware is None else prices.hourly(hardware, replicas)
            if hourly is None:
                return None
            total += cost_of(hourly, seconds)
        return round(total, 6)

    @staticmethod
    def _seconds_by_machine(segments: tuple[Segment, ...]) -> dict[tuple[str | None, int], float]:
        sums: dict[tuple[str | None, int], float] = {}
        for each in segments:
            machine = (each.machine.get("hardware"), each.machine.get("replicas") or 1)
            sums[machine] = sums.get(machine, 0.0) + each.seconds
        return sums

    def in_words(self) -> str:
        """Return the report as text for a log."""
        text = f"Space {self.repo_id}: {self.done:,} of {self.items:,} items done"
        if self.failed:
            text += f", {self.failed:,} failed"
        if self.repeated:
            text += f", {self.repeated:,} calls repeated"
        text += f", in {duration(self.seconds)}"
        if self.items_per_second is not None:
            text += f" ({self.items_per_second:,.1f} items/s)"
        if self.hardware:
            text += f" on {self.hardware}"
        if self.cost_usd is not None:
            text += f"; estimated cost ${self.cost_usd:,.4f}"
        if self.cost_per_thousand_items is not None:
            text += f", ${self.cost_per_thousand_items:,.4f} per thousand items"
        again = " Another run with this output sends the failed items again." if self.failed else ""
        return f"{text}.{again} Results: {self.results}"

    def to_dict(self) -> dict[str, Any]:
        """Return this object as plain JSON."""
        return {
            "repo_id": self.repo_id,
            "output": self.output,
            "results": self.results,
            "items": self.items,
            "done": self.done,
            "failed": self.failed,
            "called": self.called,
            "repeated": self.repeated,
            "seconds": round(self.seconds, 3),
            "items_per_second": _rounded(self.items_per_second, 3),
            "hardware": self.hardware,
            "machines": [each.to_dict() for each in self.segments],
            "billed_seconds": self.billed_seconds,
            "cost_usd": self.cost_usd,
            "cost_per_thousand_items": _rounded(self.cost_per_thousand_items, 6),
            "failures": [dict(each) for each in self.failures],
        }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
