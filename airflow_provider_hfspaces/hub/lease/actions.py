"""The actions of a lease holder: take, use, give back and take over, as steps for either client.

Come here to change what a holder writes into the record, and when. Each change is one compare-and-set. The
usual sequence has three of them: take the lease, announce a hardware request, give the lease back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TypeVar

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.http.sequence import Steps
from airflow_provider_hfspaces.hub.lease.record import (
    Grant,
    InvalidLease,
    Judge,
    LeaseHolder,
    LeaseLost,
    LeaseRecord,
    SpaceLeased,
    Standing,
    grant,
    is_free,
)
from airflow_provider_hfspaces.hub.lease.store import LeaseStore, StaleLease
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

__all__ = [
    "LeaseLost",
    "SpaceLease",
    "SpaceLeased",
    "Taken",
    "check_free",
    "refuse_other_holder",
]

log = logging.getLogger(__name__)

T = TypeVar("T")

DURATION_SECONDS = 24 * 3600.0
"""Default duration of a lease."""

_MOST_RACES = 20
"""Number of compare-and-sets in a row that a holder loses to other writers before it gives up."""


@dataclass(frozen=True)
class Taken:
    """The result of :meth:`SpaceLease.take` if the caller now holds the lease.

    :ivar holder: the caller's entry in the record.
    :ivar previous: the state to restore.
    :ivar runtime: the runtime of the Space when the lease was taken.
    :ivar inherited: whether ``previous`` comes from an earlier holder that did not restore it.
    """

    holder: LeaseHolder
    previous: SpaceSnapshot
    runtime: SpaceRuntime
    inherited: bool


class SpaceLease:
    """Takes, uses and gives back the lease of one Space, for one holder.
    ::

        lease = SpaceLease(LeaseStore("acme/whisper"), holder_id)
        taken = execute(lease.take(judge), client.send)
        execute(lease.announce("t4-small", 3600), client.send)
        ...
        execute(lease.give_back(), client.send)

    :param store: reads and writes the record.
    :param holder_id: a random hexadecimal id of the holder, 8 to 64 digits.
    :param duration: seconds from the latest hardware request until the lease expires; by default 24 hours.
    :param clock: returns the current time, in UTC.
    """

    def __init__(
        self,
        store: LeaseStore,
        holder_id: str,
        *,
        duration: float = DURATION_SECONDS,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self.store = store
        self.holder_id = holder_id
        self.repo_id = store.repo_id
        self.duration = duration
        self._clock = clock

    def record(self) -> Steps[LeaseRecord]:
        """The steps that read the record: one request if the record has not changed since the last read."""
        record, _ = yield from self.store.read()
        return record

    def take(self, judge: Judge) -> Steps[Taken | LeaseHolder]:
        """Try to take the lease, and record the state to restore.

        A holder that already has the lease keeps it. If an earlier holder did not restore the Space, the
        caller takes over the state to restore, unless the hardware was changed in the meantime.

        :param judge: returns the standing of another holder. The caller's own id always is ``Standing.OWN``.
        :returns: the lease, or the holder that the caller has to wait for.
        :raises InvalidLease: if the record is not valid.
        :raises LeaseDenied: if the token may not write the record.
        """

        def judged(holder: LeaseHolder) -> Standing:
            return Standing.OWN if holder.holder_id == self.holder_id else judge(holder)

        def attempt(record: LeaseRecord) -> Steps[tuple[LeaseRecord | None, Taken | LeaseHolder]]:
            now = self._clock()
            decision = grant(record, judged, now)
            if isinstance(decision, LeaseHolder):
                return None, decision
            runtime = yield calls.get_runtime(self.repo_id)
            previous, inherited = self._state_to_restore(decision, runtime)
            mine = self._entry(record, decision, previous, inherited, now)
            taken = Taken(mine, previous, runtime, inherited)
            if mine == decision.own and not decision.inherited:
                return None, taken
            changed = LeaseRecord(self.repo_id, max(record.fence, mine.fence), (*decision.kept, mine))
            return changed, taken

        return (yield from self._change(attempt, "Take the lease"))

    def announce(self, hardware: str, sleep_time: int | None = None) -> Steps[LeaseHolder]:
        """Record the hardware that the holder is about to request, and extend the lease.

        Send the hardware request only after this step: its success proves that the holder has the lease.

        :param hardware: the flavor.
        :param sleep_time: seconds, as in the request.
        :raises LeaseLost: if the holder no longer has the lease.
        """

        def attempt(record: LeaseRecord) -> Steps[tuple[LeaseRecord | None, LeaseHolder]]:
            yield from ()
            mine = self._own(record)
            if mine.abandoned:
                raise LeaseLost(self.repo_id, record.current)
            at, duration = self._clock(), timedelta(seconds=self.duration)
            changed = record.with_request(self.holder_id, hardware, sleep_time, at, at + duration)
            now = changed.find(self.holder_id)
            assert now is not None
            if (now.requested, now.sleep_time) == (mine.requested, mine.sleep_time):
                return None, mine
            return changed, now

        return (yield from self._change(attempt, f"Request {hardware}"))

    def abandon(self, hardware: str | None = None) -> Steps[None]:
        """Mark the lease as abandoned, so that the next holder restores the Space.

        If nothing was requested under the lease, the lease ends instead. If the lease is already lost,
        nothing happens.

        :param hardware: the flavor on which the Space stays instead of its previous hardware.
        """

        def attempt(record: LeaseRecord) -> Steps[tuple[LeaseRecord | None, None]]:
            yield from ()
            mine = record.find(self.holder_id)
            if mine is None or mine.abandoned:
                return None, None
            if not mine.requested:
                return record.without(self.holder_id, self._clock()), None
            requested = dict.fromkeys((*([hardware] if hardware else []), *mine.requested))
            return record.with_changes(self.holder_id, abandoned=True, requested=tuple(requested)), None

        yield from self._change(attempt, "Abandon the lease")

    def note_hardware(self, hardware: str) -> Steps[None]:
        """Note that the Space is on this hardware because of the lease, without a request for it.

        The next holder then restores the recorded state. If the lease is lost, or no hardware was requested
        under it, nothing happens.
        """

        def attempt(record: LeaseRecord) -> Steps[tuple[LeaseRecord | None, None]]:
            yield from ()
            mine = record.find(self.holder_id)
            if mine is None or not mine.requested or hardware in mine.requested:
                return None, None
            return record.with_changes(self.holder_id, requested=(hardware, *mine.requested)), None

        yield from self._change(attempt, f"Note {hardware}")

    def give_back(self) -> Steps[LeaseHolder | None]:
        """End the lease after the Space has been restored.

        :returns: the current holder if the lease was already lost; otherwise ``None``.
        """

        def attempt(record: LeaseRecord) -> Steps[tuple[LeaseRecord | None, LeaseHolder | None]]:
            yield from ()
            if record.find(self.holder_id) is None:
                return None, record.current
            return record.without(self.holder_id, self._clock()), None

        return (yield from self._change(attempt, "Give the lease back"))

    def confirm(self) -> Steps[None]:
        """Check that the holder still has the lease.

        :raises LeaseLost: if the lease is lost.
        """
        record = yield from self.record()
        self._own(record)

    def _own(self, record: LeaseRecord) -> LeaseHolder:
        mine = record.find(self.holder_id)
        if mine is None:
            raise LeaseLost(self.repo_id, record.current)
        return mine

    def _state_to_restore(self, decision: Grant, runtime: SpaceRuntime) -> tuple[SpaceSnapshot, bool]:
        known, now = decision.state_of(runtime.configured_hardware), self._clock()
        if known is not None:
            # Costs until now belong to the run of the ended holder.
            known = {**known, "taken_at": now.isoformat()} if decision.ended else known
            return SpaceSnapshot.from_dict({**known, "repo_id": self.repo_id}), True
        present = SpaceSnapshot.from_runtime(self.repo_id, runtime, now)
        if decision.own is not None and decision.own.previous is not None:
            recorded = SpaceSnapshot.from_dict({**decision.own.previous, "repo_id": self.repo_id})
            if recorded == present:
                return recorded, False
        return present, False

    def _entry(
        self, record: LeaseRecord, decision: Grant, previous: SpaceSnapshot, inherited: bool, now: datetime
    ) -> LeaseHolder:
        requested = decision.requested if inherited or decision.ended else ()
        if decision.own is not None:
            return replace(decision.own, abandoned=False, requested=requested, previous=previous.to_dict())
        return LeaseHolder(
            holder_id=self.holder_id,
            fence=record.fence + 1,
            since=now,
            until=now + timedelta(seconds=self.duration),
            previous=previous.to_dict(),
            requested=requested,
            requested_at=decision.requested_at if inherited else None,
        )

    def _change(
        self, attempt: Callable[[LeaseRecord], Steps[tuple[LeaseRecord | None, T]]], summary: str
    ) -> Steps[T]:
        """Read the record, decide and write, and start again while other writers are faster."""
        for _ in range(_MOST_RACES):
            record, version = yield from self.store.read()
            changed, result = yield from attempt(record)
            if changed is None:
                return result
            try:
                yield from self.store.compare_and_set(changed, version, summary)
            except StaleLease:
                continue
            return result
        raise HubError(
            f"Space {self.repo_id}: other writers changed its lease {_MOST_RACES} times in a row. "
            f"Try again later.",
            repo_id=self.repo_id,
        )


def check_free(store: LeaseStore, judge: Judge, now: datetime) -> Steps[LeaseRecord]:
    """Check that no other holder uses the Space, and return the record.

    A record that cannot be read must not prevent a restore: the error is logged, and an empty record is
    returned.

    :param judge: returns the standing of a holder.
    :param now: the current time, in UTC.
    :raises SpaceLeased: if another holder uses the Space.
    :raises HubError: for an error that a retry may fix.
    """
    try:
        record, _ = yield from store.read()
    except HubError as error:
        if not error.permanent:
            raise
        log.warning("Space %s: the lease cannot be read and is ignored. %s", store.repo_id, error)
        return LeaseRecord(store.repo_id)
    except InvalidLease as error:
        log.error("%s The restore continues without the lease.", error)
        return LeaseRecord(store.repo_id)
    refuse_other_holder(store.repo_id, record, judge, now)
    return record


def refuse_other_holder(repo_id: str, record: LeaseRecord, judge: Judge, now: datetime) -> None:
    """Check that no other holder in the record uses the Space.

    :raises SpaceLeased: if another holder uses the Space.
    """
    current = record.current
    if current is not None:
        standing = judge(current)
        if standing not in (Standing.OWN, Standing.OUTER) and not is_free(current, standing, now):
            raise SpaceLeased(repo_id, current)
