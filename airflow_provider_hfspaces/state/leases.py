"""The leases of this Airflow: which task of which run holds the lease of a Space.

The lease itself is on the Hub, see :mod:`airflow_provider_hfspaces.hub.lease`. It names its holder by a
random id only. The task that the id stands for is in a Variable of this Airflow, ``hf_spaces_lease_`` and the
id. Only the holder writes it, and always with the same content: a late or repeated write does no harm.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.runs import (
    FINAL_STATES,
    is_dag_paused,
    is_run_over,
    is_run_working,
    task_states,
)
from airflow_provider_hfspaces.compat.server import (
    delete_variable,
    get_variable,
    in_thread,
    set_variable,
)

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.http.sequence import Steps
    from airflow_provider_hfspaces.hub.lease.actions import SpaceLease, Taken
    from airflow_provider_hfspaces.hub.lease.record import Judge, LeaseHolder, LeaseRecord, Standing
    from airflow_provider_hfspaces.hub.lease.store import LeaseStore

__all__ = [
    "AirflowLease",
    "LeaseOwner",
    "Owners",
    "describe_holder",
    "have_ended",
    "lease_store",
    "new_lease",
    "undo_check",
    "used_lease",
    "variable_name",
]

log = logging.getLogger(__name__)

_DESCRIPTION = "Kept by airflow-provider-hfspaces while this task's run holds the lease of a Space."


@dataclass(frozen=True)
class LeaseOwner:
    """The task instance that holds a lease for its run.

    :ivar map_index: -1 for a task that is not mapped.
    :ivar restore_tasks: ids of the tasks that restore the Space and end the lease.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    restore_tasks: tuple[str, ...] = ()

    @classmethod
    def from_task_instance(cls, ti: Any, task_id: str | None = None, restore_tasks: Any = ()) -> LeaseOwner:
        """Return the task instance itself, or another task of its run with the same map index."""
        map_index = ti.map_index if ti.map_index is not None else -1
        return cls(ti.dag_id, ti.run_id, task_id or ti.task_id, map_index, tuple(restore_tasks))

    @classmethod
    def from_dict(cls, payload: Any) -> LeaseOwner | None:
        """Read :meth:`to_dict`; ``None`` for anything else."""
        try:
            return cls(**{**payload, "restore_tasks": tuple(payload["restore_tasks"])})
        except (TypeError, KeyError):
            return None

    def to_dict(self) -> dict[str, Any]:
        """Return the owner as plain JSON."""
        return {**asdict(self), "restore_tasks": list(self.restore_tasks)}

    def is_same(self, other: LeaseOwner) -> bool:
        """Return whether both owners are the same task of the same run."""
        return self._key == other._key

    def is_same_run(self, other: LeaseOwner) -> bool:
        """Return whether both owners are in the same run of the same DAG."""
        return (self.dag_id, self.run_id) == (other.dag_id, other.run_id)

    def surrounds(self, other: LeaseOwner) -> bool:
        """Return whether the other owner is in a task group inside this owner's group, in the same run."""
        group, inner = self.task_id.rpartition(".")[0], other.task_id.rpartition(".")[0]
        mapped_alike = self.map_index in (-1, other.map_index)
        return self.is_same_run(other) and mapped_alike and inner.startswith(f"{group}.")

    def __str__(self) -> str:
        mapped = f" [{self.map_index}]" if self.map_index >= 0 else ""
        return f"task {self.task_id}{mapped} of run {self.run_id} of DAG {self.dag_id}"

    @property
    def _key(self) -> tuple[Any, ...]:
        return self.dag_id, self.run_id, self.task_id, self.map_index


