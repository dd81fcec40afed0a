"""Fixtures for whole DAG runs, during which no Space must fall asleep."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator


@pytest.fixture
def hub_time() -> dict[str, float]:
    """Each request moves the time by so little that no sleep time passes during a run."""
    return {"speed": 0, "seconds_per_request": 10}


@pytest.fixture
def hub(hub: HubEmulator) -> HubEmulator:
    """A Hub with builds that are done before the first look."""
    hub.settings.change({"timings": {"build": 8, "start": 2}})
    return hub
