"""LeaseGuard, under which a plan changes a Space: check each request, repair what went wrong.

Come here to change what a restore, an undo or a notifier does when the lease changes hands on the way, or
when the Hub rejects the hardware to restore.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, TypeVar

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.desired import RestoreRejected, plan_move
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.http.sequence import Steps
from airflow_provider_hfspaces.hub.lease.actions import SpaceLease
from airflow_provider_hfspaces.hub.lease.record import (
    InvalidLease,
    LeaseHolder,
    LeaseLost,
    SpaceLeased,
    Standing,
    is_free,
)
from airflow_provider_hfspaces.hub.lease.store import LeaseStore
from airflow_provider_hfspaces.hub.snapshot import Activity, DesiredState
from airflow_provider_hfspaces.hub.stages import SpaceStage

__all__ = ["LeaseGuard", "guarded", "repair", "repair_for_holder"]

T = TypeVar("T")


class LeaseGuard:
    """Runs plans under the lease of a Space.

    ::

        guard = LeaseGuard(store, lease.confirm, holder_id=lease.holder_id)
        runtime = execute(guard.run(plan_restore(desired), log), client.send)

    :param store: where the record of the lease is kept.
    :param check: the steps that run before each request that changes the Space. They raise
        :class:`SpaceLeased` or :class:`LeaseLost` to stop the plan.
    :param holder_id: the holder under whose lease the plan runs; ``None`` without a lease.
    :param clock: the current time, in UTC.
    """

    def __init__(
        self,
        store: LeaseStore,
        check: Callable[[], Steps[Any]],
        *,
        holder_id: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._store = store
        self._check = check
        self._holder_id = holder_id
        self._clock = clock

    def run(self, steps: Steps[T], log: Any) -> Steps[T]:
        """Run a plan, with the check before each change and :meth:`repair` after the last one.

        If the Hub rejects the hardware to restore, the lease notes where the Space was left.

        :param log: logger for what the guard does.
        :raises SpaceLeased: if another holder has the Space.
        :raises LeaseLost: if the lease went to another holder.
        :raises HubError: of the plan.
        """
        sent = False

        def check() -> Steps[Any]:
            nonlocal sent
            yield from self._check()
            sent = True

        try:
            result = yield from guarded(steps, check)
        except (HubError, SpaceLeased, LeaseLost) as error:
            if sent:
                yield from self.repair(log)
            if isinstance(error, RestoreRejected):
                yield from self._note_rejection(error, log)
            raise
        if sent:
            yield from self.repair(log)
        return result

    def repair(self, log: Any) -> Steps[None]:
        """Check the lease once more, and request the hardware that the plan removed from a new holder."""
        try:
            yield from self._check()
        except SpaceLeased as leased:
            yield from repair_for_holder(self._store, leased.holder, Standing.UNKNOWN, self._clock(), log)
        except LeaseLost as lost:
            yield from repair_for_holder(self._store, lost.current, Standing.UNKNOWN, self._clock(), log)

    def _note_rejection(self, error: RestoreRejected, log: Any) -> Steps[None]:
        """Note in the lease where a rejected restore left the Space.

        Without the note, the next holder would take that hardware for the choice of the Space's owner, and
        the recorded state would be lost.
        """
        if self._holder_id is None or error.runtime is None:
            return
        error.desired = None  # The lease's record keeps it.
        hardware = error.runtime.configured_hardware
        try:
            yield from SpaceLease(self._store, self._holder_id).note_hardware(str(hardware))
        except (HubError, InvalidLease) as problem:
            log.warning(
                "Space %s: its lease does not note that the Space was left on %s. %s",
                self._store.repo_id,
                hardware,
                problem,
            )


def repair_for_holder(
    store: LeaseStore,
    holder: LeaseHolder | None,
    standing: Standing,
    now: datetime,
    log: Any,
    *,
    name: str | None = None,
) -> Steps[bool]:
    """Run :func:`repair` for a holder that took the lease during a restore, unless its lease is free.

    :param holder: the holder; ``None`` if no other holder has the lease.
    :param standing: what the caller knows about the holder.
    :param now: the current time, in UTC.
    :param name: the holder in words, for the log; by default its id.
    :returns: True if its hardware was requested.
    """
    if holder is None or is_free(holder, standing, now) or not (yield from repair(store, holder)):
        return False
    log.error(
        "Space %s: %s took the lease during the restore, and the restore removed its hardware. "
        "%s is requested again.",
        store.repo_id,
        name or f"holder {holder.holder_id}",
        holder.requested[-1],
    )
    return True


def guarded(steps: Steps[T], check: Callable[[], Steps[Any]]) -> Steps[T]:
    """Run a check immediately before each call of a plan that changes something.

    :param check: the steps of the check; an exception from them stops the plan.
    """
    error: HubError | None = None
    answer: Any = None
    try:
        step = next(steps)
        while True:
            if isinstance(step, Call) and step.method != "GET":
                yield from check()
            try:
                answer, error = (yield step), None
            except HubError as problem:
                error = problem
            step = steps.throw(error) if error is not None else steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        steps.close()


def repair(store: LeaseStore, holder: LeaseHolder) -> Steps[bool]:
    """Request the hardware of another holder again, if a restore of the caller removed it.

    :param holder: the other holder, as the caller last read it.
    :returns: True if the hardware was requested.
    """
    if not holder.requested:
        return False
    runtime = yield calls.get_runtime(store.repo_id)
    if runtime.configured_hardware == holder.requested[-1] and runtime.stage != SpaceStage.PAUSED:
        return False
    record, _ = yield from store.read()
    present = record.find(holder.holder_id)
    if present is None or present.abandoned:
        # No holder is left that would restore the Space later, so the hardware would stay on.
        return False
    hardware, sleep_time = present.requested[-1], present.sleep_time
    desired = DesiredState(store.repo_id, hardware, sleep_time, activity=Activity.RUNNING)
    yield from plan_move(desired, runtime)
    return True
