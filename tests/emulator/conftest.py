"""Fixtures: an emulated Hub whose time stands still until a test moves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from airflow_provider_hfspaces.emulator import HubEmulator


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 0}


Ask = Callable[..., requests.Response]


@pytest.fixture
def ask(hub: HubEmulator) -> Iterator[Ask]:
    """Send a request as its owner, or with another token, or with none."""
    with requests.Session() as session:
        session.trust_env = False

        def send(
            method: str, path: str, json: Any = None, *, token: str | None = "owner"
        ) -> requests.Response:
            value = hub.token if token == "owner" else token
            headers = {"Authorization": f"Bearer {value}"} if value else {}
            return session.request(
                method, f"{hub.url}{path}", json=json, headers=headers, timeout=5, allow_redirects=False
            )

        yield send
