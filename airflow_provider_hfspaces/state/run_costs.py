"""What the runs of this Airflow cost, by day and DAG, kept in Airflow Variables.

A task cannot list Variables, and Airflow cannot change one atomically. Each month therefore has a fixed
number of Variables, ``hf_spaces_run_costs-2026-11-0`` to ``-7``; a task writes to the one that its name
selects, and checks afterwards whether another task has overwritten its entry. The Variables of a month are
deleted 13 months later.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timezone
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.server import delete_variable, get_variable, set_variable
from airflow_provider_hfspaces.metrics import run_ended

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.cost.runs import RunCost
    from airflow_provider_hfspaces.state.leases import LeaseOwner

__all__ = ["DailyCost", "record_run_cost", "report_cost", "run_costs", "window_of_run"]

log = logging.getLogger(__name__)

_KIND = "hf_spaces_run_costs"
_DESCRIPTION = "What the runs of this Airflow cost on Hugging Face Spaces, by day and DAG (estimates)."
_SHARDS = 8
_MONTHS_KEPT = 13
_MAX_WINDOWS_REMEMBERED = 200
_MAX_TRIES = 6
_MAX_DELAY_SECONDS = 0.4


@dataclass(frozen=True)
class DailyCost:
    """What the runs of a DAG cost on one day, on one owner's Spaces and one flavor.

    :ivar day: the day in UTC on which the runs restored the Space, as ISO 8601.
    :ivar owner: the owner of the Spaces.
    :ivar runs: number of hardware windows, copies and batches that ended on that day.
    :ivar minutes: billed minutes of all replicas together.
    :ivar usd: USD, as an estimate from list prices; minutes at an unknown price are left out.
    :ivar unpriced_minutes: the billed minutes at an unknown price.
    """

    day: str
    owner: str
    dag_id: str
    hardware: str
    runs: int
    minutes: int
    usd: float
    unpriced_minutes: int = 0

    @classmethod
    def from_dict(cls, payload: Any) -> DailyCost | None:
        """Read :meth:`to_dict`; ``None`` for anything else."""
        try:
            cost = cls(**payload)
            date.fromisoformat(cost.day)
            numbers = (cost.runs, cost.minutes, cost.usd, cost.unpriced_minutes)
            texts = (cost.day, cost.owner, cost.dag_id, cost.hardware)
            is_valid = all(0 <= number < 1e12 for number in numbers) and all(
                isinstance(text, str) for text in texts
            )
        except (TypeError, ValueError):
            return None
        return cost if is_valid else None

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as plain JSON."""
        return asdict(self)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The fields that two entries must share for their amounts to be added up."""
        return self.day, self.owner.casefold(), self.dag_id, self.hardware

    def plus(self, other: DailyCost) -> DailyCost:
        """Return the sum of two entries with one :attr:`key`."""
        return DailyCost(
            self.day,
            self.owner,
            self.dag_id,
            self.hardware,
            self.runs + other.runs,
            self.minutes + other.minutes,
            round(self.usd + other.usd, 6),
            self.unpriced_minutes + other.unpriced_minutes,
        )


def report_cost(
    repo_id: str,
    cost: RunCost,
    run: LeaseOwner | None,
    log: Any,
    *,
    began: datetime | str,
    is_counted: bool = True,
    in_crowd: bool = False,
) -> None:
    """Log what a run cost on a Space, and count it in the metrics and on the cost page.

    :param repo_id: the Space, as ``owner/name``.
    :param run: the task of the run; ``None`` if this Airflow does not know the run, so that the cost page
        leaves its cost out.
    :param began: when the window of the run began, see :func:`window_of_run`.
    :param is_counted: whether the metrics and the cost page count the cost; not if another task counts it.
    :param in_crowd: see :func:`record_run_cost`.
    """

    log.info("Space %s: %s.", repo_id, cost.in_words())
    if not is_counted:
        return
    run_ended(cost)
    if run is not None:
        window = window_of_run(began, run.run_id, repo_id, run.map_index)
        record_run_cost(repo_id, cost, window, dag_id=run.dag_id, in_crowd=in_crowd)


def window_of_run(began: datetime | str, run_id: str, repo_id: str, map_index: int) -> tuple[str, ...]:
    """Return what identifies a window for :func:`record_run_cost`, in every process that may record it.

    :param began: when the window began; a task id where that is not known.
    """
    moment = began if isinstance(began, str) else began.isoformat()
    return moment, run_id, repo_id, str(map_index)


def record_run_cost(
    repo_id: str,
    cost: RunCost,
    window: tuple[str, ...],
    *,
    dag_id: str,
    at: datetime | None = None,
    in_crowd: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Add the cost of a run to its day and DAG. A window counts once, however often it is recorded.

    :param repo_id: the Space, as ``owner/name``.
    :param window: what identifies the window, from :func:`window_of_run`.
    :param in_crowd: whether other tasks probably record their costs at the same moment, as mapped tasks do.
    :param at: when the window ended, in UTC; by default now.
    :returns: whether the cost is recorded. A failure is logged and not raised: it must not fail a restore.
    """
    if not cost.times:
        return True
    moment = (at or datetime.now(timezone.utc)).astimezone(timezone.utc)
    identity = sha256("\0".join((dag_id, *window)).encode()).hexdigest()[:16]
    entries = list(_entries(repo_id.partition("/")[0], dag_id, cost, f"{moment:%Y-%m-%d}"))
    shard = int(sha256("\0".join((dag_id, *window[1:])).encode()).hexdigest(), 16) % _SHARDS
    try:
        if _add(_name(moment.year, moment.month, shard), entries, identity, sleep if in_crowd else _no_wait):
            return True
        log.warning("Space %s: the cost of this run was not recorded: too many tasks write at once.", repo_id)
    except Exception as error:
        log.warning("Space %s: the cost of this run was not recorded: %s", repo_id, error)
    return False


