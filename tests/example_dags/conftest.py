"""Whole DAG runs take seconds, in which a Space must not fall asleep."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator


@pytest.fixture
def hub_time() -> dict[str, float]:
    """Requests move the time, and so little that a sleep time outlasts a run."""
    return {"speed": 0, "seconds_per_request": 10}


@pytest.fixture
def hub(hub: HubEmulator) -> HubEmulator:
    """A Hub that builds in seconds: the first look finds it done."""
    hub.settings.change({"timings": {"build": 8, "start": 2}})
    return hub
