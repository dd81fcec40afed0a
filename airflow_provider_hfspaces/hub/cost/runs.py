"""RunCost: what the hardware of a run cost, from the states of the Space at a few points in time.

Come here to change how the time between two sightings of a Space is counted. Nothing here does I/O::

    sightings = [Sighting.from_runtime(runtime, at) for at, runtime in looks]
    cost = RunCost.from_sightings(sightings, {"t4-small"}, prices)
    print(cost.in_words())  # 13 min of t4-small, about $0.09
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.cost.prices import PriceList, billed_minutes, replicas_of
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE, SpaceRuntime
from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
from airflow_provider_hfspaces.hub.stages import BILLED_STAGES, STARTING_STAGES

__all__ = [
    "RESULT_KEYS",
    "BilledTime",
    "RunCost",
    "Sighting",
    "Sightings",
    "sightings_from",
    "way_there_seconds",
]

RESULT_KEYS = ("cost_usd", "billed_seconds", "billed_hardware")
"""The keys of :meth:`RunCost.to_result`."""

_LONGEST_IN_MINUTES = 180

_MAX_SIGHTINGS = 200
_CONTINUOUS_SECONDS = 60.0
"""A first look this soon after the request counts as part of a continuous watch."""


@dataclass(frozen=True)
class Sighting:
    """The billing state of a Space at one point in time.

    :ivar at: when the Space was in this state, in UTC.
    :ivar hardware: the flavor on which the Space runs, free or paid; ``None`` while nothing is billed, as
        during a build, a pause or a sleep.
    :ivar replicas: number of billed replicas.
    :ivar destination: the flavor to which the Space is moving; ``None`` if it is not moving.
    :ivar since: when the Space entered this state, in UTC; ``None`` if unknown.
    """

    at: datetime
    hardware: str | None
    replicas: int = 1
    destination: str | None = None
    since: datetime | None = None

    @classmethod
    def from_runtime(
        cls, runtime: SpaceRuntime, at: datetime | None = None, *, since: datetime | None = None
    ) -> Sighting:
        """Return the sighting for a runtime.

        :param at: when the Hub reported the runtime, in UTC; by default now.
        :param since: when the Space entered this state, in UTC; by default unknown.
        """
        hardware, configured = None, runtime.configured_hardware
        if runtime.stage in BILLED_STAGES:
            hardware = runtime.hardware or runtime.requested_hardware
        is_on_its_way = runtime.stage in STARTING_STAGES or hardware not in (None, configured)
        return cls(
            at=at or datetime.now(timezone.utc),
            hardware=hardware,
            replicas=replicas_of(runtime),
            destination=configured if is_on_its_way else None,
            since=since,
        )

    @classmethod
    def from_snapshot(cls, snapshot: SpaceSnapshot) -> Sighting | None:
        """Return the sighting for a snapshot; ``None`` if the time of the snapshot is unknown."""
        if snapshot.taken_at is None:
            return None
        is_billed = snapshot.stage in BILLED_STAGES
        replicas = snapshot.replicas if isinstance(snapshot.replicas, int) else 1
        at = _moment(snapshot.taken_at, "at")
        return cls(at, snapshot.hardware if is_billed else None, max(replicas, 1))

    @classmethod
    def from_dict(cls, payload: Any) -> Sighting:
        """Return the sighting from its :meth:`to_dict`.

        :raises InvalidInput: with the field that is not valid.
        """
        if not isinstance(payload, Mapping):
            raise InvalidInput(f"sighting must be a mapping; got {payload!r:.100}.")
        replicas = payload.get("replicas", 1)
        if isinstance(replicas, bool) or not isinstance(replicas, int) or not 1 <= replicas <= 1000:
            raise InvalidInput(f"replicas of a sighting must be from 1 to 1000; got {replicas!r:.100}.")
        since = payload.get("since")
        return cls(
            at=_moment(payload.get("at"), "at"),
            hardware=_flavor(payload.get("hardware"), "hardware"),
            replicas=replicas,
            destination=_flavor(payload.get("destination"), "destination"),
            since=None if since is None else _moment(since, "since"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return this object as plain JSON."""
        return {
            "at": self.at.isoformat(),
            "hardware": self.hardware,
            "replicas": self.replicas,
            "destination": self.destination,
            "since": self.since.isoformat() if self.since else None,
        }

    @property
    def billing(self) -> tuple[str | None, int]:
        """The flavor and the number of replicas, on which the cost depends."""
        return self.hardware, self.replicas if self.hardware else 0


def sightings_from(payload: Any) -> list[Sighting]:
    """Return the valid sightings in a list of :meth:`Sighting.to_dict`; an empty list for anything else."""
    read = (_valid(each) for each in (payload if isinstance(payload, (list, tuple)) else ()))
    return [each for each in read if each is not None]


