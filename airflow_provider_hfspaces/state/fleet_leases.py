"""The leases of many Spaces: how they are read together, and what users see of each.

Come here to change what operators, the fleet page and the command line read and show of leases.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_hfspaces.compat.config import lease_repository
from airflow_provider_hfspaces.hub import branches
from airflow_provider_hfspaces.hub.bulk.queue import PARALLEL_LOOKS, Quota, Result, in_parallel, queue_client
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.http.sequence import execute
from airflow_provider_hfspaces.hub.lease.actions import SpaceLeased, check_free
from airflow_provider_hfspaces.hub.lease.record import LeaseRecord
from airflow_provider_hfspaces.hub.lease.store import LeaseStore, ListedLease, lease_branch
from airflow_provider_hfspaces.state.lease_states import LeaseState, state_of
from airflow_provider_hfspaces.state.leases import LeaseOwner, Owners, describe_holder

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.http.client import HubClient
    from airflow_provider_hfspaces.hub.lease.record import LeaseHolder

__all__ = ["FleetLeases", "LeaseView", "reason_of"]

log = logging.getLogger(__name__)

_LISTED_SECONDS = 5.0
"""Seconds after which leases are listed again before a Space is changed."""


class _Space(Protocol):
    repo_id: str


T = TypeVar("T")
S = TypeVar("S", bound=_Space)


class FleetLeases:
    """The leases of many Spaces.

    If one repository keeps all leases (``lease_repo``), :meth:`list` finds out with one request which Spaces
    were ever leased, and only their records are read. The Hub has no such list for leases in the Spaces' own
    repositories: one request for each Space.

    :param clock: seconds that only grow.
    :param stores: the stores of earlier objects of this class, by the id of the Space. A record that they
        have read is not read again as long as it is the newest.
    """

    def __init__(
        self,
        hook: HfSpacesHook,
        clock: Callable[[], float] = time.monotonic,
        stores: dict[str, LeaseStore] | None = None,
    ) -> None:
        self._hook = hook
        self.repository = hook.settings.lease_repo or lease_repository()
        self._stores = {} if stores is None else stores
        self._heads: dict[str, str] | None = None
        self._clock = clock
        self._listed_at = 0.0
        self._listing = threading.Lock()

    @property
    def is_shared(self) -> bool:
        """Whether one repository keeps all leases."""
        return bool(self.repository)

    @property
    def is_listed(self) -> bool:
        """Whether :meth:`list` has found out which Spaces were ever leased."""
        return self._heads is not None

    def list(self, repo_id: str) -> None:
        """List the leases in the shared repository, if there is one, as they are now.

        :param repo_id: any of the Spaces.
        """
        self._heads = None
        self._listed_at = self._clock()
        if not self.is_shared:
            return
        try:
            self._heads = self._hook.client.send(
                branches.list_branches(lease_branch(repo_id, self.repository))
            )
        except HubError as error:
            log.warning("The leases in %s could not be listed. %s", self.repository, error)

    def was_never_leased(self, repo_id: str) -> bool:
        """Return whether the list says that a Space has no lease and never had one."""
        return self._heads is not None and self._store(repo_id).branch.name not in self._heads

    def store(self, repo_id: str) -> LeaseStore:
        """Return where the lease of a Space is read."""
        store = self._store(repo_id)
        return store if self._heads is None else ListedLease(store, self._heads.get(store.branch.name))

    def read(self, sender: HubClient, repo_id: str) -> LeaseRecord:
        """Return the lease record of a Space.

        :raises InvalidLease: if the record is not valid.
        :raises HubError: if the Hub rejects a request or does not answer.
        """
        record, _ = execute(self.store(repo_id).read(), sender.send)
        return record

    def read_all(
        self, repo_ids: Sequence[str], stop: threading.Event, parallel: int = PARALLEL_LOOKS
    ) -> dict[str, LeaseRecord | Exception]:
        """Return the lease record of each Space, or the error of reading it.

        :param stop: an event that stops the reading.
        """
        if repo_ids:
            self.list(repo_ids[0])
        results = self._for_each(repo_ids, self.read, stop, parallel)
        return {each.item: each.value or each.error or LeaseRecord(each.item) for each in results}

    def check(self, sender: HubClient, repo_id: str) -> None:
        """Check that no run has leased a Space.

        :raises SpaceLeased: if a run of this or another Airflow has.
        """
        with self._listing:
            # A run may have leased a Space while its request waited for the rate limit.
            if self._heads is not None and self._clock() - self._listed_at > _LISTED_SECONDS:
                self.list(repo_id)
        execute(check_free(self.store(repo_id), Owners().judge, self._hook.clock()), sender.send)

    def check_all(
        self, targets: Sequence[S], stop: threading.Event, parallel: int
    ) -> Iterator[Result[S, None]]:
        """Check many Spaces, several at a time within the rate limit, and yield those with an error.

        :param stop: an event that stops the checks.
        """
        if targets:
            self.list(targets[0].repo_id)

        def check(sender: HubClient, target: S) -> None:
            self.check(sender, target.repo_id)

        for result in self._for_each(targets, check, stop, parallel):
            if result.error is not None:
                yield result

    def _store(self, repo_id: str) -> LeaseStore:
        known = self._stores.get(repo_id)
        return known or self._stores.setdefault(
            repo_id, LeaseStore(repo_id, lease_branch(repo_id, self.repository))
        )

    def _for_each(
        self, items: Sequence[T], act: Callable[[HubClient, T], Any], stop: threading.Event, parallel: int
    ) -> Iterator[Result[T, Any]]:
        sender = queue_client(self._hook.client, stop, parallel)
        try:
            yield from in_parallel(
                items,
                lambda item: act(sender, item),
                quota=Quota(self._hook.client.budget),
                parallel=parallel,
                stop=stop,
            )
        finally:
            sender.close()


@dataclass(frozen=True)
class LeaseView:
    """What users see of one holder of a lease.

    :ivar state: whether the holder will still restore the Space.
    :ivar owner: the task that holds the lease; ``None`` if this Airflow does not know the holder.
    """

    repo_id: str
    holder: LeaseHolder
    state: LeaseState
    owner: LeaseOwner | None

    @classmethod
    def from_holder(cls, repo_id: str, holder: LeaseHolder, owners: Owners) -> LeaseView:
        """Return what this Airflow knows of a holder."""
        return cls(repo_id, holder, state_of(holder, owners), owners.owner(holder))

    @property
    def hardware(self) -> str | None:
        """The flavor that was last requested under the lease."""
        return self.holder.requested[-1] if self.holder.requested else None

    @property
    def restores_to(self) -> str | None:
        """The recorded flavor that the Space returns to."""
        hardware: str | None = (self.holder.previous or {}).get("hardware")
        return hardware

    @property
    def run(self) -> dict[str, Any]:
        """The task that holds the lease, as the last columns of a row; all ``None`` if it is not known."""
        names = ("dag_id", "run_id", "task_id", "map_index")
        return {name: getattr(self.owner, name, None) for name in names}


def reason_of(error: Exception) -> str | None:
    """The reason to leave a Space alone if the error says that it is leased; ``None`` for other errors."""
    return f"leased by {describe_holder(error.holder, Owners())}" if isinstance(error, SpaceLeased) else None
