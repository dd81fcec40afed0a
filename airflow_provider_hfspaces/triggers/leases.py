"""LeaseTrigger waits for the lease of a Space in the triggerer, without a worker."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.server import in_thread
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.http.sequence import aexecute
from airflow_provider_hfspaces.hub.lease.record import LeaseHolder, grant
from airflow_provider_hfspaces.state.lease_waits import LeaseWaitLog
from airflow_provider_hfspaces.state.leases import LeaseOwner, Owners, describe_holder, lease_store
from airflow_provider_hfspaces.triggers.base import StoredTrigger

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import TriggerEvent

__all__ = ["LeaseTrigger"]


@dataclass(kw_only=True, eq=False, repr=False)
class LeaseTrigger(StoredTrigger):
    """Wait until the lease of a Space is free for a task, or the deadline is reached.

    :class:`~airflow_provider_hfspaces.operators.hardware.SnapshotSpaceOperator` defers to this trigger. It
    looks at the lease with one request per ``poll_interval`` and fires one event, ``{"status": "free" |
    "timeout" | "failed", "repo_id": …, "deadline": …, "started": …}``. The task then takes the lease; if
    another run is faster, it defers again with the same deadline.

    :param repo_id: the Space, as ``owner/name``.
    :param owner: the task that waits, from :meth:`LeaseOwner.to_dict`.
    :param deadline: when the wait ends, in seconds since 1970.
    :param started: when the wait began, in seconds since 1970.
    :param poll_interval: seconds between two looks at the lease, by default 30.
    :param delay: seconds before the first look, as the Hub requested; by default 0.
    :param hf_spaces_conn_id: the connection to the Hub.
    """

    owner: Mapping[str, Any]
    deadline: float
    started: float
    poll_interval: float = 30.0
    delay: float = 0.0
    hf_spaces_conn_id: str = "hf_spaces_default"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.owner = dict(self.owner)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire the one event."""
        try:
            status = await self._wait()
        except (HubError, InvalidInput) as error:
            # The task meets the same error when it resumes, and fails with it.
            self.log.error("%s", error)
            status = "failed"
        yield self.event(status, deadline=self.deadline, started=self.started)

    async def _wait(self) -> str:
        hook = HfSpacesHook(self.hf_spaces_conn_id)
        owners = Owners(LeaseOwner.from_dict(self.owner))
        wait_log = LeaseWaitLog(self.repo_id, self.started, self.deadline, self.log)
        await asyncio.sleep(min(self.delay, max(0.0, self.deadline - time.time())))
        async with await hook.async_client() as client:
            store = lease_store(hook, self.repo_id)
            while True:
                try:
                    record, _ = await aexecute(store.read(), client.send)
                except HubError as error:
                    if error.permanent:
                        raise
                    self.log.warning("%s", error)
                else:
                    decision = await in_thread(grant, record, owners.judge, datetime.now(timezone.utc))
                    if not isinstance(decision, LeaseHolder):
                        return "free"
                    if wait_log.is_due(decision):
                        wait_log.write(decision, await in_thread(describe_holder, decision, owners))
                remaining = self.deadline - time.time()
                if remaining <= 0:
                    return "timeout"
                # Runs that began to wait together look at different moments: a free lease is seen soon, and
                # by few of them at once.
                await asyncio.sleep(min(self.poll_interval * random.uniform(0.5, 1.5), remaining))
