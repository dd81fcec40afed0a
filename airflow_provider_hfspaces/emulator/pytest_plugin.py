"""The fixture ``hub_emulator``, for anybody who tests DAGs against Spaces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_hfspaces.emulator.server import HubEmulator


@pytest.fixture
def hub_emulator() -> Iterator[HubEmulator]:
    """An emulated Hub of the test's own, 600 times as fast as time."""
    from airflow_provider_hfspaces.emulator.server import HubEmulator

    with HubEmulator() as hub:
        yield hub