class Owners:
    """What this Airflow knows about the holders of leases.

    :param me: the task that holds or wants the lease; ``None`` for other tasks, such as a fleet operator's.
    :ivar unanswered: ids of the holders about which Airflow gave no answer.
    """

    def __init__(self, me: LeaseOwner | None = None) -> None:
        self.me = me
        self.unanswered: set[str] = set()
        self._known: dict[str, LeaseOwner] = {}

    def owner(self, holder: LeaseHolder) -> LeaseOwner | None:
        """Return the task that holds the lease; ``None`` if this Airflow does not know it."""
        if holder.holder_id not in self._known:
            try:
                owner = LeaseOwner.from_dict(get_variable(variable_name(holder.holder_id)))
            except Exception as error:
                if holder.holder_id not in self.unanswered:
                    log.warning("Airflow does not say who holder %s is: %s", holder.holder_id, error)
                self.unanswered.add(holder.holder_id)
                return None
            if owner is None:
                return None
            self._known[holder.holder_id] = owner
        return self._known[holder.holder_id]

    def judge(self, holder: LeaseHolder) -> Standing:
        """Return what this Airflow knows about a holder, for :mod:`airflow_provider_hfspaces.hub.lease`."""
        from airflow_provider_hfspaces.hub.lease.record import Standing

        owner = self.owner(holder)
        if owner is None:
            return Standing.UNKNOWN
        if self.me is not None and owner.is_same(self.me):
            return Standing.OWN
        try:
            if self._is_over(owner) or (holder.is_expired(_now()) and self._is_given_up(owner)):
                return Standing.OVER
        except Exception as error:
            log.warning("Airflow does not say whether %s is over: %s", owner, error)
            return Standing.UNKNOWN
        return Standing.OUTER if self.me is not None and owner.surrounds(self.me) else Standing.AT_WORK

    def is_stopped(self, holder: LeaseHolder) -> bool:
        """Return whether Airflow schedules no task of the holder's run: its DAG is paused or gone."""
        owner = self.owner(holder)
        if owner is None:
            return False
        try:
            return bool(is_dag_paused(owner.dag_id)) and not is_run_working(owner.dag_id, owner.run_id)
        except Exception as error:
            log.warning("Airflow does not say whether %s still works: %s", owner, error)
            return False

    def _is_over(self, owner: LeaseOwner) -> bool:
        in_own_run = self.me is not None and owner.is_same_run(self.me)
        if not in_own_run and is_run_over(owner.dag_id, owner.run_id):
            return True
        # Nothing restores the Space any more: its teardown has ended, or is no task of the run any more.
        return bool(owner.restore_tasks) and have_ended(owner, owner.restore_tasks)

    def _is_given_up(self, owner: LeaseOwner) -> bool:
        """Return whether no task of a run works or waits any more, as after its DAG file was removed.

        The state of such a run stays "running" for ever. Only the expiry of its lease shows its end.
        """
        return not is_run_working(owner.dag_id, owner.run_id, or_waits=True)


def describe_holder(holder: LeaseHolder, owners: Owners, *, in_task: bool = False) -> str:
    """Return who has the lease, since when and until when, for logs and errors.

    :param in_task: whether a task calls this. Airflow tells only tasks whether a DAG is paused: a trigger or
        a callback would wait for the answer for ever.
    """
    owner = owners.owner(holder)
    who = str(owner) if owner else f"another Airflow or script (holder {holder.holder_id})"
    if holder.holder_id in owners.unanswered:
        who = f"a run that Airflow does not name here (holder {holder.holder_id})"
    since = f"{holder.since:%Y-%m-%d %H:%M} UTC"
    if owner is None:
        return f"{who} since {since}, until {holder.until:%Y-%m-%d %H:%M} UTC at the latest"
    paused = None
    if in_task:
        with suppress(Exception):
            paused = is_dag_paused(owner.dag_id)
    return f"{who} since {since}" + (", whose DAG is paused" if paused else "")


def lease_store(hook: HfSpacesHook, repo_id: str) -> LeaseStore:
    """Return the store of a Space's lease, as the connection or Airflow's configuration names it."""
    from airflow_provider_hfspaces.compat.config import lease_repository
    from airflow_provider_hfspaces.hub.lease.store import LeaseStore, lease_branch

    repository = hook.settings.lease_repo or lease_repository()
    return LeaseStore(repo_id, lease_branch(repo_id, repository))


