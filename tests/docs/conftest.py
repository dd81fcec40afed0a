"""Leases of one run at a time need no time to settle."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from airflow_provider_hfspaces.state import leases


@pytest.fixture(autouse=True)
def _quick_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: None))
