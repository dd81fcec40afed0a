"""The state of the holder of a lease: whether the holder will still restore the Space.

Come here to change when a lease counts as left behind.
"""

from __future__ import annotations

from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING

from airflow_provider_hfspaces.hub.lease.record import Standing

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.lease.record import LeaseHolder
    from airflow_provider_hfspaces.state.leases import Owners

__all__ = ["LeaseState", "reason_of_state", "state_of"]


class LeaseState(str, Enum):
    """What this Airflow knows about the holder of a lease."""

    AT_WORK = "at work"
    """The holder's run is alive and restores the Space itself."""

    UNKNOWN = "unknown"
    """The holder belongs to another Airflow or a script, or Airflow does not say. It counts as alive."""

    ABANDONED = "abandoned"
    """The holder could not restore the Space."""

    EXPIRED = "expired"
    """The lease has lasted longer than its holder said."""

    OVER = "over"
    """The holder's run, or the task that restores the Space, has ended."""

    STOPPED = "stopped"
    """The holder's DAG is paused or gone, and no task of the run works."""

    @property
    def is_left_behind(self) -> bool:
        """Whether the holder no longer restores the Space, so that others may."""
        return self not in (LeaseState.AT_WORK, LeaseState.UNKNOWN)


def state_of(holder: LeaseHolder, owners: Owners) -> LeaseState:
    """Return the state of the holder of a lease.

    :param owners: what this Airflow knows about holders.
    """

    if holder.abandoned:
        return LeaseState.ABANDONED
    if holder.is_expired(datetime.now(timezone.utc)):
        return LeaseState.EXPIRED
    standing = owners.judge(holder)
    if standing is Standing.OVER:
        return LeaseState.OVER
    if owners.is_stopped(holder):
        return LeaseState.STOPPED
    return LeaseState.UNKNOWN if standing is Standing.UNKNOWN else LeaseState.AT_WORK


def reason_of_state(state: LeaseState, who: str) -> str | None:
    """Return why a holder does not restore the Space, for logs; ``None`` if the holder still may.

    :param who: the holder in words.
    """
    return {
        LeaseState.ABANDONED: f"abandoned by {who}",
        LeaseState.EXPIRED: f"expired, held by {who}",
        LeaseState.OVER: f"left behind by {who}, which is over",
        LeaseState.STOPPED: f"held by {who}, and nothing of that run works",
    }.get(state)
