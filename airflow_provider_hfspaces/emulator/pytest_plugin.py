"""The pytest fixture ``hub_emulator``, for tests of code that uses Spaces.

pytest imports this module wherever the package is installed, so its imports must stay cheap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_hfspaces.emulator.server import HubEmulator


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker ``hub_emulator``."""
    config.addinivalue_line(
        "markers",
        "hub_emulator(**options): parameters of HubEmulator for the fixture hub_emulator, e.g. speed=0",
    )


@pytest.fixture
def hub_emulator(request: pytest.FixtureRequest) -> Iterator[HubEmulator]:
    """A running :class:`HubEmulator` for one test, by default 600 times as fast as real time.

    ``@pytest.mark.hub_emulator(speed=0, storage="gone")`` sets its parameters. A marker on the test
    overrides one on the class or the module.
    """
    from airflow_provider_hfspaces.emulator import HubEmulator

    options: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("hub_emulator"))):
        options.update(marker.kwargs)
    with HubEmulator(**options) as hub:
        yield hub
