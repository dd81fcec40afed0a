"""Whole DAG runs take seconds, in which a Space must not fall asleep."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator


@pytest.fixture
def hub_time() -> dict[str, float]:
    """Slow enough for a sleep time of half an hour to outlast a slow machine's run."""
    return {"speed": 20}


@pytest.fixture
def hub(hub: HubEmulator) -> HubEmulator:
    """A Hub that builds in seconds, since its clock is slow here."""
    hub.settings.change({"timings": {"build": 8, "start": 2}})
    return hub
