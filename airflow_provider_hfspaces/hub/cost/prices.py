"""Estimate what Spaces cost in USD, from the Hub's price list and its billing rules.

Come here to change an estimate. On paid hardware, the Hub bills each replica by the minute from the moment
the app starts, and a started minute counts as a whole minute. Builds are not billed, but their Spaces are
billed as soon as they start: amounts "when started" include these Spaces. An unknown price is ``None``, never
0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from airflow_provider_hfspaces.hub.models import FREE_HARDWARE, HardwareFlavor, SpaceInfo, SpaceRuntime
from airflow_provider_hfspaces.hub.stages import BILLED_STAGES, STARTING_STAGES
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
"""Hours in a twelfth of a year."""


def billed_minutes(seconds: float) -> int:
    """Return the minutes that the Hub bills for a continuous period: each started minute counts."""
    return math.ceil(round(max(seconds, 0) / 60, 6))


def cost_of(hourly: float, seconds: float) -> float:
    """Return the USD for a continuous period on paid hardware.

    :param hourly: USD per hour, for all replicas together.
    :param seconds: length of the period. Each started minute counts.
    """
    return round(hourly / 60 * billed_minutes(seconds), 6)


def saved_by_pause(hourly: float, seconds: float) -> float:
    """Return the USD that a pause saves: what the Space would have cost until the restart.

    The amount is an upper bound, because a Space with a sleep time may have slept for part of the time.

    :param hourly: USD per hour while the Space runs, for all replicas together.
    :param seconds: time from the pause to the restart. Only whole minutes count, because the Hub bills the
        minute in which the pause begins.
    """
    return round(hourly / 60 * math.floor(round(max(seconds, 0) / 60, 6)), 6)


def replicas_of(runtime: SpaceRuntime) -> int:
    """Return the number of billed replicas: the current or the requested number, whichever is larger."""
    counts = (runtime.replicas.requested, runtime.replicas.current, 1)
    return max(each for each in counts if isinstance(each, int))


@dataclass(frozen=True)
class PriceList:
    """The Hub's prices at one point in time.

    ::

        prices = PriceList.from_flavors(client.send(calls.list_hardware()))
        prices.hourly("t4-small")  # 0.4

    :ivar flavors: the flavors by name.
    :ivar as_of: when the list was read, in UTC. The Hub's list has no date of its own.
    """

    flavors: Mapping[str, HardwareFlavor]
    as_of: datetime

    @classmethod
    def from_flavors(cls, flavors: Iterable[HardwareFlavor], as_of: datetime | None = None) -> PriceList:
        """Return a price list from the answer to ``GET /api/spaces/hardware``.

        :param as_of: when the list was read, in UTC; by default now.
        """
        return cls({flavor.name: flavor for flavor in flavors}, as_of or datetime.now(timezone.utc))

    def hourly(self, hardware: str, replicas: int = 1) -> float | None:
        """Return the USD per hour for all replicas: 0 for a free flavor, ``None`` if the Hub lists no price.

        :param replicas: number of replicas; by default 1.
        """
        flavor = self.flavors.get(hardware)
        hourly = 0.0 if hardware in FREE_HARDWARE else flavor.hourly_cost if flavor else None
        return None if hourly is None else round(hourly * replicas, 3)

    def of_minutes(self, hardware: str, minutes: float) -> float | None:
        """Return the USD for billed minutes at the listed price per minute; ``None`` without a price.

        The price per minute is closer to the Hub's bill than the hourly price: for hardware at $0.40 an hour,
        the Hub lists $0.006667 a minute.

        :param minutes: billed minutes of all replicas together.
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
        """Return the USD per hour that a Space costs now, with all its replicas.

        :returns: 0 while the Space is not billed, ``None`` if the hardware or its price is unknown.
        """
        hardware = runtime.hardware or runtime.requested_hardware
        if hardware is None and runtime.stage in BILLED_STAGES and not runtime.is_static:
            return None
        if not runtime.is_billed or hardware is None:
            return 0.0
        return self.hourly(hardware, replicas_of(runtime))

    def when_started(self, runtime: SpaceRuntime) -> float | None:
        """Return the USD per hour that a Space costs when its build or start is done.

        :returns: for a Space that is neither building nor starting, the cost now; ``None`` if the hardware or
            its price is unknown.
        """
        if runtime.stage in STARTING_STAGES:
            return self.if_running(runtime)
        return self.of_space(runtime)

    def if_running(self, runtime: SpaceRuntime) -> float | None:
        """Return the USD per hour that a Space costs while it runs on the hardware that it is set to.

        :returns: 0 for a static Space, ``None`` if the hardware or its price is unknown.
        """
        hardware = runtime.configured_hardware
        if hardware is None:
            return 0.0 if runtime.is_static else None
        return self.hourly(hardware, replicas_of(runtime))


