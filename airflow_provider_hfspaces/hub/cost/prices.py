"""What Spaces cost, by the Hub's own price list: estimates, in USD, to the Hub's own rules.

The Hub bills each replica by the begun minute, from when the app starts, on hardware that costs.
What no price is known for is ``None``, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from airflow_provider_hfspaces.hub.models import FREE_HARDWARE, HardwareFlavor, SpaceInfo, SpaceRuntime
from airflow_provider_hfspaces.hub.stages import BILLED_STAGES
from airflow_provider_hfspaces.hub.text import text_table

__all__ = [
    "HOURS_PER_MONTH",
    "FleetCost",
    "PriceList",
    "SpaceCost",
    "SubtotalCost",
    "billed_minutes",
    "cost_of",
    "replicas_of",
    "saved_by_pause",
]

HOURS_PER_MONTH = 730
"""A twelfth of a year."""


def billed_minutes(seconds: float) -> int:
    """How many minutes the Hub bills for an unbroken time: each begun one."""
    return math.ceil(round(max(seconds, 0) / 60, 6))


def cost_of(hourly: float, seconds: float) -> float:
    """What an unbroken time costs, in USD: what a lease of hardware cost.

    :param hourly: USD per hour, for all replicas together.
    :param seconds: how long; each begun minute counts.
    """
    return round(hourly / 60 * billed_minutes(seconds), 6)


def saved_by_pause(hourly: float, seconds: float) -> float:
    """What a pause saves until its restart, in USD: what as much running would have cost.

    At the most: a Space with a sleep time might have slept for part of it.

    :param hourly: USD per hour, for all replicas together, when it runs.
    :param seconds: from the pause to the restart; only whole minutes count, since the begun one
        before the pause is billed.
    """
    return round(hourly / 60 * math.floor(round(max(seconds, 0) / 60, 6)), 6)


def replicas_of(runtime: SpaceRuntime) -> int:
    """How many replicas are billed: those that run or those that were asked for, if these are more."""
    counts = (runtime.replicas.requested, runtime.replicas.current, 1)
    return max(each for each in counts if isinstance(each, int))


@dataclass(frozen=True)
class PriceList:
    """The Hub's prices at one moment.

    :ivar flavors: by name.
    :ivar as_of: when the list was read, in UTC: the Hub's own has no date.
    """

    flavors: Mapping[str, HardwareFlavor]
    as_of: datetime

    @classmethod
    def of(cls, flavors: Iterable[HardwareFlavor], as_of: datetime | None = None) -> PriceList:
        """The list as ``GET /api/spaces/hardware`` answers it.

        :param as_of: when it was read; now, by default.
        """
        return cls({flavor.name: flavor for flavor in flavors}, as_of or datetime.now(timezone.utc))

    def hourly(self, hardware: str, replicas: int = 1) -> float | None:
        """USD per hour, 0 for a free flavor; ``None`` where the Hub lists no price."""
        flavor = self.flavors.get(hardware)
        hourly = 0.0 if hardware in FREE_HARDWARE else flavor.hourly_cost if flavor else None
        return None if hourly is None else round(hourly * replicas, 3)

    def of_minutes(self, hardware: str, minutes: float) -> float | None:
        """USD for billed minutes of all replicas together, by the listed price of one.

        Closer to a bill than hours are: the Hub lists 0.006667 a minute for $0.40 an hour.
        """
        if hardware in FREE_HARDWARE:
            return 0.0
        flavor = self.flavors.get(hardware)
        hourly = flavor.hourly_cost if flavor else None
        if flavor is None or hourly is None or flavor.unit_cost_usd is None:
            return None
        minute = flavor.unit_cost_usd if flavor.unit_label == "minute" else hourly / 60
        return round(minute * minutes, 6)

    def of_space(self, runtime: SpaceRuntime) -> float | None:
        """USD per hour that a Space costs now, with all its replicas; 0 while it is not billed."""
        hardware = runtime.hardware or runtime.requested_hardware
        if hardware is None and runtime.stage in BILLED_STAGES and not runtime.is_static:
            return None
        if not runtime.is_billed or hardware is None:
            return 0.0
        return self.hourly(hardware, replicas_of(runtime))

    def if_running(self, runtime: SpaceRuntime) -> float | None:
        """USD per hour that a Space costs when it runs on the hardware that it is set to."""
        hardware = runtime.configured_hardware
        if hardware is None:
            return 0.0 if runtime.is_static else None
        return self.hourly(hardware, replicas_of(runtime))


@dataclass(frozen=True)
class SpaceCost:
    """One Space of a fleet and what it costs.

    :ivar stage: ``None`` where the Hub did not say.
    :ivar hardware: what it runs on, or is set to while it does not run.
    :ivar hourly: USD per hour now, with all replicas; ``None`` if no price is known.
    :ivar if_running: USD per hour when it runs; ``None`` if no price is known.
    :ivar is_billed: whether the Hub bills this moment.
    """

    repo_id: str
    stage: str | None
    hardware: str | None
    replicas: int
    hourly: float | None
    if_running: float | None
    is_billed: bool

    @classmethod
    def of(cls, repo_id: str, runtime: SpaceRuntime | None, prices: PriceList) -> SpaceCost:
        """What a Space costs; all of it unknown without a runtime."""
        if runtime is None:
            return cls(repo_id, None, None, 1, None, None, False)
        return cls(
            repo_id=repo_id,
            stage=runtime.stage,
            hardware=runtime.hardware or runtime.requested_hardware,
            replicas=replicas_of(runtime),
            hourly=prices.of_space(runtime),
            if_running=prices.if_running(runtime),
            is_billed=runtime.is_billed,
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "repo_id": self.repo_id,
            "stage": self.stage,
            "hardware": self.hardware,
            "replicas": self.replicas,
            "hourly_cost": self.hourly,
            "hourly_cost_running": self.if_running,
            "is_billed": self.is_billed,
        }


@dataclass(frozen=True)
class SubtotalCost:
    """The part of a fleet that is alike in something.

    :ivar spaces: how many there are.
    :ivar billed: how many of them the Hub bills now.
    :ivar unknown: how many cost what nobody knows; they are not in ``hourly``.
    :ivar hourly: USD per hour now, of those whose price is known.
    """

    spaces: int
    billed: int
    unknown: int
    hourly: float

    @classmethod
    def of(cls, spaces: Iterable[SpaceCost]) -> SubtotalCost:
        """The sum of these."""
        listed = list(spaces)
        known = [each.hourly for each in listed if each.hourly is not None]
        return cls(
            spaces=len(listed),
            billed=sum(each.is_billed for each in listed),
            unknown=len(listed) - len(known),
            hourly=round(math.fsum(known), 3),
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "spaces": self.spaces,
            "billed": self.billed,
            "unknown": self.unknown,
            "hourly_cost": self.hourly,
        }


@dataclass(frozen=True)
class FleetCost:
    """What an owner's Spaces cost now.

    :ivar spaces: the dearest first, those of unknown cost before those that cost nothing.
    :ivar prices_as_of: when the price list was read, in UTC.
    """

    spaces: tuple[SpaceCost, ...]
    prices_as_of: datetime
    total: SubtotalCost = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", SubtotalCost.of(self.spaces))

    @classmethod
    def of(cls, fleet: Iterable[SpaceInfo | tuple[str, SpaceRuntime | None]], prices: PriceList) -> FleetCost:
        """What these Spaces cost.

        :param fleet: as ``list_spaces(expand="runtime")`` yields them, or pairs of a Space's id and
            its runtime.
        """
        pairs = ((each.id, each.runtime) if isinstance(each, SpaceInfo) else each for each in fleet)
        spaces = [SpaceCost.of(repo_id, runtime, prices) for repo_id, runtime in pairs]
        return cls(tuple(sorted(spaces, key=_dearest_first)), prices.as_of)

    @property
    def hourly(self) -> float:
        """USD per hour now, of all Spaces whose price is known."""
        return self.total.hourly

    @property
    def monthly(self) -> float:
        """USD per month, if all stays as it is now."""
        return round(self.hourly * HOURS_PER_MONTH, 2)

    @property
    def unknown(self) -> tuple[SpaceCost, ...]:
        """The Spaces that cost what nobody knows."""
        return tuple(each for each in self.spaces if each.hourly is None)

    def by_hardware(self) -> dict[str, SubtotalCost]:
        """By the flavor that a Space runs on, or is set to; the dearest first."""
        return self._by("hardware")

    def by_stage(self) -> dict[str, SubtotalCost]:
        """By stage; the dearest first."""
        return self._by("stage")

    def _by(self, name: str) -> dict[str, SubtotalCost]:
        groups: dict[str, list[SpaceCost]] = {}
        for each in self.spaces:
            groups.setdefault(getattr(each, name) or "none", []).append(each)
        sums = {key: SubtotalCost.of(spaces) for key, spaces in groups.items()}
        return dict(sorted(sums.items(), key=lambda item: (-item[1].hourly, item[0])))

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON, for an XCom: the sums, and those Spaces that cost something or unknown sums."""
        return {
            **self.total.to_dict(),
            "monthly_cost": self.monthly,
            "by_hardware": {name: each.to_dict() for name, each in self.by_hardware().items()},
            "by_stage": {name: each.to_dict() for name, each in self.by_stage().items()},
            "costing": [each.to_dict() for each in self.spaces if each.hourly is None or each.hourly > 0],
            "prices_as_of": self.prices_as_of.isoformat(),
        }

    def table(self, most: int = 50) -> str:
        """The Spaces that cost something, for a log.

        :param most: how many of them to show at the most.
        """
        costing = [each for each in self.spaces if each.hourly is None or each.hourly > 0]
        rows = [
            (each.repo_id, each.stage or "?", _on(each), "?" if each.hourly is None else f"{each.hourly:.2f}")
            for each in costing[:most]
        ]
        if len(costing) > most:
            rest = SubtotalCost.of(costing[most:])
            rows.append((f"{rest.spaces:,} more", "", "", _sum(rest)))
        rows.append((f"all {self.total.spaces:,} Spaces", "", "", _sum(self.total)))
        return text_table(("Space", "stage", "hardware", "USD/h"), rows, right=[3])


def _on(space: SpaceCost) -> str:
    times = f" x {space.replicas}" if space.replicas > 1 else ""
    return f"{space.hardware or '?'}{times}"


def _sum(subtotal: SubtotalCost) -> str:
    return f"{subtotal.hourly:,.2f}" + (f" + {subtotal.unknown} unknown" if subtotal.unknown else "")


def _dearest_first(space: SpaceCost) -> tuple[int, float, str]:
    if space.hourly is None:
        return 1, 0.0, space.repo_id
    return (0 if space.hourly else 2), -space.hourly, space.repo_id