def new_lease(hook: HfSpacesHook, repo_id: str, owner: LeaseOwner | None, duration: float) -> AirflowLease:
    """Return the lease of a Space for a task that is about to take it, or for a command (``None``)."""
    from airflow_provider_hfspaces.hub.lease.actions import SpaceLease

    lease = SpaceLease(lease_store(hook, repo_id), secrets.token_hex(16), duration=duration, clock=hook.clock)
    return AirflowLease(hook, lease, Owners(owner))


def used_lease(hook: HfSpacesHook, taken: Mapping[str, Any] | None, owner: LeaseOwner) -> AirflowLease | None:
    """Return the lease that another task of this run has taken; ``None`` if it has taken none.

    :param taken: what that task pushed, from :meth:`AirflowLease.to_dict`.
    :param owner: that task.
    """
    from airflow_provider_hfspaces.hub.lease.actions import SpaceLease

    if not isinstance(taken, Mapping) or not {"repo_id", "holder", "duration"} <= set(taken):
        return None
    store = lease_store(hook, str(taken["repo_id"]))
    duration = float(taken["duration"])
    lease = SpaceLease(store, str(taken["holder"]), duration=duration, clock=hook.clock)
    return AirflowLease(hook, lease, Owners(owner))


class AirflowLease:
    """A lease of the Hub, used by a task: the steps of :class:`SpaceLease`, executed by the hook.

    :ivar lease: the lease on the Hub.
    :ivar owners: what this Airflow knows about its holders.
    """

    def __init__(self, hook: HfSpacesHook, lease: SpaceLease, owners: Owners) -> None:
        self.hook = hook
        self.lease = lease
        self.owners = owners
        self.repo_id = lease.repo_id

    @property
    def judge(self) -> Judge:
        """The standing of each holder. A holder with this lease's id is the caller."""
        from airflow_provider_hfspaces.hub.lease.record import Standing

        def standing_of(holder: LeaseHolder) -> Standing:
            return Standing.OWN if holder.holder_id == self.lease.holder_id else self.owners.judge(holder)

        return standing_of

    def take(self, judge: Judge | None = None) -> Taken | LeaseHolder:
        """Take the lease, or return the holder to wait for. See :meth:`SpaceLease.take`.

        :param judge: the standing of each holder; by default :attr:`judge`.
        """
        return self.hook.execute(self._take(judge or self.judge))

    def _take(self, judge: Judge) -> Steps[Taken | LeaseHolder]:
        from airflow_provider_hfspaces.hub.errors import HubError
        from airflow_provider_hfspaces.hub.lease.record import LeaseHolder, grant
        from airflow_provider_hfspaces.state.old_leases import move_old_lease

        record, version = yield from self.lease.store.read()
        if version is None:
            record = yield from move_old_lease(self.lease.store)
        self.adopt(record)
        decision = grant(record, judge, self.hook.clock())
        if isinstance(decision, LeaseHolder):
            return decision
        if decision.own is None:
            self._remember_owner()
        try:
            outcome = yield from self.lease.take(judge)
        except HubError as error:
            if error.permanent and decision.own is None:
                # The Hub rejected the request, so that no record can name this holder later.
                self._forget_owner()
            raise
        if not isinstance(outcome, LeaseHolder):
            self._forget(decision.inherited)
        return outcome

    def _forget_owner(self) -> None:
        with suppress(Exception):
            delete_variable(variable_name(self.lease.holder_id))

    def _forget(self, holders: Iterable[LeaseHolder]) -> None:
        """Delete what this Airflow knows about holders that are no longer in the record."""
        for holder in holders:
            if self.owners.owner(holder) is not None:
                with suppress(Exception):
                    delete_variable(variable_name(holder.holder_id))

    def adopt(self, record: LeaseRecord) -> LeaseHolder | None:
        """Find this lease's entry in a record: by its id, or by its task, if an earlier try took it."""
        for holder in record.holders:
            owner = self.owners.owner(holder) if holder.holder_id != self.lease.holder_id else None
            if owner is not None and self.owners.me is not None and owner.is_same(self.owners.me):
                self.lease.holder_id = holder.holder_id
        return record.find(self.lease.holder_id)

    def _remember_owner(self) -> None:
        if self.owners.me is not None:
            set_variable(variable_name(self.lease.holder_id), self.owners.me.to_dict(), _DESCRIPTION)

    def announce(self, hardware: str, sleep_time: int | None) -> LeaseHolder:
        """Announce a hardware request. See :meth:`SpaceLease.announce`."""
        return self.hook.execute(self.lease.announce(hardware, sleep_time))

    def read(self) -> LeaseRecord:
        """Return the record as it is now."""
        return self.hook.execute(self.lease.record())

    def abandon(self, hardware: str | None = None) -> None:
        """Leave the restore to the next holder. An error of the Hub is only logged."""
        try:
            self.hook.execute(self.lease.abandon(hardware))
        except Exception as error:
            log.warning(
                "The lease of Space %s could not be abandoned: %s The lease is free when this run is over.",
                self.repo_id,
                error,
            )

    def give_back(self) -> LeaseHolder | None:
        """End the lease. An error of the Hub is only logged.

        :returns: the holder that took the lease over before that, if there is one.
        """
        try:
            other = self.hook.execute(self.lease.give_back())
        except Exception as error:
            log.warning(
                "The lease of Space %s could not be given back: %s The lease is free when this task is over.",
                self.repo_id,
                error,
            )
            return None
        self._forget_owner()
        return other

    def to_dict(self, fence: int) -> dict[str, Any]:
        """Return the lease as plain JSON, from which other tasks of the run use it: :func:`used_lease`."""
        return {
            "repo_id": self.repo_id,
            "holder": self.lease.holder_id,
            "fence": fence,
            "duration": self.lease.duration,
        }

    def describe(self, holder: LeaseHolder) -> str:
        """Return who has the lease, for logs and errors."""
        return describe_holder(holder, self.owners, in_task=True)


