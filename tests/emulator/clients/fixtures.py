"""Fixtures for tests that run with each version of the official client. A module imports all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.emulator.clients import VERSIONS, OfficialClient, environment

__all__ = ["client", "emulator", "hub", "process"]


@pytest.fixture(scope="module")
def emulator() -> Iterator[HubEmulator]:
    with HubEmulator(speed=0) as hub:
        yield hub


@pytest.fixture
def hub(emulator: HubEmulator) -> HubEmulator:
    """One emulator for all tests, since the client reads HF_ENDPOINT when it is imported."""
    emulator.reset()
    emulator.world.clock.speed = 0
    return emulator


@pytest.fixture(scope="module", params=VERSIONS)
def process(request: pytest.FixtureRequest, emulator: HubEmulator) -> Iterator[OfficialClient]:
    if not (environment(request.param) / "python").exists():
        pytest.skip(f"huggingface_hub {request.param}.x has no environment here: run 'make clients'")
    client = OfficialClient(request.param, emulator.url)
    yield client
    client.close()


@pytest.fixture
def client(process: OfficialClient, hub: HubEmulator) -> OfficialClient:
    process.token = hub.token
    return process