@dataclass(frozen=True)
class SpaceCost:
    """The cost of one Space.

    :ivar repo_id: the Space, as ``owner/name``.
    :ivar stage: the stage; ``None`` if the Hub's answer has no runtime.
    :ivar hardware: the flavor that the Space runs on, or is set to while it does not run.
    :ivar replicas: number of billed replicas.
    :ivar hourly: USD per hour now, with all replicas; ``None`` if the price is unknown.
    :ivar when_started: USD per hour when the current build or start is done, or :attr:`hourly` for other
        Spaces; ``None`` if the price is unknown.
    :ivar if_running: USD per hour while the Space runs; ``None`` if the price is unknown.
    :ivar is_billed: whether the Hub bills the Space now.
    :ivar will_be_billed: whether the Hub starts to bill the Space when its build is done.
    """

    repo_id: str
    stage: str | None
    hardware: str | None
    replicas: int
    hourly: float | None
    when_started: float | None
    if_running: float | None
    is_billed: bool
    will_be_billed: bool

    @classmethod
    def from_runtime(cls, repo_id: str, runtime: SpaceRuntime | None, prices: PriceList) -> SpaceCost:
        """Return the estimated cost of a Space. Without a runtime, the cost is unknown."""
        if runtime is None:
            return cls(repo_id, None, None, 1, None, None, None, False, False)
        when_started = prices.when_started(runtime)
        return cls(
            repo_id=repo_id,
            stage=runtime.stage,
            hardware=runtime.hardware or runtime.requested_hardware,
            replicas=replicas_of(runtime),
            hourly=prices.of_space(runtime),
            when_started=when_started,
            if_running=prices.if_running(runtime),
            is_billed=runtime.is_billed,
            will_be_billed=runtime.stage in STARTING_STAGES and not runtime.is_billed and when_started != 0,
        )

    @property
    def costs_something(self) -> bool:
        """Whether the Space costs money now or when it has started, or may cost an unknown price."""
        return self.hourly != 0 or self.when_started != 0

    def to_dict(self) -> dict[str, Any]:
        """Return this object as plain JSON."""
        return {
            "repo_id": self.repo_id,
            "stage": self.stage,
            "hardware": self.hardware,
            "replicas": self.replicas,
            "hourly_cost": self.hourly,
            "hourly_cost_when_started": self.when_started,
            "hourly_cost_running": self.if_running,
            "is_billed": self.is_billed,
            "will_be_billed": self.will_be_billed,
        }


