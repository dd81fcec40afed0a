"""The DAG that an event starts; that a real triggerer starts such DAGs is shown in tests/processes."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.compat import AIRFLOW_3
from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")


@pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2.11 has no asset watchers")
def test_the_space_runs_again(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper", hardware="cpu-upgrade")
    hub.advance(10)
    space.crash("Exit code: 1")
    assert space.stage == "RUNTIME_ERROR"
    states = run(dag_file("restart_on_error").dag)
    assert states == {"tell": "success", "restart": "success", "dag": "success"}
    assert space.stage == "RUNNING"
    restarts = [request for request in hub.requests if request.path.endswith("/restart")]
    assert [request.query for request in restarts] == ["factory=true"]


@pytest.mark.skipif(AIRFLOW_3, reason="what Airflow 2.11 does with it")
def test_on_airflow_2_the_file_imports_and_offers_no_dag() -> None:
    assert not hasattr(dag_file("restart_on_error"), "dag")
