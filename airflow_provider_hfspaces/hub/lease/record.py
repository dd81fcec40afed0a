"""What a lease record says, and who may have the lease next: values and rules without I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any

from airflow_provider_hfspaces.hub.checks import InvalidInput

__all__ = [
    "Grant",
    "InvalidLease",
    "LeaseHolder",
    "LeaseLost",
    "LeaseRecord",
    "SpaceLeased",
    "Standing",
    "grant",
]

FORMAT_VERSION = 1
"""The version of the record's layout."""

LATE_REQUEST_SECONDS = 600.0
"""How long after the end of a lease a hardware request of its holder may still take effect."""

_ID = re.compile(r"[0-9a-f]{8,64}")
_FLAVOR = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MOST_HOLDERS = 16
_MOST_REQUESTED = 64


class InvalidLease(InvalidInput):
    """A lease record that does not have the form of one."""


class Standing(str, Enum):
    """What a caller knows about a holder of the lease."""

    OWN = "own"
    """The caller is this holder."""

    OUTER = "outer"
    """The holder's work includes the caller's work, so that the caller may use the Space within it."""

    AT_WORK = "at work"
    """The holder is alive and will restore the Space itself."""

    OVER = "over"
    """The holder has ended and will not restore the Space any more."""

    UNKNOWN = "unknown"
    """The caller cannot tell. The holder counts as alive until its lease expires."""


Judge = Callable[["LeaseHolder"], Standing]


@dataclass(frozen=True)
class LeaseHolder:
    """One holder of the lease of a Space.

    :ivar holder_id: a random id. It names nobody: the record of a public Space is public.
    :ivar fence: grows by one with each holder, so that a later holder has a higher number.
    :ivar since: when the lease began, in UTC.
    :ivar until: when it expires, in UTC.
    :ivar previous: the state to restore, as ``SpaceSnapshot.to_dict()`` describes it; ``None`` before
        the holder has recorded one.
    :ivar requested: the hardware that this holder, and those from which it took over, has requested.
    :ivar sleep_time: seconds, as sent with the latest request.
    :ivar requested_at: when the latest request was announced, in UTC; ``None`` before the first one, and in
        records of version 0.1.
    :ivar abandoned: whether the holder could not restore the Space and leaves that to the next one.
    """

    holder_id: str
    fence: int
    since: datetime
    until: datetime
    previous: Mapping[str, Any] | None = None
    requested: tuple[str, ...] = ()
    sleep_time: int | None = None
    abandoned: bool = False
    requested_at: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        """Whether the lease has expired."""
        return now >= self.until

    def to_payload(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "id": self.holder_id,
            "fence": self.fence,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "previous": dict(self.previous) if self.previous is not None else None,
            "requested": list(self.requested),
            "sleep_time": self.sleep_time,
            "abandoned": self.abandoned,
            "requested_at": self.requested_at.isoformat() if self.requested_at else None,
        }

    @classmethod
    def from_payload(cls, payload: Any) -> LeaseHolder:
        """Read :meth:`to_payload`.

        :raises InvalidLease: naming the entry that does not have the right form.
        """
        _require(isinstance(payload, Mapping), "each holder must be an object")
        holder_id, fence = payload.get("id"), payload.get("fence")
        _require(isinstance(holder_id, str) and bool(_ID.fullmatch(holder_id)), "id must be hexadecimal")
        _require(_is_count(fence), "fence must be a whole number")
        requested = payload.get("requested")
        _require(
            isinstance(requested, list)
            and len(requested) <= _MOST_REQUESTED
            and all(isinstance(each, str) and _FLAVOR.fullmatch(each) for each in requested),
            "requested must be a list of hardware flavors",
        )
        sleep_time = payload.get("sleep_time")
        _require(sleep_time is None or _is_sleep_time(sleep_time), "sleep_time must be seconds or null")
        abandoned = payload.get("abandoned")
        _require(isinstance(abandoned, bool), "abandoned must be true or false")
        requested_at = payload.get("requested_at")
        return cls(
            holder_id=str(holder_id),
            fence=int(fence),
            since=_moment(payload.get("since"), "since"),
            until=_moment(payload.get("until"), "until"),
            previous=_previous(payload.get("previous")),
            requested=tuple(requested),
            sleep_time=sleep_time,
            abandoned=bool(abandoned),
            requested_at=None if requested_at is None else _moment(requested_at, "requested_at"),
        )