class Sightings:
    """What one process sees of a Space while it watches the Space, in order. The latest 200 are kept.

    ::

        sightings = Sightings(earlier)
        sightings.add_change(runtime, elapsed=12.0, now=now)
        sightings.to_list()

    :param earlier: what was seen before, in order.
    """

    def __init__(self, earlier: Iterable[Sighting] = ()) -> None:
        self._seen = list(earlier)
        self._has_changed = False

    def __iter__(self) -> Iterator[Sighting]:
        return iter(self._seen)

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, *sightings: Sighting) -> None:
        """Add sightings that are later than those before."""
        self._seen += sightings
        del self._seen[:-_MAX_SIGHTINGS]

    def add_change(self, runtime: SpaceRuntime, elapsed: float, now: datetime) -> None:
        """Add a change that the watch reports: the Space entered its new state just now.

        Only when the state that the watch finds at first began is not known, unless the watch began with the
        request.

        :param elapsed: seconds since the request, or since the watch began without a request.
        :param now: the present moment, in UTC.
        """
        is_continuous = self._has_changed or elapsed < _CONTINUOUS_SECONDS
        self._has_changed = True
        self.add(Sighting.from_runtime(runtime, now, since=now if is_continuous else None))

    def to_list(self) -> list[dict[str, Any]]:
        """Return the sightings as plain JSON, for :func:`sightings_from`."""
        return [each.to_dict() for each in self._seen]


@dataclass(frozen=True)
class BilledTime:
    """A continuous period on one flavor.

    :ivar hardware: the flavor.
    :ivar replicas: number of billed replicas.
    :ivar seconds: length of the period.
    """

    hardware: str
    replicas: int
    seconds: float

    @property
    def minutes(self) -> int:
        """Billed minutes of all replicas together: each started minute counts."""
        return billed_minutes(self.seconds) * self.replicas


@dataclass(frozen=True)
class RunCost:
    """The estimated cost of the hardware of a run, at list prices.

    :ivar times: the billed periods on paid hardware, in order.
    :ivar amounts: USD for each period; ``None`` if the Hub lists no price for its flavor.
    """

    times: tuple[BilledTime, ...]
    amounts: tuple[float | None, ...]

    @classmethod
    def from_times(cls, times: Iterable[BilledTime], prices: PriceList) -> RunCost:
        """Return the cost of known periods. Periods on free hardware do not count."""
        paid = tuple(each for each in times if each.hardware not in FREE_HARDWARE and each.seconds > 0)
        return cls(paid, tuple(prices.of_minutes(each.hardware, each.minutes) for each in paid))

    @classmethod
    def from_sightings(
        cls, sightings: Iterable[Sighting], requested: Collection[str], prices: PriceList
    ) -> RunCost:
        """Return the cost of the time between the first and the last sighting.

        Between two sightings in different states, the Space changed its state at :attr:`Sighting.since` of
        the second one. If this time is unknown, the more expensive state counts for the whole time between
        them, and the amount is an upper bound.

        After the last sighting, a Space that is still moving is billed until it arrives. This time is
        estimated as the time that the move to the requested hardware took; if that move was not seen, the
        time does not count.

        :param sightings: in any order.
        :param requested: the flavors that the run requested. Other flavors are not a cost of the run.
        :param prices: the Hub's price list.
        """
        seen = sorted(sightings, key=lambda each: each.at)
        paid = frozenset(requested) - FREE_HARDWARE
        times = [each for each in _times(seen, paid, prices) if each.hardware in paid]
        return cls.from_times(times, prices)

    @property
    def usd(self) -> float | None:
        """USD; ``None`` if the Hub lists no price for some of the hardware."""
        return _sum_if_known(self.amounts)

    @property
    def minutes(self) -> int:
        """Billed minutes of all replicas together."""
        return sum(each.minutes for each in self.times)

    @property
    def billed_seconds(self) -> int:
        """Billed seconds of all replicas together: each started minute counts."""
        return 60 * self.minutes

    @property
    def hardware(self) -> str | None:
        """The flavor that was billed last; ``None`` if nothing was billed."""
        return self.times[-1].hardware if self.times else None

    def by_hardware(self) -> dict[str, tuple[int, float | None]]:
        """Return the billed minutes of all replicas together, and the USD or ``None``, by flavor."""
        parts: dict[str, list[tuple[int, float | None]]] = {}
        for each, amount in zip(self.times, self.amounts, strict=True):
            parts.setdefault(each.hardware, []).append((each.minutes, amount))
        return {
            hardware: (sum(minutes for minutes, _ in times), _sum_if_known(amount for _, amount in times))
            for hardware, times in parts.items()
        }

    def in_words(self) -> str:
        """Return the cost as text, such as ``13 min of t4-small, about $0.09``."""
        if not self.times:
            return "no billed minute"
        parts = []
        for hardware, (minutes, _) in self.by_hardware().items():
            replicas = max(each.replicas for each in self.times if each.hardware == hardware)
            times = f" ({replicas} replicas)" if replicas > 1 else ""
            parts.append(f"{_duration(minutes)} of {hardware}{times}")
        return f"{' and '.join(parts)}, {_about(self.usd)}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON: ``cost_usd``, ``billed_seconds``, ``hardware``, and ``billed`` by flavor."""
        return {
            "cost_usd": self.usd,
            "billed_seconds": self.billed_seconds,
            "hardware": self.hardware,
            "billed": [
                {"hardware": hardware, "minutes": minutes, "cost_usd": usd}
                for hardware, (minutes, usd) in self.by_hardware().items()
            ],
        }

    def to_result(self) -> dict[str, Any]:
        """Return plain JSON under :data:`RESULT_KEYS`, for a result that contains more than the cost."""
        return dict(zip(RESULT_KEYS, (self.usd, self.billed_seconds, self.hardware), strict=True))


