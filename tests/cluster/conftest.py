"""Fixtures: one Hub and one Airflow for all tests of a kind of deployment, since the start takes a minute."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator, Timings
from tests.cluster.deployment import Deployment, deployment


@pytest.fixture(scope="module", params=["celery", "local"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def hub(kind: str) -> Iterator[HubEmulator]:
    quick = Timings(build=4, start=2, lag=1)
    with HubEmulator(speed=1, timings=quick, storage="works", hardware_wakes_paused=True) as hub:
        for name in ("fragile", "sturdy"):
            hub.add_space(f"acme/{name}")
        yield hub


@pytest.fixture(scope="module")
def airflow(kind: str, hub: HubEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment(kind, tmp_path_factory.mktemp(kind), hub) as running:
        yield running