def run_costs(owner: str | None = None, *, since: date, until: date | None = None) -> tuple[DailyCost, ...]:
    """Return what the runs of this Airflow cost, by day, DAG and flavor, the oldest first.

    Reads eight Variables for each month. Use it in tasks, and not in the triggerer.

    :param owner: only the Spaces of this owner; by default all.
    :param since: the first day, in UTC.
    :param until: the last day, in UTC; by default today.
    :raises Exception: Airflow's own, if Airflow does not answer.
    """

    last = until or datetime.now(timezone.utc).date()
    sums: dict[tuple[str, ...], DailyCost] = {}
    for year, month in _months(since, last):
        for shard in range(_SHARDS):
            for each in _read(get_variable(_name(year, month, shard)))[0]:
                is_wanted = owner is None or each.owner.casefold() == owner.casefold()
                if is_wanted and since.isoformat() <= each.day <= last.isoformat():
                    sums[each.key] = sums[each.key].plus(each) if each.key in sums else each
    return tuple(sorted(sums.values(), key=lambda each: each.key))


def _entries(owner: str, dag_id: str, cost: RunCost, day: str) -> Iterator[DailyCost]:
    for number, (hardware, (minutes, usd)) in enumerate(cost.by_hardware().items()):
        yield DailyCost(
            day=day,
            owner=owner,
            dag_id=dag_id,
            hardware=hardware,
            runs=int(number == 0),
            minutes=minutes,
            usd=usd or 0.0,
            unpriced_minutes=minutes if usd is None else 0,
        )


def _add(name: str, entries: list[DailyCost], identity: str, sleep: Callable[[float], None]) -> bool:
    for attempt in range(_MAX_TRIES):
        stored = get_variable(name)
        known, written = _read(stored)
        if identity in written:
            return True
        if stored is None and attempt == 0:
            _delete_oldest(name)
        sums = {each.key: each for each in known}
        for each in entries:
            sums[each.key] = sums[each.key].plus(each) if each.key in sums else each
        value = {
            "costs": [each.to_dict() for each in sums.values()],
            "written": [*written, identity][-_MAX_WINDOWS_REMEMBERED:],
        }
        set_variable(name, value, _DESCRIPTION)
        # A task that read the Variable before this write may overwrite it with its own.
        sleep(random.uniform(0.25, 1.0) * _MAX_DELAY_SECONDS)
    return identity in _read(get_variable(name))[1]


def _no_wait(seconds: float) -> None:
    """Do not wait: no other task is expected to write."""


def _delete_oldest(name: str) -> None:
    """Delete the Variable that held the same part of the month 13 months ago."""

    year, month, shard = (int(part) for part in name.removeprefix(f"{_KIND}-").split("-"))
    months = year * 12 + month - 1 - _MONTHS_KEPT
    delete_variable(_name(months // 12, months % 12 + 1, shard))


def _read(stored: Any) -> tuple[list[DailyCost], list[str]]:
    if not isinstance(stored, Mapping):
        return [], []
    costs, written = stored.get("costs"), stored.get("written")
    entries = [DailyCost.from_dict(each) for each in costs] if isinstance(costs, list) else []
    return (
        [each for each in entries if each is not None],
        [each for each in written if isinstance(each, str)] if isinstance(written, list) else [],
    )


def _months(first: date, last: date) -> Iterator[tuple[int, int]]:
    for number in range(first.year * 12 + first.month - 1, last.year * 12 + last.month):
        yield number // 12, number % 12 + 1


def _name(year: int, month: int, shard: int) -> str:
    return f"{_KIND}-{year:04d}-{month:02d}-{shard}"
