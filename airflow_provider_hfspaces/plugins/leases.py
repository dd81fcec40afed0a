"""Which runs have leased the Spaces of a fleet, for the fleet page, and the release of a lease.

Come here to change whose leases the page reads, and how often.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

from airflow_provider_hfspaces.compat.config import lease_repository
from airflow_provider_hfspaces.hub.bulk.queue import PARALLEL_LOOKS
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.cost.prices import PriceList
from airflow_provider_hfspaces.hub.cost.runs import RunCost
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.lease.record import LeaseHolder
from airflow_provider_hfspaces.hub.lease.store import LeaseStore
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE
from airflow_provider_hfspaces.hub.stages import DORMANT_STAGES
from airflow_provider_hfspaces.plugins.page_hook import PageHook
from airflow_provider_hfspaces.state.fleet_leases import FleetLeases, LeaseView
from airflow_provider_hfspaces.state.lease_costs import cost_so_far
from airflow_provider_hfspaces.state.leases import Owners
from airflow_provider_hfspaces.state.release import release_lease

__all__ = ["LeaseReader", "leases_for_user", "leases_of_fleet", "release"]

_log = logging.getLogger(__name__)

_KEEP_SECONDS = 60.0
"""Time for which the page keeps the lease of a Space before it reads the lease again."""

_MAX_LEASES_READ = 40
"""Leases that one reading reads at most. The next reading reads the others."""

_Repository = tuple[str, "str | None"]
"""The address of the Hub, and the repository that keeps all leases."""

_Key = tuple[str, "str | None", str]
"""The address of the Hub, the repository that keeps all leases, and the Space."""


class LeaseReader:
    """Reads the leases of Spaces on paid hardware. Safe for threads; two threads may read a lease twice.

    Endpoints: ``GET /api/spaces/{repo_id}/revision/airflow-lease`` for 40 Spaces a reading at most, once a
    minute for each; with ``lease_repo`` one ``GET …/refs`` instead. The record itself only when it is new.

    :param clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stores: dict[_Repository, dict[str, LeaseStore]] = {}
        self._holders: dict[_Key, tuple[float, LeaseHolder | None]] = {}

    def read(self, connection: Any, fleet: Mapping[str, Any]) -> dict[str, LeaseHolder]:
        """Return the holders of the leases of a fleet, by the id of the Space.

        A lease that cannot be read is left out, so that the page still shows the others.

        :param fleet: what ``FleetReader.read`` has returned for this connection.
        """
        hook = PageHook.from_connection(connection)
        where = (hook.settings.endpoint, hook.settings.lease_repo or lease_repository())
        keys = {row["repo_id"]: (*where, row["repo_id"]) for row in fleet.get("spaces", ()) if _is_paid(row)}
        now = self._clock()
        self._forget_old(now)
        due = [repo_id for repo_id, key in keys.items() if self._age(key, now) >= _KEEP_SECONDS]
        due.sort(key=lambda repo_id: -self._age(keys[repo_id], now))
        if due:
            with hook.client as client:
                leases = FleetLeases(hook, stores=self._stores.setdefault(where, {}))
                self._read_due(leases, client, {repo_id: keys[repo_id] for repo_id in due})
        holders = {repo_id: self._holders.get(key, (0.0, None))[1] for repo_id, key in keys.items()}
        return {repo_id: holder for repo_id, holder in holders.items() if holder is not None}

    def forget(self, repo_id: str) -> None:
        """Read the lease of a Space again at the next reading."""
        for key in [key for key in self._holders if key[2] == repo_id]:
            self._holders.pop(key, None)

    def _read_due(self, leases: FleetLeases, client: HubClient, due: Mapping[str, _Key]) -> None:
        leases.list(next(iter(due)))
        if leases.is_shared and not leases.is_listed:
            return
        leased = [repo_id for repo_id in due if not leases.was_never_leased(repo_id)]
        for repo_id in due.keys() - set(leased):
            self._holders[due[repo_id]] = (self._clock(), None)

        def look(repo_id: str) -> None:
            try:
                holder = leases.read(client, repo_id).current
            except (HubError, InvalidInput):
                holder = None
            self._holders[due[repo_id]] = (self._clock(), holder)

        # Not FleetLeases.read_all: a user waits for the page, which does not wait for the rate limit.
        with ThreadPoolExecutor(PARALLEL_LOOKS, thread_name_prefix="hf-spaces-leases") as pool:
            list(pool.map(look, leased[:_MAX_LEASES_READ]))

    def _age(self, key: _Key, now: float) -> float:
        return now - self._holders[key][0] if key in self._holders else float("inf")

    def _forget_old(self, now: float) -> None:
        """Forget the leases of Spaces that the page has not shown for an hour."""
        for key in [key for key, (read_at, _) in self._holders.items() if now - read_at > 60 * _KEEP_SECONDS]:
            self._holders.pop(key, None)
            self._stores.get(key[:2], {}).pop(key[2], None)


