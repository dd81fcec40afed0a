"""The lease record of a Space, and the rules that decide who gets the lease next, without I/O.

Come here to change the fields of the record, or when a holder may take the lease over from another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any

from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.choices import FLAVOR_PATTERN, LARGEST_NUMBER

__all__ = [
    "LATE_REQUEST_SECONDS",
    "Grant",
    "InvalidLease",
    "Judge",
    "LeaseHolder",
    "LeaseLost",
    "LeaseRecord",
    "SpaceLeased",
    "Standing",
    "grant",
    "is_free",
]

FORMAT_VERSION = 1
"""Version of the record's format."""

LATE_REQUEST_SECONDS = 600.0
"""Time after the end of a lease in which a hardware request of its holder may still take effect."""

_ID = re.compile(r"[0-9a-f]{8,64}")
_FLAVOR = re.compile(FLAVOR_PATTERN)
_MOST_HOLDERS = 16
_MOST_REQUESTED = 64


class InvalidLease(InvalidInput):
    """A lease record that cannot be read or is not valid."""


class Standing(str, Enum):
    """What a caller knows about a holder of the lease."""

    OWN = "own"
    """The caller is this holder."""

    OUTER = "outer"
    """The holder's work includes the caller's work, so the caller may use the Space under this lease."""

    AT_WORK = "at work"
    """The holder is alive and will restore the Space itself."""

    OVER = "over"
    """The holder has ended and will no longer restore the Space."""

    UNKNOWN = "unknown"
    """The caller does not know. The holder counts as alive until its lease expires."""


Judge = Callable[["LeaseHolder"], Standing]


@dataclass(frozen=True)
class LeaseHolder:
    """One holder of the lease of a Space.

    :ivar holder_id: a random hexadecimal id, without a name, because the record of a public Space is public.
    :ivar fence: number of the holder. Each new holder gets the next higher number.
    :ivar since: when the lease began, in UTC.
    :ivar until: when the lease expires, in UTC.
    :ivar previous: the state to restore, as ``SpaceSnapshot.to_dict()`` describes it; ``None`` before
        the holder has recorded a state.
    :ivar requested: the flavors that this holder has requested, and those of the holders from which it took
        over; the latest one last.
    :ivar sleep_time: seconds, as sent with the latest request.
    :ivar requested_at: when the latest request was announced, in UTC; ``None`` before the first request, and
        in records of version 0.1.
    :ivar abandoned: whether the holder could not restore the Space and leaves the restore to the next holder.
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
        """Return True if the lease has expired."""
        return now >= self.until

    def to_payload(self) -> dict[str, Any]:
        """Return this object as plain JSON."""
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
        """Return the holder from its :meth:`to_payload`.

        :raises InvalidLease: with the entry that is not valid.
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
    """Another holder has the lease of the Space, and will restore the Space itself.

    :ivar holder: the other holder.
    """

    def __init__(self, repo_id: str, holder: LeaseHolder) -> None:
        super().__init__(f"Space {repo_id} is leased by holder {holder.holder_id}")
        self.repo_id = repo_id
        self.holder = holder


class LeaseLost(Exception):
    """The caller no longer has the lease.

    :ivar current: the holder that has the lease now; ``None`` if no holder has it.
    """

    def __init__(self, repo_id: str, current: LeaseHolder | None) -> None:
        super().__init__(f"Space {repo_id}: the lease is lost")
        self.repo_id = repo_id
        self.current = current


@dataclass(frozen=True)
class LeaseRecord:
    """The lease of one Space.

    :ivar repo_id: the Space, as ``owner/name``, under the name that the latest holder used.
    :ivar fence: the fence of the latest holder. It stays when the lease is given back.
    :ivar holders: the holders of the lease, nested: the work of each holder includes the work of the next
        one. The last holder uses the Space.
    :ivar ended: the latest holder that ended its lease, kept while its last request may still take effect.
    """

    repo_id: str
    fence: int = 0
    holders: tuple[LeaseHolder, ...] = ()
    ended: LeaseHolder | None = None

    @property
    def current(self) -> LeaseHolder | None:
        """The holder that uses the Space; ``None`` if the lease is free."""
        return self.holders[-1] if self.holders else None

    def find(self, holder_id: str) -> LeaseHolder | None:
        """Return the holder with this id; ``None`` if the record has no such holder."""
        return next((each for each in self.holders if each.holder_id == holder_id), None)

    def with_changes(self, holder_id: str, **changes: Any) -> LeaseRecord:
        """Return the record with other values in the fields of one holder."""
        changed = (replace(each, **changes) if each.holder_id == holder_id else each for each in self.holders)
        return replace(self, holders=tuple(changed))

    def with_request(
        self, holder_id: str, hardware: str, sleep_time: int | None, at: datetime, until: datetime
    ) -> LeaseRecord:
        """Return the record after a holder has announced a hardware request.

        :param at: the current time, in UTC. A request that repeats the latest request keeps the earlier time.
        :param until: when the lease expires; a later expiry in the record stays.
        """
        holder = self.find(holder_id)
        if holder is None:
            return self
        # The latest request is last. The earlier ones stay, because the Space may still run on their
        # hardware.
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
        """Return the record after a holder, and all holders nested in it, have ended the lease."""
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
        """Return this record as the text of a file."""
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
        """Return the record from its :meth:`to_text`.

        :raises InvalidLease: with the entry that is not valid.
        """
        try:
            payload = json.loads(text)
        except (ValueError, RecursionError):
            raise InvalidLease("the file must be JSON") from None
        _require(isinstance(payload, Mapping), "the file must be a JSON object")
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
    """The decision that the caller gets the lease, or keeps the lease that it already has.

    :ivar kept: the outer holders, whose work includes the caller's work.
    :ivar own: the caller's entry if it already has the lease.
    :ivar inherited: holders that ended without restoring the Space. The first one has the state to restore.
    :ivar ended: a holder that restored the Space, but whose last request may still take effect.
    """

    kept: tuple[LeaseHolder, ...] = ()
    own: LeaseHolder | None = None
    inherited: tuple[LeaseHolder, ...] = ()
    ended: LeaseHolder | None = None

    def state_of(self, hardware: str | None) -> Mapping[str, Any] | None:
        """Return the recorded state to restore, if earlier holders moved the Space to this hardware.

        The hardware of the recorded state counts too: a restore may have failed after its hardware request
        and before its pause.
        """
        known = self._recorded_state
        if known is None or hardware is None or not self.requested:
            return None
        if hardware in self.requested:
            return known
        return known if hardware == known.get("hardware") and self.ended is None else None

    @property
    def requested_at(self) -> datetime | None:
        """When the latest request of these holders was announced, in UTC; ``None`` if unknown."""
        return max((each.requested_at for each in self._sources if each.requested_at), default=None)

    @property
    def requested(self) -> tuple[str, ...]:
        """All flavors that these holders requested."""
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
    """Return True if another holder may take the lease over from this holder."""
    if holder.abandoned or standing is Standing.OVER:
        return True
    return standing is Standing.UNKNOWN and holder.is_expired(now)


def grant(record: LeaseRecord, judge: Judge, now: datetime) -> Grant | LeaseHolder:
    """Decide whether the caller gets the lease.

    :param judge: returns the standing of a holder.
    :param now: the current time, in UTC.
    :returns: the grant, or the holder that the caller has to wait for.
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
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_NUMBER


def _is_sleep_time(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -1 <= value <= LARGEST_NUMBER


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
