"""Leases: which run of which DAG has a Space to itself, and what was there before it came.

A lease is a record in an Airflow Variable, ``hf_spaces_lease:owner:name``. All that this needs of
Airflow is that a Variable can be read and written, which tasks can in every version. Two runs that
want a free Space at the same moment are told apart by time (Fischer's algorithm): each writes its
name, waits for a few seconds, and has the lease if its name is still there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.config import lease_settle
from airflow_provider_hfspaces.compat.server import delete_variable, get_variable, is_run_over, set_variable

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

__all__ = ["LeaseHolder", "SpaceLease", "previous_of", "variable_name"]

log = logging.getLogger(__name__)

_DESCRIPTION = "Kept by airflow-provider-hfspaces: which run has this Space to itself, and what was there."


@dataclass(frozen=True)
class LeaseHolder:
    """A task that holds a lease, for its run.

    :ivar previous: what was there before, as ``SpaceSnapshot.to_dict()`` has it; ``None`` until
        the holder has looked.
    :ivar asked: the hardware that has been asked for since, by it or by those it took the lease over from.
    :ivar abandoned: whether the holder could not put the Space back.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    previous: dict[str, Any] | None = None
    asked: list[str] = field(default_factory=list)
    abandoned: bool = False

    @classmethod
    def of(cls, ti: Any, task_id: str | None = None) -> LeaseHolder:
        """The task instance that runs, or another task of its run with the same map index."""
        map_index = ti.map_index if ti.map_index is not None else -1
        return cls(ti.dag_id, ti.run_id, task_id or ti.task_id, map_index)

    def is_same(self, other: LeaseHolder) -> bool:
        """Whether both are the same task of the same run."""
        return self._key == other._key

    def surrounds(self, other: LeaseHolder) -> bool:
        """Whether the other is in a task group inside this one's, in the same run."""
        group, inner = self.task_id.rpartition(".")[0], other.task_id.rpartition(".")[0]
        same_run = (self.dag_id, self.run_id) == (other.dag_id, other.run_id)
        return same_run and self.map_index in (-1, other.map_index) and inner.startswith(f"{group}.")

    def __str__(self) -> str:
        mapped = f" [{self.map_index}]" if self.map_index >= 0 else ""
        return f"task {self.task_id}{mapped} of run {self.run_id} of DAG {self.dag_id}"

    @property
    def _key(self) -> tuple[Any, ...]:
        return self.dag_id, self.run_id, self.task_id, self.map_index


