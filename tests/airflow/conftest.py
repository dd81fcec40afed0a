"""Fixtures for whole DAG runs, which poll slowly: builds end before the first look at a Space."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator


@pytest.fixture
def hub(hub: HubEmulator) -> HubEmulator:
    """A Hub that builds in seconds."""
    hub.settings.change({"timings": {"build": 8, "start": 2}})
    return hub