class SpaceLeased(Exception):
    """Another holder has the Space, and restores it itself.

    :ivar holder: that holder.
    """

    def __init__(self, repo_id: str, holder: LeaseHolder) -> None:
        super().__init__(f"Space {repo_id} is leased by holder {holder.holder_id}")
        self.repo_id = repo_id
        self.holder = holder


class LeaseLost(Exception):
    """The caller no longer holds the lease.

    :ivar current: the holder that has it; ``None`` if nobody has.
    """

    def __init__(self, repo_id: str, current: LeaseHolder | None) -> None:
        super().__init__(f"The lease of Space {repo_id} is lost")
        self.repo_id = repo_id
        self.current = current


@dataclass(frozen=True)
class LeaseRecord:
    """The lease of one Space.

    :ivar repo_id: the Space, as ``owner/name``, under the name that the latest holder used.
    :ivar fence: the fence of the latest holder; it stays when the lease is given back.
    :ivar holders: who has the lease. The last one uses the Space; each one before it includes the work
        of the next.
    :ivar ended: the latest holder that ended its lease, as long as a request of it may be late.
    """

    repo_id: str
    fence: int = 0
    holders: tuple[LeaseHolder, ...] = ()
    ended: LeaseHolder | None = None

    @property
    def current(self) -> LeaseHolder | None:
        """The holder that uses the Space."""
        return self.holders[-1] if self.holders else None

    def find(self, holder_id: str) -> LeaseHolder | None:
        """The holder with this id."""
        return next((each for each in self.holders if each.holder_id == holder_id), None)

    def with_changes(self, holder_id: str, **changes: Any) -> LeaseRecord:
        """The record with one holder changed."""
        changed = (replace(each, **changes) if each.holder_id == holder_id else each for each in self.holders)
        return replace(self, holders=tuple(changed))

    def with_request(
        self, holder_id: str, hardware: str, sleep_time: int | None, at: datetime, until: datetime
    ) -> LeaseRecord:
        """The record after a holder has announced a hardware request.

        :param at: the present moment, in UTC. A request that repeats the latest one keeps its moment.
        :param until: when the lease expires, unless it expires later already.
        """
        holder = self.find(holder_id)
        if holder is None:
            return self
        # The latest request stands last; those before it may still be what the Space is on.
        requested = (*(each for each in holder.requested if each != hardware), hardware)
        is_repeated = holder.requested[-1:] == (hardware,) and holder.requested_at is not None
        return self.with_changes(
            holder_id,
            requested=requested,
            sleep_time=sleep_time,
            until=max(until, holder.until),
            requested_at=holder.requested_at if is_repeated else at,
        )

    def without(self, holder_id: str, now: datetime) -> LeaseRecord:
        """The record after a holder, and all within it, has ended its lease."""
        position = next((i for i, each in enumerate(self.holders) if each.holder_id == holder_id), None)
        if position is None:
            return self
        kept, gone = self.holders[:position], self.holders[position]
        if not kept:
            late = replace(gone, until=now + timedelta(seconds=LATE_REQUEST_SECONDS))
            return replace(self, holders=(), ended=late if gone.requested else self.ended)
        outer = kept[-1]
        late_requests = tuple(each for each in gone.requested if each not in outer.requested)
        outer = replace(outer, requested=(*late_requests, *outer.requested))
        return replace(self, holders=(*kept[:-1], outer))

    def to_text(self) -> str:
        """As the text of a file."""
        payload = {
            "format": FORMAT_VERSION,
            "repo_id": self.repo_id,
            "fence": self.fence,
            "holders": [each.to_payload() for each in self.holders],
            "ended": self.ended.to_payload() if self.ended else None,
        }
        return json.dumps(payload, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_text(cls, text: str) -> LeaseRecord:
        """Read :meth:`to_text`.

        :raises InvalidLease: naming the entry that does not have the right form.
        """
        try:
            payload = json.loads(text)
        except (ValueError, RecursionError):
            raise InvalidLease("it must be JSON") from None
        _require(isinstance(payload, Mapping), "it must be a JSON object")
        _require(payload.get("format") == FORMAT_VERSION, f"format must be {FORMAT_VERSION}")
        repo_id, fence, holders = payload.get("repo_id"), payload.get("fence"), payload.get("holders")
        _require(isinstance(repo_id, str) and repo_id.count("/") == 1, "repo_id must be 'owner/name'")
        _require(_is_count(fence), "fence must be a whole number")
        _require(isinstance(holders, list) and len(holders) <= _MOST_HOLDERS, "holders must be a list")
        ended = payload.get("ended")
        return cls(
            repo_id=str(repo_id),
            fence=int(fence),
            holders=tuple(LeaseHolder.from_payload(each) for each in holders),
            ended=LeaseHolder.from_payload(ended) if ended is not None else None,
        )


@dataclass(frozen=True)
class Grant:
    """The lease goes to a new holder, or back to one that has it already.

    :ivar kept: the holders around the new one.
    :ivar own: the holder's entry if it has the lease already.
    :ivar inherited: holders that ended without restoring the Space; the first one knows the state to
        restore.
    :ivar ended: a holder that restored the Space a short time ago, and whose request may still be late.
    """

    kept: tuple[LeaseHolder, ...] = ()
    own: LeaseHolder | None = None
    inherited: tuple[LeaseHolder, ...] = ()
    ended: LeaseHolder | None = None

    def state_of(self, hardware: str | None) -> Mapping[str, Any] | None:
        """The recorded state to restore, if the holders before are why the Space is on this hardware.

        The hardware of that state counts as well: a way back may have failed after it, before the pause.
        """
        known = self._recorded_state
        if known is None or hardware is None or not self.requested:
            return None
        if hardware in self.requested:
            return known
        return known if hardware == known.get("hardware") and self.ended is None else None

    @property
    def requested_at(self) -> datetime | None:
        """When the latest of these requests was announced."""
        return max((each.requested_at for each in self._sources if each.requested_at), default=None)

    @property
    def requested(self) -> tuple[str, ...]:
        """All hardware that these holders requested."""
        return tuple(dict.fromkeys(hardware for each in self._sources for hardware in each.requested))

    @property
    def _sources(self) -> tuple[LeaseHolder, ...]:
        return tuple(each for each in (self.own, *self.inherited, self.ended) if each is not None)

    @property
    def _recorded_state(self) -> Mapping[str, Any] | None:
        if self.own is not None:
            return self.own.previous
        return next((each.previous for each in self._sources if each.previous is not None), None)


def is_free(holder: LeaseHolder, standing: Standing, now: datetime) -> bool:
    """Whether anybody may take the lease over from this holder."""
    if holder.abandoned or standing is Standing.OVER:
        return True
    return standing is Standing.UNKNOWN and holder.is_expired(now)


def grant(record: LeaseRecord, judge: Judge, now: datetime) -> Grant | LeaseHolder:
    """Decide who has the lease next: the caller, or the holder that the caller has to wait for.

    :param judge: what the caller knows about a holder.
    """
    holders = list(record.holders)
    standings = [judge(each) for each in holders]
    if Standing.OWN in standings:
        position = standings.index(Standing.OWN)
        return Grant(tuple(holders[:position]), holders[position], tuple(holders[position + 1 :]))
    inherited: list[LeaseHolder] = []
    while holders and is_free(holders[-1], standings[len(holders) - 1], now):
        inherited.insert(0, holders.pop())
    if holders and standings[len(holders) - 1] is not Standing.OUTER:
        return holders[-1]
    if inherited or holders or record.ended is None or record.ended.is_expired(now):
        return Grant(tuple(holders), None, tuple(inherited))
    return Grant(ended=record.ended)


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise InvalidLease(problem)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _is_sleep_time(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -1 <= value < 2**53


def _moment(value: Any, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        _require(moment.tzinfo is not None, f"{name} must have a time zone")
        return moment.astimezone(timezone.utc)
    except InvalidLease:
        raise
    except (TypeError, ValueError, OverflowError):
        raise InvalidLease(f"{name} must be a date and time") from None


def _previous(value: Any) -> Mapping[str, Any] | None:
    if value is None:
        return None
    _require(isinstance(value, Mapping), "previous must be an object")
    hardware, sleep_time, replicas = value.get("hardware"), value.get("sleep_time"), value.get("replicas")
    _require(
        hardware is None or (isinstance(hardware, str) and bool(_FLAVOR.fullmatch(hardware))),
        "previous.hardware must be a hardware flavor",
    )
    _require(sleep_time is None or _is_sleep_time(sleep_time), "previous.sleep_time must be seconds or null")
    _require(
        replicas in (None, "auto") or (_is_count(replicas) and replicas <= 1000),
        "previous.replicas must be a number of replicas",
    )
    for name in ("repo_id", "stage"):
        _require(isinstance(value.get(name), str), f"previous.{name} must be text")
    return dict(value)