class SpaceLease:
    """The lease of one Space, as one task sees it.

    :param repo_id: the Space, as ``owner/name``.
    :param me: who asks.
    """

    def __init__(self, repo_id: str, me: LeaseHolder) -> None:
        self.repo_id = repo_id
        self.me = me
        self._name = variable_name(repo_id)

    def take(self) -> LeaseHolder | None:
        """Try once to take the lease.

        A lease is free when nobody has it, when the run that has it is over, and when its holder
        could not put the Space back. What was there before such a holder came is taken over with
        the lease: see :meth:`previous`.

        :returns: ``None`` if the lease is ours, or else who has it.
        """
        began = time.monotonic()
        holders = self._read()
        kept = _before(self.me, holders)
        if len(kept) < len(holders):
            mine = replace(holders[len(kept)], abandoned=False)
            return self._write_and_settle([*kept, mine], began)
        left: list[LeaseHolder] = []
        while holders and holders[-1].abandoned:
            left.insert(0, holders.pop())
        if holders and not holders[-1].surrounds(self.me):
            if not self._is_over(holders[0]):
                return holders[-1]
            left, holders = [*holders, *left], []
        mine = self._take_over(left) if left else self.me
        return self._write_and_settle([*holders, mine], began)

    def reclaim(self) -> LeaseHolder | None:
        """Have the lease again after :meth:`abandon`, so that nobody takes it in the middle of another try.

        :returns: ``None`` if nobody else has it, or else who has.
        """
        mine = self._find()
        if mine is None:
            return self.holder()
        return self.take() if mine.abandoned else None

    def is_held(self) -> bool:
        """Whether the lease is ours."""
        return self._find() is not None

    def holder(self) -> LeaseHolder | None:
        """Who has the lease, if anybody."""
        holders = self._read()
        return holders[-1] if holders else None

    def previous(self, runtime: SpaceRuntime) -> SpaceSnapshot | None:
        """What was there before the first who holds this lease, or held it and did not put it back.

        :param runtime: what is there now: hardware that no holder has asked for is not theirs to
            put back.
        """
        mine = self._find()
        if mine is None or runtime.configured_hardware not in mine.asked:
            return None
        return _snapshot(mine.previous)

    def recorded(self) -> SpaceSnapshot | None:
        """What :meth:`record` has written down."""
        mine = self._find()
        return _snapshot(mine.previous) if mine else None

    def record(self, previous: SpaceSnapshot) -> None:
        """Write down what was there before, for whoever has to put it back."""
        self._change(previous=previous.to_dict(), asked=[])

    def record_request(self, hardware: str) -> None:
        """Write down which hardware is going to be asked for."""
        mine = self._find()
        # Whoever dies between this and the request has left the Space on what was asked for before.
        if mine is not None and hardware not in mine.asked:
            self._change(asked=[*mine.asked, hardware])

    def abandon(self) -> None:
        """Leave what could not be put back to the next holder; nothing is left where nothing was recorded."""
        mine = self._find()
        if mine is not None and mine.previous is None:
            self.give_back()
        else:
            self._change(abandoned=True)

    def give_back(self) -> None:
        """End the lease, if it is ours."""
        holders = self._read()
        kept = _before(self.me, holders)
        if len(kept) == len(holders):
            return
        if kept:
            self._write(kept)
        else:
            delete_variable(self._name)

    def _find(self) -> LeaseHolder | None:
        return next((holder for holder in self._read() if holder.is_same(self.me)), None)

    def _change(self, **changes: Any) -> None:
        holders = self._read()
        changed = [replace(each, **changes) if each.is_same(self.me) else each for each in holders]
        if changed != holders:
            self._write(changed)

    def _take_over(self, left: list[LeaseHolder]) -> LeaseHolder:
        for each in left:
            log.warning("The lease of Space %s is left over from %s.", self.repo_id, each)
        asked = dict.fromkeys(hardware for each in left for hardware in each.asked)
        return replace(self.me, previous=left[0].previous, asked=list(asked))

    def _is_over(self, holder: LeaseHolder) -> bool:
        if (holder.dag_id, holder.run_id) == (self.me.dag_id, self.me.run_id):
            return False
        try:
            return is_run_over(holder.dag_id, holder.run_id)
        except Exception as error:
            log.warning("Airflow does not say whether run %s is over: %s", holder.run_id, error)
            return False

    def _write_and_settle(self, holders: list[LeaseHolder], began: float) -> LeaseHolder | None:
        settle = lease_settle()
        self._write(holders)
        if time.monotonic() - began > settle / 2:
            self.abandon()
            raise TimeoutError(
                f"Airflow took more than {settle / 2:.1f} seconds to answer about the lease of Space "
                f"{self.repo_id}, in which another run may have taken it. Try again, or raise [hf_spaces] "
                f"lease_settle."
            )
        time.sleep(settle)
        found = self._read()
        return None if found == holders else (found[-1] if found else self.me)

    def _read(self) -> list[LeaseHolder]:
        return _holders(get_variable(self._name), self.repo_id)

    def _write(self, holders: list[LeaseHolder]) -> None:
        set_variable(self._name, {"holders": [asdict(holder) for holder in holders]}, _DESCRIPTION)


def previous_of(repo_id: str) -> SpaceSnapshot | None:
    """What was on a Space before the lease that somebody holds of it, if anybody does."""
    holders = _holders(get_variable(variable_name(repo_id)), repo_id)
    return _snapshot(holders[0].previous) if holders else None


def _before(me: LeaseHolder, holders: list[LeaseHolder]) -> list[LeaseHolder]:
    """Those that had the lease before me; all of them if I have not got it."""
    return list(takewhile(lambda holder: not holder.is_same(me), holders))


def variable_name(repo_id: str) -> str:
    """The Airflow Variable that holds the lease of a Space."""
    # Airflow 3.0 finds no Variable with a slash in its name.
    return f"hf_spaces_lease:{repo_id.casefold().replace('/', ':')}"


def _holders(record: Any, repo_id: str) -> list[LeaseHolder]:
    if record is None:
        return []
    try:
        return [LeaseHolder(**holder) for holder in record["holders"]]
    except (TypeError, KeyError):
        log.error("The Airflow Variable %s holds no lease and is ignored.", variable_name(repo_id))
        return []


def _snapshot(previous: Mapping[str, Any] | None) -> SpaceSnapshot | None:
    from airflow_provider_hfspaces.hub.checks import InvalidInput
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

    try:
        return SpaceSnapshot.from_dict(previous) if previous else None
    except InvalidInput:
        return None
