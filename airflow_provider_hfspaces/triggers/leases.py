"""The trigger that waits for the lease of a Space, without a worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timezone
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_hfspaces.compat.server import in_thread
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.http.sequence import aexecute
from airflow_provider_hfspaces.hub.lease.record import LeaseHolder, grant
from airflow_provider_hfspaces.state.leases import LeaseOwner, Owners, describe_holder, lease_store

__all__ = ["LeaseTrigger"]

REPEAT_SECONDS = 600.0
"""How often a wait says again who has the lease."""


class LeaseTrigger(BaseTrigger):
    """Wait until the lease of a Space is free for a task, or the time to wait is over.

    Looks at the lease with one request per ``poll_interval``. Fires one event, which the task answers by
    taking the lease; if another run is faster, the task defers again with the same deadline.

    :param repo_id: the Space, as ``owner/name``.
    :param owner: the task that waits, from :meth:`LeaseOwner.to_dict`.
    :param deadline: Unix time at which the wait ends.
    :param started: Unix time at which the wait began.
    :param poll_interval: seconds between two looks at the lease.
    :param delay: seconds before the first look, if the Hub asks for them.
    :param hf_spaces_conn_id: the connection to the Hub.
    """

    def __init__(
        self,
        *,
        repo_id: str,
        owner: Mapping[str, Any],
        deadline: float,
        started: float,
        poll_interval: float = 30.0,
        delay: float = 0.0,
        hf_spaces_conn_id: str = "hf_spaces_default",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.repo_id = repo_id
        self.owner = dict(owner)
        self.deadline = deadline
        self.started = started
        self.poll_interval = poll_interval
        self.delay = delay
        self.hf_spaces_conn_id = hf_spaces_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """As Airflow stores the trigger."""
        fields = ("repo_id", "owner", "deadline", "started", "poll_interval", "delay", "hf_spaces_conn_id")
        return (
            "airflow_provider_hfspaces.triggers.leases.LeaseTrigger",
            {name: getattr(self, name) for name in fields},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire one event with all that the task needs to go on."""
        try:
            status = await self._wait()
        except (HubError, InvalidInput) as error:
            # The task meets the error itself, and fails with it.
            self.log.error("%s", error)
            status = "failed"
        yield TriggerEvent(  # type: ignore[no-untyped-call]
            {
                "status": status,
                "repo_id": self.repo_id,
                "deadline": self.deadline,
                "started": self.started,
            }
        )

    async def _wait(self) -> str:
        hook = HfSpacesHook(self.hf_spaces_conn_id)
        owners = Owners(LeaseOwner.from_dict(self.owner))
        reported: tuple[str, float] | None = None
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
                    if reported is None or self._is_due(decision, *reported):
                        description = await in_thread(describe_holder, decision, owners)
                        waited = time.time() - self.started
                        self.log.info(
                            "Space %s is leased by %s. Waiting for %.0f seconds so far, and for %.0f more "
                            "at most.",
                            self.repo_id,
                            description,
                            waited,
                            self.deadline - time.time(),
                        )
                        reported = decision.holder_id, time.monotonic()
                left = self.deadline - time.time()
                if left <= 0:
                    return "timeout"
                await asyncio.sleep(min(self.poll_interval, left))

    @staticmethod
    def _is_due(holder: LeaseHolder, reported_id: str, reported_at: float) -> bool:
        return holder.holder_id != reported_id or time.monotonic() - reported_at >= REPEAT_SECONDS
