"""Check whether a run has leased a Space before a fleet operator changes it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.bulk.queue import Result
    from airflow_provider_hfspaces.hub.http.client import HubClient
    from airflow_provider_hfspaces.hub.lease.store import LeaseStore
    from airflow_provider_hfspaces.operators.fleet.target import Target

__all__ = ["FleetLeases", "reason_of"]

log = logging.getLogger(__name__)

_LISTED_SECONDS = 5.0
"""Seconds after which leases are listed again before a Space is changed."""


class FleetLeases:
    """The leases of many Spaces.

    If one repository keeps all leases (``lease_repo``), :meth:`list` finds out with one request which Spaces
    were ever leased, and only their records are read. The Hub has no such list for leases in the Spaces' own
    repositories: one request for each Space.

    :param clock: seconds that only grow.
    """

    def __init__(self, hook: HfSpacesHook, clock: Callable[[], float] = time.monotonic) -> None:
        from airflow_provider_hfspaces.compat.config import lease_repository

        self._hook = hook
        self._repository = hook.settings.lease_repo or lease_repository()
        self._heads: dict[str, str] | None = None
        self._clock = clock
        self._listed_at = 0.0
        self._listing = threading.Lock()

    @property
    def is_shared(self) -> bool:
        """Whether one repository keeps all leases."""
        return bool(self._repository)

    def list(self, repo_id: str) -> None:
        """List the leases in the shared repository, if there is one, as they are now.

        :param repo_id: any of the Spaces.
        """
        from airflow_provider_hfspaces.hub import branches
        from airflow_provider_hfspaces.hub.errors import HubError
        from airflow_provider_hfspaces.hub.lease.store import lease_branch

        self._heads = None
        self._listed_at = self._clock()
        if not self.is_shared:
            return
        try:
            branch = lease_branch(repo_id, self._repository)
            self._heads = self._hook.client.send(branches.list_branches(branch))
        except HubError as error:
            log.warning("The leases could not be listed; each Space is asked about its own. %s", error)

    def store(self, repo_id: str) -> LeaseStore:
        """Where the lease of a Space is read."""
        from airflow_provider_hfspaces.hub.lease.store import ListedLease
        from airflow_provider_hfspaces.state.leases import lease_store

        store = lease_store(self._hook, repo_id)
        if self._heads is None:
            return store
        return ListedLease(repo_id, store.branch, self._heads.get(store.branch.name))

    def check(self, sender: HubClient, repo_id: str) -> None:
        """Check that no run has leased a Space.

        :raises SpaceLeased: if a run of this or another Airflow has.
        """
        from airflow_provider_hfspaces.hub.http.sequence import execute
        from airflow_provider_hfspaces.hub.lease.actions import check_free
        from airflow_provider_hfspaces.state.leases import Owners

        with self._listing:
            # A run may have leased a Space while its request waited for the rate limit.
            if self._heads is not None and self._clock() - self._listed_at > _LISTED_SECONDS:
                self.list(repo_id)
        steps = check_free(self.store(repo_id), Owners().judge, datetime.now(timezone.utc))
        execute(steps, sender.send)

    def check_all(
        self, targets: Sequence[Target], stop: threading.Event, parallel: int
    ) -> Iterator[Result[Target, None]]:
        """Check many Spaces, several at a time within the rate limit, and yield those with an error.

        :param stop: an event that stops the checks.
        """
        from airflow_provider_hfspaces.hub.bulk.queue import Quota, in_parallel, queue_client

        if targets:
            self.list(targets[0].repo_id)
        sender = queue_client(self._hook.client, stop, parallel)
        try:
            for result in in_parallel(
                targets,
                lambda target: self.check(sender, target.repo_id),
                quota=Quota(self._hook.client.budget),
                parallel=parallel,
                stop=stop,
            ):
                if result.error is not None:
                    yield result
        finally:
            sender.close()


def reason_of(error: Exception) -> str | None:
    """The reason to leave a Space alone if the error says that it is leased; ``None`` for other errors."""
    from airflow_provider_hfspaces.hub.lease.actions import SpaceLeased
    from airflow_provider_hfspaces.state.leases import Owners, describe_holder

    return f"leased by {describe_holder(error.holder, Owners())}" if isinstance(error, SpaceLeased) else None