def leases_of_fleet(
    holders: Mapping[str, LeaseHolder], fleet: Mapping[str, Any], prices: PriceList
) -> list[dict[str, Any]]:
    """Return the leases as the page shows them to users who may read every DAG.

    :param holders: who has leased which Space.
    :param fleet: what ``FleetReader.read`` has returned.
    :param prices: the Hub's price list; empty if it is not known.
    :returns: for each Space ``{"repo_id", "since", "until", "hardware", "cost", "billed_seconds", "state",
        "releasable", "dag_id", "run_id", "task_id", "map_index"}``: times in ISO format, the estimated cost
        so far in USD (``None`` if no price is known), and the holder's state as :class:`LeaseState` names
        it. The last four are ``None`` if this Airflow does not know the holder.
    """
    owners, now = Owners(), datetime.now(timezone.utc)
    rows = {row["repo_id"]: row for row in fleet.get("spaces", ())}
    leases = []
    for repo_id, holder in holders.items():
        lease = LeaseView.from_holder(repo_id, holder, owners)
        cost = _cost(holder, rows.get(repo_id, {}), prices, now)
        leases.append(
            {
                "repo_id": repo_id,
                "since": holder.since.isoformat(),
                "until": holder.until.isoformat(),
                "hardware": lease.hardware,
                "cost": cost.usd,
                "billed_seconds": cost.billed_seconds,
                "state": lease.state.value,
                "releasable": lease.state.is_left_behind,
                **lease.run,
            }
        )
    return leases


def leases_for_user(leases: Iterable[Mapping[str, Any]], readable_dags: set[str]) -> list[dict[str, Any]]:
    """Return the leases without the names of runs whose DAGs the user may not read.

    :param leases: what :func:`leases_of_fleet` has returned.
    :param readable_dags: ids of the DAGs that the user may read.
    """
    unnamed = dict.fromkeys(("dag_id", "run_id", "task_id", "map_index"))
    return [dict(each) if each["dag_id"] in readable_dags else {**each, **unnamed} for each in leases]


def release(connection: Any, repo_id: str) -> dict[str, Any]:
    """Restore a Space whose run no longer restores it, and end its lease.

    :param repo_id: the Space, as ``owner/name``.
    :returns: ``{"repo_id", "hardware"}``: what the Space is set to now.
    :raises NotLeased: if the Space is not leased.
    :raises SpaceLeased: if the run of the holder is alive.
    :raises LeaseLost: if another run has taken the lease over in the meantime.
    :raises HubError: if the Hub rejects a request.
    """
    released = release_lease(PageHook.from_connection(connection), repo_id, log=_log)
    return {"repo_id": repo_id, "hardware": released.hardware}


def _cost(holder: LeaseHolder, row: Mapping[str, Any], prices: PriceList, now: datetime) -> RunCost:
    """Return the most that a lease can have cost so far."""
    hardware = row.get("hardware") if row.get("billed") else None
    has_stopped = row.get("stage") in DORMANT_STAGES
    return cost_so_far(holder, hardware, row.get("replicas") or 1, prices, now, has_stopped=has_stopped)


def _is_paid(row: Mapping[str, Any]) -> bool:
    hardware = {row.get("hardware"), row.get("requested")} - {None}
    return not row.get("static") and bool(hardware - FREE_HARDWARE)
