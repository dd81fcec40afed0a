"""How the hardware operators use the lease of a Space: wait for it, work under it, restore, end it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.errors import HubError, HubRateLimited
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from airflow_provider_hfspaces.hub.lease.actions import (
    LeaseLost,
    SpaceLease,
    SpaceLeased,
    Taken,
    check_free,
    refuse_other_holder,
)
from airflow_provider_hfspaces.hub.lease.guard import LeaseGuard, guarded, repair
from airflow_provider_hfspaces.hub.lease.record import (
    InvalidLease,
    LeaseHolder,
    LeaseRecord,
    Standing,
    is_free,
)
from airflow_provider_hfspaces.hub.lease.store import LeaseDenied
from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
from airflow_provider_hfspaces.metrics import lease_wait_ended
from airflow_provider_hfspaces.state.lease_waits import LeaseWaitLog
from airflow_provider_hfspaces.state.leases import (
    AirflowLease,
    LeaseOwner,
    Owners,
    describe_holder,
    lease_store,
    new_lease,
    used_lease,
)
from airflow_provider_hfspaces.state.release import repair_for

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.http.sequence import Steps
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.operators.hardware import SnapshotSpaceOperator

__all__ = [
    "HELD_BY_ANOTHER",
    "LateRequest",
    "UndoLease",
    "WayBack",
    "lease_of_task",
    "repair_for",
    "settle_request",
    "take_lease",
    "undo_request",
]

_NOBODY = "0" * 32
"""An id that no holder has."""


def take_lease(
    operator: SnapshotSpaceOperator, repo_id: str, context: Context, restore_tasks: Sequence[str]
) -> tuple[AirflowLease, Taken]:
    """Wait until this task has the lease of the Space. If the task is deferred, this does not return.

    :raises AirflowFailException: if the lease is not free in time, or the task is killed.
    """
    owner = LeaseOwner.from_task_instance(context["ti"], restore_tasks=restore_tasks)
    lease = new_lease(operator.hook, repo_id, owner, operator.lease_duration)
    started, deadline = operator.lease_wait()
    wait_log = LeaseWaitLog(repo_id, started, deadline, operator.log)
    while True:
        delay, reason = 0.0, ""
        try:
            outcome = lease.take()
        except LeaseDenied as error:
            raise AirflowFailException(f"{error} To work without a lease, set lease=False.") from None
        except HubRateLimited as error:
            delay, reason = error.retry_after or operator.lease_poll_interval, str(error)
            operator.log.warning("%s The lease of Space %s is requested again later.", error, repo_id)
        else:
            if isinstance(outcome, Taken):
                lease_wait_ended("taken", time.time() - started)
                operator.log.info(
                    "Space %s is leased by this run until %s.",
                    repo_id,
                    f"{outcome.holder.until:%Y-%m-%d %H:%M} UTC",
                )
                return lease, outcome
            reason = f"Its holder is {lease.describe(outcome)}."
            if wait_log.is_due(outcome):
                wait_log.write(outcome, lease.describe(outcome))
        remaining = deadline - time.time()
        if remaining <= 0:
            lease_wait_ended("timeout", time.time() - started)
            raise AirflowFailException(
                f"Space {repo_id} is still leased after {deadline - started:.0f} seconds. {reason} End that "
                f"run or wait longer with lease_timeout. If its holder is gone for good, delete the "
                f"{lease.lease.store.branch}."
            )
        if operator.deferrable:
            operator.defer_for_lease(repo_id, owner, started, deadline, delay)
        if operator.killed.wait(min(max(delay, operator.lease_poll_interval), remaining)):
            raise AirflowFailException(f"Space {repo_id}: the task was killed while it waited for the lease.")


def lease_of_task(
    hook: HfSpacesHook, repo_id: str, context: Context, task_id: str, taken: Any
) -> tuple[AirflowLease, LeaseHolder] | None:
    """The lease that another task of this run took, and its entry; ``None`` if the run does not hold it.

    :param task_id: the task that took it.
    :param taken: what that task pushed.
    """
    owner = LeaseOwner.from_task_instance(context["ti"], task_id)
    lease = used_lease(hook, taken, owner) or _unnamed(hook, repo_id, owner)
    mine = lease.adopt(lease.read())
    return None if mine is None or mine.abandoned else (lease, mine)


def _unnamed(hook: HfSpacesHook, repo_id: str, owner: LeaseOwner) -> AirflowLease:
    """A lease whose holder is found by the task that took it, because its id is not known."""
    return AirflowLease(
        hook, SpaceLease(lease_store(hook, repo_id), _NOBODY, clock=hook.clock), Owners(owner)
    )


class WayBack:
    """The lease during a restore: whether it may happen, from which state, and how it ends.

    :param taken: what the task that took the lease pushed; ``None`` for a window without a lease.
    :param owner: that task.
    :ivar snapshot: the state to restore, from the lease's record; ``None`` if the record has none.
    """

    def __init__(self, hook: HfSpacesHook, repo_id: str, owner: LeaseOwner, taken: Any, log: Any) -> None:
        self.hook = hook
        self.repo_id = repo_id
        self.log = log
        self.snapshot: SpaceSnapshot | None = None
        self.requested: tuple[str, ...] = ()
        self.requested_at: datetime | None = None
        self._lease = used_lease(hook, taken, owner) or _unnamed(hook, repo_id, owner)
        self._was_leased = isinstance(taken, dict)
        self._holds = False
        self._has_sent = False

    def begin(self) -> None:
        """Read the record, and take the lease over from a holder that has ended.

        :raises SpaceLeased: if another holder is at work, who restores the Space later.
        """
        record = self._read()
        mine = self._lease.adopt(record)
        if mine is not None and not mine.abandoned:
            self._use(mine)
            return
        current = record.current
        if mine is None and (current is None or not self._was_leased):
            refuse_other_holder(self.repo_id, record, self._lease.judge, self.hook.clock())
            return
        try:
            outcome = self._lease.take()
        except HubError as error:
            self.log.warning("%s The Space is restored without a new entry in its lease.", error)
            if mine is not None:
                # Abandoned by an earlier try, and in the record: nobody has taken it over.
                self._use(mine)
            else:
                refuse_other_holder(self.repo_id, record, self._lease.judge, self.hook.clock())
            return
        if not isinstance(outcome, Taken):
            raise SpaceLeased(self.repo_id, outcome)
        self._use(outcome.holder)

    @property
    def holds(self) -> bool:
        """Whether this run holds the lease."""
        return self._holds

    @property
    def is_leased(self) -> bool:
        """Whether the state to restore is in a lease's record, where the next holder finds it."""
        return self._holds or self._was_leased

    def guard(self, steps: Steps[SpaceRuntime]) -> Steps[SpaceRuntime]:
        """Run the steps of the restore, with :meth:`check` before each change."""
        return guarded(steps, self.check)

    def check(self) -> Steps[Any]:
        """The check immediately before each request of the restore.

        :raises SpaceLeased: if another holder is at work.
        :raises LeaseLost: if the lease went to another holder.
        """
        if self._holds:
            yield from self._lease.lease.confirm()
        else:
            yield from check_free(self._lease.lease.store, self._lease.judge, self.hook.clock())
        self._has_sent = True

    def end(self) -> None:
        """End the lease. If the restore took a new holder's hardware, request that hardware again."""
        if self._holds:
            self._repair(self._lease.give_back())
        else:
            self.stop()

    def stop(self) -> None:
        """Request a new holder's hardware again if a restore that is not completed took it away."""
        if self._has_sent:
            self._repair(self._read().current)

    def _repair(self, other: LeaseHolder | None) -> None:
        repair_for(self._lease, other, self.log)

    def fail(self, hardware: str | None = None) -> None:
        """Leave the restore to the next holder.

        :param hardware: the hardware that the Space is on instead, which the next holder may undo.
        """
        if self._holds:
            self._lease.abandon(hardware)

    def describe(self, holder: LeaseHolder) -> str:
        """Who has the lease, for logs."""
        return describe_holder(holder, self._lease.owners)

    def _use(self, holder: LeaseHolder) -> None:
        self._holds = True
        self.requested, self.requested_at = holder.requested, holder.requested_at
        if holder.previous is not None:
            self.snapshot = SpaceSnapshot.from_dict({**holder.previous, "repo_id": self.repo_id})

    def _read(self) -> LeaseRecord:
        try:
            return self._lease.read()
        except (HubError, InvalidLease) as error:
            if isinstance(error, HubError) and not error.permanent:
                raise
            self.log.error("%s The Space is restored without its lease.", error)
            return LeaseRecord(self.repo_id)


