"""The fixture ``hub_emulator``, for anybody who tests what works with Spaces.

pytest imports this file wherever the package is installed: it must stay cheap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_hfspaces.emulator.server import HubEmulator


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "hub_emulator(**options): what the fixture hub_emulator gives to HubEmulator, e.g. speed=0"
    )


@pytest.fixture
def hub_emulator(request: pytest.FixtureRequest) -> Iterator[HubEmulator]:
    """An emulated Hub of the test's own, 600 times as fast as time.

    ``@pytest.mark.hub_emulator(speed=0, storage="gone")`` changes that, or anything else that
    ``HubEmulator`` takes; the marker closest to the test wins.
    """
    from airflow_provider_hfspaces.emulator import HubEmulator

    options: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("hub_emulator"))):
        options.update(marker.kwargs)
    with HubEmulator(**options) as hub:
        yield hub
