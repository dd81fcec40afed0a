"""What the emulated Spaces cost, minute by minute."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from airflow_provider_hfspaces.emulator.clock import iso
from airflow_provider_hfspaces.emulator.prices import PRICES_DATE, price_per_minute
from airflow_provider_hfspaces.emulator.space import Space

__all__ = ["Bill", "BillItem", "bill"]


@dataclass(frozen=True)
class BillItem:
    """One time on one hardware of one Space."""

    repo_id: str
    hardware: str
    minutes: int
    usd: float
    started: float
    stopped: float | None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "repo_id": self.repo_id,
            "hardware": self.hardware,
            "minutes": self.minutes,
            "usd": self.usd,
            "started": iso(self.started),
            "stopped": iso(self.stopped) if self.stopped is not None else None,
        }


@dataclass(frozen=True)
class Bill:
    """What has been billed, in USD by the list prices."""

    items: tuple[BillItem, ...]

    @property
    def total_usd(self) -> float:
        """USD, all together."""
        return round(sum(item.usd for item in self.items), 6)

    @property
    def minutes(self) -> int:
        """Billed minutes, all together."""
        return sum(item.minutes for item in self.items)

    @property
    def running(self) -> bool:
        """Whether the meter of any Space still runs."""
        return any(item.stopped is None for item in self.items)

    def by_hardware(self) -> dict[str, int]:
        """Billed minutes by hardware."""
        found: dict[str, int] = {}
        for item in self.items:
            found[item.hardware] = found.get(item.hardware, 0) + item.minutes
        return found

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "total_usd": self.total_usd,
            "minutes": self.minutes,
            "running": self.running,
            "by_hardware": self.by_hardware(),
            "items": [item.to_dict() for item in self.items],
            "prices_date": PRICES_DATE,
        }


def bill(spaces: Iterable[Space]) -> Bill:
    """The bill of these Spaces."""
    return Bill(
        tuple(
            BillItem(
                repo_id=space.repo_id,
                hardware=session.hardware,
                minutes=session.minutes,
                usd=round(session.minutes * price_per_minute(session.hardware) / 1_000_000, 6),
                started=session.started,
                stopped=None if session.active else session.stopped,
            )
            for space in spaces
            for session in space.sessions()
        )
    )
