"""SpaceEventTrigger starts DAGs when something happens to a Space."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone

from airflow_provider_hfspaces.compat.imports import BaseEventTrigger, TriggerEvent
from airflow_provider_hfspaces.hub.checks import InvalidInput, checked_repo_id, checked_stages
from airflow_provider_hfspaces.hub.errors import HubError, SpaceWaitFailed
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.seconds import checked_interval
from airflow_provider_hfspaces.triggers.base import StoredTrigger
from airflow_provider_hfspaces.triggers.loading import open_waits

__all__ = ["SpaceEventTrigger"]

_FIRST_RETRY_SECONDS = 30.0
_MAX_RETRY_SECONDS = 300.0


@dataclass(kw_only=True, eq=False, repr=False)
class SpaceEventTrigger(StoredTrigger, BaseEventTrigger):
    """Fire when a Space enters a stage or changes hardware, for an ``AssetWatcher`` (Airflow 3).

    ::

        trigger = SpaceEventTrigger(repo_id="acme/whisper", stages=["RUNTIME_ERROR"])
        asset = space_asset("acme/whisper", watchers=[AssetWatcher(name="whisper", trigger=trigger)])

    The state in which the Space is first seen is not an event. The payload of an event is ``{"repo_id",
    "stage", "hardware", "requested_hardware", "error_message", "previous_stage", "previous_hardware",
    "at"}``. All event triggers and waits of a triggerer with one Hub and token share one
    :class:`~airflow_provider_hfspaces.hub.waiting.watch.SpaceWatch` and its requests.

    :param repo_id: the Space, as ``owner/name``.
    :param stages: fire when the Space enters one of these stages, such as ``["RUNTIME_ERROR"]``.
    :param hardware_changes: fire when the Space runs on other hardware than before.
    :param hf_spaces_conn_id: the connection to the Hub.
    :param poll_interval: seconds between two looks at the Space, at least; by default 30, because this
        trigger never ends. ``None`` for as few as the share of the Hub's quota allows.
    :raises InvalidInput: for a Space, a stage or a duration that is not valid, and without any event to
        fire at.
    """

    stages: str | Iterable[str] = ()
    hardware_changes: bool = False
    hf_spaces_conn_id: str = "hf_spaces_default"
    poll_interval: float | None = 30.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.repo_id = checked_repo_id(self.repo_id)
        self.stages = sorted(checked_stages(self.stages, least=0 if self.hardware_changes else 1))
        self.poll_interval = checked_interval(self.poll_interval, "poll_interval")

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire for ever. Errors of the Hub are logged, and the watch continues after a delay."""
        first_delay = self.poll_interval or _FIRST_RETRY_SECONDS
        last, delay = await self._load_last(), first_delay
        while True:
            try:
                async with open_waits(self.hf_spaces_conn_id) as (waits, hook):
                    repo_id = hook.repo_id(self.repo_id)
                    async for _, runtime in waits.watch.changes(repo_id, poll_interval=self.poll_interval):
                        delay = first_delay
                        event, last = self._event(last, runtime), runtime
                        await self._save_last(runtime)
                        if event:
                            yield event
            except (HubError, InvalidInput, SpaceWaitFailed) as error:
                self.log.warning("%s Watching continues in %.0f seconds.", error, delay)
            await asyncio.sleep(delay)
            delay = min(2 * delay, max(_MAX_RETRY_SECONDS, first_delay))

    def _event(self, before: SpaceRuntime | None, now: SpaceRuntime) -> TriggerEvent | None:
        if before is None:
            return None
        entered = now.stage in self.stages and before.stage != now.stage
        moved = self.hardware_changes and now.hardware is not None and before.hardware != now.hardware
        if not (entered or moved):
            return None
        return TriggerEvent(  # type: ignore[no-untyped-call]
            {
                "repo_id": self.repo_id,
                "stage": now.stage,
                "hardware": now.hardware,
                "requested_hardware": now.requested_hardware,
                "error_message": now.error_message,
                "previous_stage": before.stage,
                "previous_hardware": before.hardware,
                "at": datetime.now(timezone.utc).isoformat(),
            }
        )

    async def _load_last(self) -> SpaceRuntime | None:
        """Return the last state before the triggerer was restarted, where Airflow keeps one (3.3)."""
        store = getattr(self, "asset_state_store", None)
        if store is None:
            return None
        with suppress(ValueError):  # Airflow cannot tell to which of several assets a watcher belongs
            payload = await store.aget(self._state_key)
            return SpaceRuntime.from_dict(payload) if payload else None
        return None

    async def _save_last(self, runtime: SpaceRuntime) -> None:
        store = getattr(self, "asset_state_store", None)
        if store is not None:
            with suppress(ValueError):
                await store.aset(self._state_key, runtime.to_dict())

    @property
    def _state_key(self) -> str:
        return f"hf_spaces:{self.repo_id}:{','.join(self.stages)}:{self.hardware_changes}"