async def undo_check(
    hook: HfSpacesHook, repo_id: str, holder_id: str | None, send: Callable[[Any], Awaitable[Any]]
) -> Callable[[], Steps[Any]]:
    """Return the check that an undo in the triggerer makes before each request.

    Reads what Airflow knows about the holders first: a plan on the event loop must not wait for Airflow.

    :param holder_id: the holder under whose lease the request was sent; ``None`` without a lease.
    :returns: steps that raise :class:`SpaceLeased` or :class:`LeaseLost` if another holder has the Space.
    """
    from airflow_provider_hfspaces.hub.http.sequence import aexecute
    from airflow_provider_hfspaces.hub.lease.actions import SpaceLease, check_free
    from airflow_provider_hfspaces.hub.lease.record import Standing

    store = lease_store(hook, repo_id)
    if holder_id is not None:
        return SpaceLease(store, holder_id).confirm
    standings: dict[str, Standing] = {}
    record = await aexecute(check_free(store, lambda holder: Standing.OVER, _now()), send)
    for holder in record.holders:
        standings[holder.holder_id] = await in_thread(Owners().judge, holder)
    return lambda: check_free(store, lambda holder: standings.get(holder.holder_id, Standing.UNKNOWN), _now())


def have_ended(owner: LeaseOwner, task_ids: Iterable[str]) -> bool:
    """Return whether these tasks of the owner's run have ended."""
    states = task_states(owner.dag_id, owner.run_id, task_ids, owner.map_index)
    return bool(states) and all(state in FINAL_STATES for state in states.values())


def _now() -> datetime:
    return datetime.now(timezone.utc)


def variable_name(holder_id: str) -> str:
    """Return the name of the Airflow Variable that says which task a holder is."""
    return f"hf_spaces_lease_{holder_id}"
