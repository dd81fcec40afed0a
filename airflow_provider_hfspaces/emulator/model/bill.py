"""The bill of the emulated Spaces, at the Hub's list prices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.emulator.model.clock import iso
from airflow_provider_hfspaces.emulator.model.prices import PRICES_DATE, price_per_minute
from airflow_provider_hfspaces.emulator.model.space import Space

__all__ = ["Bill", "BillItem", "Charge", "bill"]


@dataclass(frozen=True)
class BillItem:
    """A period of a Space on billed hardware without a change.

    :ivar minutes: billed minutes of all replicas together.
    :ivar started: emulated seconds since 1970.
    :ivar stopped: emulated seconds since 1970; ``None`` while the meter runs.
    :ivar object_id: the Hub's id of the Space, which a rename does not change.
    """

    repo_id: str
    hardware: str
    minutes: int
    usd: float
    started: float
    stopped: float | None
    object_id: str

    def to_dict(self) -> dict[str, Any]:
        """The values as plain JSON."""
        return {
            "repo_id": self.repo_id,
            "hardware": self.hardware,
            "minutes": self.minutes,
            "usd": self.usd,
            "started": iso(self.started),
            "stopped": iso(self.stopped) if self.stopped is not None else None,
        }


@dataclass
class Charge:
    """Billed minutes and their cost in USD."""

    minutes: int = 0
    usd: float = 0.0

    def add(self, item: BillItem) -> None:
        """Add an item."""
        self.minutes += item.minutes
        self.usd = round(self.usd + item.usd, 6)

    def to_dict(self) -> dict[str, Any]:
        """The values as plain JSON."""
        return {"minutes": self.minutes, "usd": self.usd}


@dataclass(frozen=True)
class Bill:
    """Everything that has been billed so far.

    :ivar items: by the time of their start.
    :ivar total_usd: total cost in USD.
    :ivar minutes: total billed minutes.
    :ivar hardware: one :class:`Charge` for each flavor.
    :ivar spaces: for each Space, one :class:`Charge` for each flavor.
    """

    items: tuple[BillItem, ...]
    total_usd: float = field(init=False)
    minutes: int = field(init=False)
    hardware: dict[str, Charge] = field(init=False)
    spaces: dict[str, dict[str, Charge]] = field(init=False)

    def __post_init__(self) -> None:
        total = Charge()
        hardware: dict[str, Charge] = {}
        spaces: dict[str, dict[str, Charge]] = {}
        for item in self.items:
            total.add(item)
            hardware.setdefault(item.hardware, Charge()).add(item)
            spaces.setdefault(item.repo_id, {}).setdefault(item.hardware, Charge()).add(item)
        values = {"total_usd": total.usd, "minutes": total.minutes, "hardware": hardware, "spaces": spaces}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def running(self) -> bool:
        """Whether the meter of a Space is running."""
        return any(item.stopped is None for item in self.items)

    def by_hardware(self) -> dict[str, int]:
        """Billed minutes by flavor."""
        return {hardware: charge.minutes for hardware, charge in self.hardware.items()}

    def to_dict(self) -> dict[str, Any]:
        """The values as plain JSON."""
        return {
            "total_usd": self.total_usd,
            "minutes": self.minutes,
            "running": self.running,
            "hardware": _charges(self.hardware),
            "spaces": {repo_id: _charges(charges) for repo_id, charges in self.spaces.items()},
            "items": [item.to_dict() for item in self.items],
            "prices_date": PRICES_DATE,
        }


def _charges(charges: dict[str, Charge]) -> dict[str, Any]:
    return {hardware: charge.to_dict() for hardware, charge in charges.items()}


def bill(spaces: Iterable[Space]) -> Bill:
    """The bill of these Spaces."""
    items = [
        BillItem(
            repo_id=space.repo_id,
            hardware=session.hardware,
            minutes=session.minutes,
            usd=round(
                session.minutes * price_per_minute(session.hardware, space.settings.prices) / 1_000_000, 6
            ),
            started=session.started,
            stopped=None if session.active else session.stopped,
            object_id=space.object_id,
        )
        for space in spaces
        for session in space.sessions()
    ]
    return Bill(tuple(sorted(items, key=lambda item: item.started)))
