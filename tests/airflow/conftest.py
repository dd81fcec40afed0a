"""Whole DAG runs take seconds, in which a Space must not fall asleep."""

from __future__ import annotations

import pytest


@pytest.fixture
def hub_time() -> dict[str, float]:
    """Slow enough for a sleep time of half an hour to outlast a slow machine's run."""
    return {"speed": 300}