def way_there_seconds(sightings: Iterable[Sighting]) -> float | None:
    """Return the seconds that the first complete move to other hardware took; ``None`` if none was seen."""
    started: Sighting | None = None
    for each in sorted(sightings, key=lambda sighting: sighting.at):
        if started is None and each.destination is not None and each.destination != each.hardware:
            started = each
        elif started is not None and each.destination is None and each.hardware == started.destination:
            return None if each.since is None else max((each.since - started.at).total_seconds(), 0.0)
        elif started is not None and each.destination not in (None, started.destination):
            started = each
    return None


def _valid(payload: Any) -> Sighting | None:
    try:
        return Sighting.from_dict(payload)
    except InvalidInput:
        return None


def _times(seen: list[Sighting], paid: Collection[str], prices: PriceList) -> Iterator[BilledTime]:
    """Yield the periods between the sightings, and the estimated rest of the last move."""
    states = [
        (each.billing, _began(before, each, paid, prices))
        for before, each in zip([None, *seen], seen, strict=False)
    ]
    if not states:
        return
    end = seen[-1].at
    if seen[-1].destination not in (None, seen[-1].hardware):
        end += timedelta(seconds=way_there_seconds(seen) or 0.0)
    (hardware, replicas), began = states[0]
    for billing, moment in [*states[1:], ((None, 0), end)]:
        if billing == (hardware, replicas) and moment is not end:
            continue
        if hardware is not None:
            yield BilledTime(hardware, replicas, (moment - began).total_seconds())
        (hardware, replicas), began = billing, moment


def _began(before: Sighting | None, sighting: Sighting, paid: Collection[str], prices: PriceList) -> datetime:
    """Return when the state of a sighting began."""
    if before is None:
        return sighting.at
    if sighting.since is not None:
        return min(max(sighting.since, before.at), sighting.at)
    return before.at if _costs_more(sighting, before, paid, prices) else sighting.at


def _costs_more(one: Sighting, other: Sighting, paid: Collection[str], prices: PriceList) -> bool:
    """Return True if one state costs the run more than the other, as far as prices are known."""
    if one.hardware is None or one.hardware not in paid:
        return False
    if other.hardware is None or other.hardware not in paid:
        return True
    if one.hardware == other.hardware:
        return one.replicas > other.replicas
    rate, other_rate = (prices.of_minutes(str(each.hardware), each.replicas) for each in (one, other))
    return rate is not None and other_rate is not None and rate > other_rate


def _sum_if_known(amounts: Iterable[float | None]) -> float | None:
    listed = list(amounts)
    known = [amount for amount in listed if amount is not None]
    return round(math.fsum(known), 6) if len(known) == len(listed) else None


def _duration(minutes: int) -> str:
    if minutes < _LONGEST_IN_MINUTES:
        return f"{minutes} min"
    return f"{minutes // 60:,} h {minutes % 60} min"


def _about(usd: float | None) -> str:
    if usd is None:
        return "at a price that the Hub does not list"
    return f"about ${usd:,.2f}" if usd >= 0.01 or not usd else f"about ${usd:.4f}"


def _moment(value: Any, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InvalidInput(f"{name} of a sighting must be a date and time; got {value!r:.100}.") from None
    if moment.tzinfo is None:
        raise InvalidInput(f"{name} of a sighting must have a time zone; got {value!r:.100}.")
    return moment.astimezone(timezone.utc)


def _flavor(value: Any, name: str) -> str | None:
    if value is not None and (not isinstance(value, str) or not value or len(value) > 100):
        raise InvalidInput(f"{name} of a sighting must be a flavor; got {value!r:.100}.")
    return value
