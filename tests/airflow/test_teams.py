"""Airflow with ``[core] multi_team``: a retry reads the values that the first try kept."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.compat.imports import AIRFLOW_VERSION
from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run

pytestmark = [
    pytest.mark.usefixtures("no_variables"),
    pytest.mark.skipif(AIRFLOW_VERSION < (3, 2), reason="teams came with Airflow 3.2"),
]


def test_with_multi_team_a_retry_reads_the_record_of_the_first_try(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    space = hub.add_space("acme/whisper", hardware="cpu-upgrade", sleep_time=1200)
    space.fail_next_build("Job failed with exit code: 137")
    states = run(dag_file("retried_upgrade").dag)
    assert states == {"upgrade": "success", "restore": "success", "dag": "success"}
    assert "t4-small" in {moment.hardware for moment in space.history}
    assert (space.requested_hardware, space.sleep_time) == ("cpu-upgrade", 1200)