@dataclass(frozen=True)
class SubtotalCost:
    """The cost of a group of Spaces.

    :ivar spaces: number of Spaces in the group.
    :ivar billed: number of Spaces that the Hub bills now.
    :ivar starting: number of Spaces that the Hub starts to bill when their build is done.
    :ivar unknown: number of Spaces with an unknown price, which the sums leave out.
    :ivar hourly: USD per hour now.
    :ivar when_started: USD per hour when all current builds and starts are done.
    """

    spaces: int
    billed: int
    starting: int
    unknown: int
    hourly: float
    when_started: float

    @classmethod
    def from_spaces(cls, spaces: Iterable[SpaceCost]) -> SubtotalCost:
        """Return the sum of these Spaces."""
        listed = list(spaces)
        return cls(
            spaces=len(listed),
            billed=sum(each.is_billed for each in listed),
            starting=sum(each.will_be_billed for each in listed),
            unknown=sum(each.hourly is None or each.when_started is None for each in listed),
            hourly=_sum_of_known(each.hourly for each in listed),
            when_started=_sum_of_known(each.when_started for each in listed),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return this object as plain JSON."""
        return {
            "spaces": self.spaces,
            "billed": self.billed,
            "starting": self.starting,
            "unknown": self.unknown,
            "hourly_cost": self.hourly,
            "hourly_cost_when_started": self.when_started,
        }


def _sum_of_known(amounts: Iterable[float | None]) -> float:
    return round(math.fsum(each for each in amounts if each is not None), 3)


@dataclass(frozen=True)
class FleetCost:
    """The cost of a list of Spaces, with subtotals and a table.

    ::

        prices = PriceList.from_flavors(client.send(calls.list_hardware()))
        fleet = FleetCost.from_spaces([("acme/whisper", runtime)], prices)
        print(fleet.in_words(), fleet.table(), sep="\\n")

    :ivar spaces: the Spaces, the most expensive first, then those with an unknown price, then those that cost
        nothing.
    :ivar prices_as_of: when the price list was read, in UTC.
    :ivar total: the sum of all Spaces.
    """

    spaces: tuple[SpaceCost, ...]
    prices_as_of: datetime
    total: SubtotalCost = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", SubtotalCost.from_spaces(self.spaces))

    @classmethod
    def from_spaces(
        cls, fleet: Iterable[SpaceInfo | tuple[str, SpaceRuntime | None]], prices: PriceList
    ) -> FleetCost:
        """Return the estimated cost of these Spaces.

        :param fleet: Spaces from ``calls.list_spaces(expand="runtime")``, or pairs of an id and a runtime.
        :param prices: the Hub's price list.
        """
        pairs = ((each.id, each.runtime) if isinstance(each, SpaceInfo) else each for each in fleet)
        spaces = [SpaceCost.from_runtime(repo_id, runtime, prices) for repo_id, runtime in pairs]
        return cls(tuple(sorted(spaces, key=_most_expensive_first)), prices.as_of)

    @property
    def hourly(self) -> float:
        """USD per hour now. Spaces with an unknown price are left out."""
        return self.total.hourly

    @property
    def when_started(self) -> float:
        """USD per hour when all current builds and starts are done."""
        return self.total.when_started

    @property
    def monthly(self) -> float:
        """USD per month at :attr:`when_started`, if nothing else changes."""
        return round(self.when_started * HOURS_PER_MONTH, 2)

    @property
    def unknown(self) -> tuple[SpaceCost, ...]:
        """The Spaces with an unknown price."""
        return tuple(each for each in self.spaces if each.hourly is None or each.when_started is None)

    @property
    def costing(self) -> tuple[SpaceCost, ...]:
        """The Spaces that cost money now or when they have started, or may cost an unknown price."""
        return tuple(each for each in self.spaces if each.costs_something)

    def by_hardware(self) -> dict[str, SubtotalCost]:
        """Return the subtotals by flavor, the most expensive first."""
        return self._by("hardware")

    def by_stage(self) -> dict[str, SubtotalCost]:
        """Return the subtotals by stage, the most expensive first."""
        return self._by("stage")

    def _by(self, name: str) -> dict[str, SubtotalCost]:
        groups: dict[str, list[SpaceCost]] = {}
        for each in self.spaces:
            groups.setdefault(getattr(each, name) or "none", []).append(each)
        sums = {key: SubtotalCost.from_spaces(spaces) for key, spaces in groups.items()}
        return dict(sorted(sums.items(), key=lambda item: (-item[1].when_started, item[0])))

    def in_words(self) -> str:
        """Return the totals as text, such as ``$0.40 an hour, $3.53 an hour when the builds are done``."""
        now = f"${self.hourly:,.2f} an hour"
        if self.when_started == self.hourly:
            return now
        return f"{now}, ${self.when_started:,.2f} an hour when the builds are done"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON: the totals, and the Spaces that cost money or may cost an unknown price."""
        return {
            **self.total.to_dict(),
            "monthly_cost": self.monthly,
            "by_hardware": {name: each.to_dict() for name, each in self.by_hardware().items()},
            "by_stage": {name: each.to_dict() for name, each in self.by_stage().items()},
            "costing": [each.to_dict() for each in self.costing],
            "prices_as_of": self.prices_as_of.isoformat(),
        }

    def table(self, max_rows: int = 50) -> str:
        """Return the Spaces in :attr:`costing` as a table for a log.

        :param max_rows: number of Spaces to show; by default 50. The other Spaces share one row.
        """
        costing = self.costing
        building = self.total.starting > 0 or self.hourly != self.when_started
        rows = [
            (each.repo_id, each.stage or "?", _on(each), _amount(each.hourly), _amount(each.when_started))
            for each in costing[:max_rows]
        ]
        if len(costing) > max_rows:
            rest = SubtotalCost.from_spaces(costing[max_rows:])
            rows.append((f"{rest.spaces:,} more", "", "", *_sums(rest)))
        rows.append((f"all {self.total.spaces:,} Spaces", "", "", *_sums(self.total)))
        header = ("Space", "stage", "hardware", "USD/h", "USD/h when built")
        shown = len(header) if building else len(header) - 1
        return text_table(header[:shown], [row[:shown] for row in rows], right=[3, 4])


def _on(space: SpaceCost) -> str:
    times = f" x {space.replicas}" if space.replicas > 1 else ""
    return f"{space.hardware or '?'}{times}"


def _amount(usd: float | None) -> str:
    return "?" if usd is None else f"{usd:.2f}"


def _sums(subtotal: SubtotalCost) -> tuple[str, str]:
    unknown = f" + {subtotal.unknown} unknown" if subtotal.unknown else ""
    return f"{subtotal.hourly:,.2f}{unknown}", f"{subtotal.when_started:,.2f}{unknown}"


def _most_expensive_first(space: SpaceCost) -> tuple[int, float, float, str]:
    if not space.costs_something:
        return 2, 0.0, 0.0, space.repo_id
    if space.when_started is None or space.hourly is None:
        return 1, 0.0, 0.0, space.repo_id
    return 0, -space.when_started, -space.hourly, space.repo_id
