"""SpaceEventTrigger: starts DAGs when something happens to a Space."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_hfspaces.compat.imports import base_event_trigger
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.checks import checked_repo_id, checked_stages
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.triggers.watches import watching

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger
else:
    BaseEventTrigger = base_event_trigger()

__all__ = ["SpaceEventTrigger"]

log = logging.getLogger(__name__)

_LONGEST_PAUSE = 300.0


class SpaceEventTrigger(BaseEventTrigger):
    """Fire whenever a Space enters a stage, or changes hardware: for an ``AssetWatcher`` (Airflow 3).

    What a Space is when it is first seen is no event. The payload is ``{"repo_id", "stage", "hardware",
    "requested_hardware", "error_message", "previous_stage", "previous_hardware", "at"}``.

    On Airflow 3.3 the triggers of all Spaces of an owner share one stream, which asks for one list
    and makes sure of what is new; before that they share the process's watch.

    :param repo_id: the Space, as ``owner/name``.
    :param stages: fire when it enters any of these, such as ``["RUNTIME_ERROR"]``.
    :param hardware_changes: fire when it runs on other hardware than before.
    :param hf_spaces_conn_id: the connection to the Hub.
    :param poll_interval: seconds between two looks.
    :raises InvalidInput: for a Space or a stage that there cannot be, and for nothing to fire at.
    """

    def __init__(
        self,
        *,
        repo_id: str,
        stages: str | Iterable[str] = (),
        hardware_changes: bool = False,
        hf_spaces_conn_id: str = "hf_spaces_default",
        poll_interval: float = 30.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.repo_id = checked_repo_id(repo_id)
        self.stages = sorted(checked_stages(stages, least=0 if hardware_changes else 1))
        self.hardware_changes = hardware_changes
        self.hf_spaces_conn_id = hf_spaces_conn_id
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """As Airflow stores it; equal triggers are one."""
        return (
            "airflow_provider_hfspaces.triggers.events.SpaceEventTrigger",
            {
                "repo_id": self.repo_id,
                "stages": self.stages,
                "hardware_changes": self.hardware_changes,
                "hf_spaces_conn_id": self.hf_spaces_conn_id,
                "poll_interval": self.poll_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire for ever; trouble with the Hub is waited out."""
        last, pause = await self._remembered(), self.poll_interval
        while True:
            try:
                async with watching(self.hf_spaces_conn_id) as (watch, hook):
                    repo_id = hook.repo_id(self.repo_id)
                    async for _, runtime in watch.changes(repo_id, poll_interval=self.poll_interval):
                        pause = self.poll_interval
                        event, last = self._event(last, runtime), runtime
                        await self._remember(runtime)
                        if event:
                            yield event
            except HubError as error:
                self.log.warning("%s Watching goes on in %.0f seconds.", error, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, max(_LONGEST_PAUSE, self.poll_interval))

    def shared_stream_key(self) -> tuple[str, ...]:
        """One stream for all Spaces of an owner."""
        owner = self.repo_id.partition("/")[0].lower()
        return "hf_spaces", self.hf_spaces_conn_id, owner, str(self.poll_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """The runtimes of an owner's Spaces, each time that one is new: ``(repo_id, runtime)``."""
        owner, interval = kwargs["repo_id"].partition("/")[0], float(kwargs.get("poll_interval", 30.0))
        conn_id = kwargs.get("hf_spaces_conn_id", "hf_spaces_default")
        known: dict[str, Any] = {}
        async with watching(conn_id) as (watch, _):
            while True:
                began = time.monotonic()
                try:
                    call = calls.list_runtimes(author=owner, limit=500)
                    async for page in watch.client.pages(call):
                        for listed in page:
                            payload = listed.payload.get("runtime")
                            if known.get(listed.repo_id.lower()) == payload:
                                continue
                            # A list may be behind: a request about this Space alone makes sure.
                            runtime = await watch.client.send(calls.get_runtime(listed.repo_id))
                            known[listed.repo_id.lower()] = payload
                            yield listed.repo_id, runtime.to_dict()
                except HubError as error:
                    log.warning("%s Watching goes on.", error)
                await asyncio.sleep(max(interval - (time.monotonic() - began), 1.0))

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[tuple[str, dict[str, Any]]]
    ) -> AsyncIterator[TriggerEvent]:
        """This trigger's events out of what the stream says."""
        last = await self._remembered()
        async for repo_id, said in shared_stream:
            if repo_id.lower() != self.repo_id.lower():
                continue
            runtime = SpaceRuntime.from_dict(said)
            event, last = self._event(last, runtime), runtime
            await self._remember(runtime)
            if event:
                yield event

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

    async def _remembered(self) -> SpaceRuntime | None:
        """How the Space was before the triggerer was restarted, where Airflow keeps that."""
        store = getattr(self, "asset_state_store", None)
        if store is None:
            return None
        with suppress(ValueError):  # of a watcher of several assets Airflow does not know which one's
            said = await store.aget(self._state_key)
            return SpaceRuntime.from_dict(said) if said else None
        return None

    async def _remember(self, runtime: SpaceRuntime) -> None:
        store = getattr(self, "asset_state_store", None)
        if store is not None:
            with suppress(ValueError):
                await store.aset(self._state_key, runtime.to_dict())

    @property
    def _state_key(self) -> str:
        return f"hf_spaces:{self.repo_id}:{','.join(self.stages)}:{self.hardware_changes}"