class UndoLease:
    """The lease during an undo of a hardware request. A signal handler may ask the Hub but not Airflow.

    A run that no longer has the lease leaves the Space to the holder that has it. If nobody has it, and the
    Space is on the hardware of the request, the request was late: the Space had been restored before.

    :param lease: the lease of the run; ``None`` for a request without one.
    :param hardware: the requested hardware.
    """

    def __init__(self, hook: HfSpacesHook, repo_id: str, lease: AirflowLease | None, hardware: str) -> None:
        self._hook = hook
        self._lease = lease
        self._store = lease_store(hook, repo_id) if lease is None else lease.lease.store
        self._hardware = hardware
        self._was_late: bool | None = None
        holder_id = None if lease is None else lease.lease.holder_id
        self._guard = LeaseGuard(self._store, self.check, holder_id=holder_id, clock=hook.clock)

    def check(self) -> Steps[Any]:
        """The check immediately before each request of the undo.

        :raises SpaceLeased: if another holder has the Space.
        :raises LeaseLost: if the lease went to another holder, or the Space is on other hardware since then.
        """
        if self._lease is None:
            yield from check_free(self._store, lambda holder: Standing.UNKNOWN, self._hook.clock())
            return
        try:
            yield from self._lease.lease.confirm()
        except LeaseLost as lost:
            if lost.current is not None or not (yield from self._is_late()):
                raise

    def _is_late(self) -> Steps[bool]:
        if self._was_late is None:
            runtime = yield calls.get_runtime(self._store.repo_id)
            self._was_late = runtime.configured_hardware == self._hardware
        return self._was_late

    def guard(self, log: Any) -> Callable[[Steps[SpaceRuntime]], Steps[SpaceRuntime]]:
        """Return what runs the steps of the undo under the lease, and repairs what they take from others."""
        return partial(self._guard.run, log=log)

    def returned(self, log: Any) -> Steps[None]:
        """Request the hardware of a new holder again if the late request took it away."""
        if (yield from self._is_late()):
            yield from self._guard.repair(log)


