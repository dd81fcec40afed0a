"""The token is masked in the logs, wherever a client is built."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AIRFLOW_3
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook

pytestmark = pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2.11 has no supervisor")


class TriggererComms:
    """Talks to the supervisor as Airflow's triggerer does: over the event loop that runs the triggers."""

    def __init__(self) -> None:
        self.secrets: list[Any] = []

    def send(self, message: Any) -> Any:
        from asgiref.sync import async_to_sync

        return async_to_sync(self.asend)(message)

    async def asend(self, message: Any) -> Any:
        self.secrets.append(getattr(message, "value", None))


def test_a_client_in_the_triggerer_has_the_supervisor_mask_the_token(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.execution_time import task_runner

    comms = TriggererComms()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)

    async def build_a_client() -> None:
        client = await HfSpacesHook().async_client()
        await client.aclose()

    asyncio.run(build_a_client())
    assert hub.token in comms.secrets
