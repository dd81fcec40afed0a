"""The DAG waits until the app answers."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")


def test_the_dag_waits_until_the_app_answers(hub: HubEmulator) -> None:
    space = hub.add_space("acme/caption", stage="BUILDING")
    assert set(run(dag_file("call_space").dag).values()) == {"success"}
    assert len(space.app_requests) == 1