def undo_request(
    hook: HfSpacesHook,
    lease: AirflowLease | None,
    snapshot: SpaceSnapshot,
    hardware: str,
    reason: str,
    log: Any,
) -> bool:
    """Restore the Space within the few seconds that a signal handler has; log the outcome.

    :param lease: the lease of the run; ``None`` for a request without one.
    :param hardware: the requested hardware.
    :param reason: why, for the log.
    :returns: whether the Space is restored now.
    """
    repo_id = snapshot.repo_id
    client = hook.client.fresh(retry=RetryPolicy(3, 3, 0.2, 0.5))
    try:
        undo = UndoLease(hook, repo_id, lease, hardware)
        try:
            hook.restore(snapshot, client=client, guard=undo.guard(log))
        except HELD_BY_ANOTHER:
            log.warning("Space %s is left alone although %s: another run or a user has it.", repo_id, reason)
            hook.execute(undo.returned(log), client)
        else:
            log.warning("Space %s is restored, because %s.", repo_id, reason)
            return True
    except CANNOT_RESTORE as error:
        log.error("Space %s is not restored, after %s: %s", repo_id, reason, error)
    return False


class LateRequest(Exception):
    """A hardware request reached the Hub after the run had lost the lease, and was undone."""


def settle_request(
    hook: HfSpacesHook, lease: AirflowLease, snapshot: SpaceSnapshot, hardware: str, log: Any
) -> None:
    """Look at the lease once more after a hardware request, and undo a request that came too late.

    A worker that freezes after it has announced its request sends it when it thaws. By then the run may be
    over, the Space restored and leased by another run.

    :param snapshot: the state to restore.
    :raises LateRequest: if the run had lost the lease, saying what became of the Space.
    """
    repo_id = lease.repo_id
    try:
        hook.execute(lease.lease.confirm())
        return
    except (HubError, InvalidLease) as error:
        log.warning("%s Whether this run still has the lease of Space %s is not known.", error, repo_id)
        return
    except LeaseLost as lost:
        other = lost.current
    problem = f"Space {repo_id}: this run had lost its lease when the request for {hardware} arrived."
    if other is None:
        undo = UndoLease(hook, repo_id, lease, hardware)
        try:
            runtime = hook.restore(snapshot, guard=undo.guard(log))
        except HELD_BY_ANOTHER:
            raise LateRequest(
                f"{problem} Another run or a user has changed the Space since. Start the run again."
            ) from None
        raise LateRequest(f"{problem} It is on {runtime.configured_hardware} again. Start the run again.")
    if not is_free(other, lease.judge(other), hook.clock()) and hook.execute(
        repair(lease.lease.store, other)
    ):
        raise LateRequest(
            f"{problem} {other.requested[-1]}, which it took away, is requested again for "
            f"{lease.describe(other)}. Start the run again."
        )
    raise LateRequest(
        f"{problem} It is left to {lease.describe(other)}, which restores it. Start the run again."
    )


HELD_BY_ANOTHER = (SpaceLeased, LeaseLost)
"""Why a plan stops: the Space belongs to another holder."""

CANNOT_RESTORE = (HubError, InvalidInput, *HELD_BY_ANOTHER)
"""Everything that may keep an undo from restoring a Space."""
