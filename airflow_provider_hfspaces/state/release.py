"""Release a lease whose run no longer ends it: restore the Space and end the lease.

The janitor, the page in Airflow's UI and the command line release leases here, by the same rules.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hub.desired import RestoreRejected, plan_restore, restored_state
from airflow_provider_hfspaces.hub.lease.actions import LeaseLost, SpaceLeased, Taken
from airflow_provider_hfspaces.hub.lease.guard import guarded, repair_for_holder
from airflow_provider_hfspaces.hub.lease.record import LATE_REQUEST_SECONDS, Standing
from airflow_provider_hfspaces.hub.stages import SpaceStage
from airflow_provider_hfspaces.state.best_effort import only_logged
from airflow_provider_hfspaces.state.lease_costs import LeaseWindow
from airflow_provider_hfspaces.state.lease_states import reason_of_state, state_of
from airflow_provider_hfspaces.state.leases import Owners, describe_holder, new_lease
from airflow_provider_hfspaces.state.run_costs import report_cost

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.cost.runs import RunCost
    from airflow_provider_hfspaces.hub.http.sequence import Steps
    from airflow_provider_hfspaces.hub.lease.record import LeaseHolder, LeaseRecord
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.state.leases import AirflowLease, LeaseOwner

__all__ = [
    "NotLeased",
    "ReleasedLease",
    "has_late_request",
    "reason_to_release",
    "release_lease",
    "repair_for",
]

_log = logging.getLogger(__name__)

_LATE_REQUEST = "a late request of a holder that has ended its lease"

RELEASE_SECONDS = 3600.0
"""Duration of the lease under which the Space is restored."""


class NotLeased(Exception):
    """The Space is not leased, so there is nothing to restore.

    :param ended_at: when the latest lease was given back, in UTC; ``None`` if that is not known.
    """

    def __init__(self, repo_id: str, ended_at: datetime | None = None) -> None:
        problem = "is not leased"
        if ended_at is not None:
            problem = f"is not leased any more: its lease was given back at {ended_at:%Y-%m-%d %H:%M} UTC"
        super().__init__(f"Space {repo_id} {problem}. Nothing was changed.")


@dataclass(frozen=True)
class ReleasedLease:
    """What became of a Space whose lease was released.

    :ivar reason: why the lease was released, such as "left behind by task … of run …, which is over".
    :ivar hardware: the hardware that the Space is set to now.
    :ivar cost: what the hardware of the lease cost; ``None`` if that is not known.
    """

    repo_id: str
    reason: str
    hardware: str | None
    cost: RunCost | None = None


def reason_to_release(record: LeaseRecord, owners: Owners) -> str | None:
    """Return why nobody restores a Space any more; ``None`` if its holder still may, or without a lease.

    :param owners: what this Airflow knows about holders.
    """
    if record.current is not None:
        return reason_of_holder(record.current, owners)
    return _LATE_REQUEST if _late_holder(record) is not None else None


def has_late_request(record: LeaseRecord, runtime: SpaceRuntime) -> bool:
    """Return whether a Space without a lease is on the hardware of a lease that has just been given back.

    A worker that freezes before its request sends it when it thaws, after the Space was restored.
    """

    ended = _late_holder(record)
    if ended is None or runtime.stage == SpaceStage.PAUSED:
        return False
    previous = ended.previous or {}
    is_restored = (runtime.configured_hardware, runtime.sleep_time) == (
        previous.get("hardware"),
        previous.get("sleep_time"),
    )
    return runtime.configured_hardware in ended.requested and not is_restored


def _late_holder(record: LeaseRecord) -> LeaseHolder | None:
    """Return the latest holder, while one of its requests may still arrive after the end of its lease."""
    ended = record.ended
    is_late = record.current is None and ended is not None and not ended.is_expired(_now())
    return ended if is_late else None


def reason_of_holder(holder: LeaseHolder, owners: Owners) -> str | None:
    """Return why this holder does not restore the Space any more; ``None`` if it still may."""

    state = state_of(holder, owners)
    return reason_of_state(state, describe_holder(holder, owners)) if state.is_left_behind else None


def release_lease(
    hook: HfSpacesHook,
    repo_id: str,
    *,
    owner: LeaseOwner | None = None,
    fallback: str = "cpu-basic",
    force: bool = False,
    log: Any = _log,
) -> ReleasedLease:
    """Restore the state that a lease recorded, and end the lease, unless its run is alive.

    The lease is taken over first, so that nobody else restores the Space at the same time, and read once
    more at the end: hardware that the restore took from a new holder is requested again. What the lease cost
    counts in the metrics, and on the cost page for its run's DAG.

    :param hook: sends the requests.
    :param owner: the task that releases the lease; ``None`` for the API server and the command line.
    :param fallback: the hardware to move to if the Hub rejects the recorded one.
    :param force: whether to release the lease even if its run is alive.
    :raises NotLeased: if the Space is not leased.
    :raises SpaceLeased: if the run of the holder is alive.
    :raises LeaseLost: if the lease went to another holder during the restore.
    :raises HubError: if the Hub rejects a request. The lease is abandoned then, for the next try.
    """

    lease = new_lease(hook, repo_id, owner, RELEASE_SECONDS)
    record = lease.read()
    reason, forced = _grounds(lease, record, force)
    run = None if record.current is None else lease.owners.owner(record.current)
    has_sent = False

    def judge(holder: LeaseHolder) -> Standing:
        is_over = holder.holder_id in forced or reason_of_holder(holder, lease.owners)
        return Standing.OVER if is_over else Standing.AT_WORK

    def check() -> Steps[None]:
        nonlocal has_sent
        yield from lease.lease.confirm()
        has_sent = True

    taken = lease.take(judge)
    if not isinstance(taken, Taken):
        raise SpaceLeased(repo_id, taken)
    taken_at = hook.clock()
    try:
        runtime = hook.execute(guarded(_restore(taken, fallback, log), check))
    except LeaseLost as lost:
        if has_sent:
            repair_for(lease, lost.current, log)
        raise
    except RestoreRejected as error:
        lease.abandon(error.runtime.configured_hardware if error.runtime else None)
        raise
    except BaseException:
        lease.abandon()
        raise
    other = lease.give_back()
    if other is not None and repair_for(lease, other, log):
        raise SpaceLeased(repo_id, other)
    log.info("Space %s is on %s again.", repo_id, runtime.configured_hardware)
    cost = None
    if record.current is not None:  # The cost of a late request is not known.
        cost = _report_cost(lease, taken, taken_at, runtime, run, log)
    return ReleasedLease(repo_id, reason, runtime.configured_hardware, cost)


def _report_cost(
    lease: AirflowLease,
    taken: Taken,
    taken_at: datetime,
    after: SpaceRuntime,
    run: LeaseOwner | None,
    log: Any,
) -> RunCost | None:
    """Report what a lease cost. A failure is only logged: the Space is restored.

    :param run: the task that held the lease; ``None`` if this Airflow does not know it.
    """

    repo_id, hook = lease.repo_id, lease.hook
    with only_logged(log, f"Space {repo_id}: the cost of its lease is not known"):
        window = LeaseWindow.from_release(hook, repo_id, taken, taken_at, after, log)
        if window is not None:
            cost = window.cost(hook, log)
            report_cost(repo_id, cost, run, log, began=window.began)
            return cost
    return None


def _grounds(lease: AirflowLease, record: LeaseRecord, force: bool) -> tuple[str, frozenset[str]]:
    """Return why the lease may be released, and the holders to release although they are alive."""

    if record.current is None:
        ended = _late_holder(record)
        if ended is None:
            raise NotLeased(lease.repo_id)
        if has_late_request(record, lease.hook.get_runtime(lease.repo_id)):
            return _LATE_REQUEST, frozenset()
        raise NotLeased(lease.repo_id, ended.until - timedelta(seconds=LATE_REQUEST_SECONDS))
    reason = reason_of_holder(record.current, lease.owners)
    if reason is not None:
        return reason, frozenset()
    if lease.owners.me is not None and lease.adopt(record) is not None:
        # An earlier try of this task took the lease over and did not end it.
        return f"held by {describe_holder(record.current, lease.owners)}", frozenset()
    if not force:
        raise SpaceLeased(lease.repo_id, record.current)
    who = describe_holder(record.current, lease.owners)
    return f"taken from {who}", frozenset(each.holder_id for each in record.holders)


def _restore(taken: Any, fallback: str, log: Any) -> Steps[Any]:
    return plan_restore(restored_state(taken.previous), taken.runtime, fallback=fallback, log=log)


def repair_for(lease: AirflowLease, other: LeaseHolder | None, log: Any) -> bool:
    """Request the hardware of another holder again, if a restore removed it.

    :param other: the holder that has the lease now; ``None`` if no holder has it.
    :returns: True if its hardware was requested.
    """

    if other is None or other.holder_id == lease.lease.holder_id:
        return False
    return lease.hook.execute(
        repair_for_holder(
            lease.lease.store, other, lease.judge(other), lease.hook.clock(), log, name=lease.describe(other)
        )
    )


def _now() -> datetime:
    return datetime.now(timezone.utc)
