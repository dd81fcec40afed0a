"""The guard gives every Space on paid hardware a sleep time."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")


def test_a_space_that_was_forgotten_on_a_gpu_falls_asleep(hub: HubEmulator) -> None:
    forgotten = hub.add_space("acme/forgotten", hardware="a100-large")
    lazy = hub.add_space("acme/lazy", hardware="t4-small", sleep_time=86400)
    awake = hub.add_space("acme/api-production", hardware="t4-small")
    dag = dag_file("cost_guard").dag
    assert run(dag) == {"leases": "success", "copies": "success", "sleep_times": "success", "dag": "success"}
    assert [forgotten.sleep_time, lazy.sleep_time, awake.sleep_time] == [3600, 3600, None]
    hub.advance(3700)
    assert [forgotten.stage, lazy.stage, awake.stage] == ["SLEEPING", "SLEEPING", "RUNNING"]
    assert not hub.bill("acme/forgotten").running

    request_count = len(hub.requests)
    assert run(dag)["dag"] == "success"
    assert {request.method for request in hub.requests[request_count:]} == {"GET"}


def test_the_sleep_time_is_a_parameter_of_the_dag(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper", hardware="t4-small")
    assert run(dag_file("cost_guard").dag, {"max_sleep_time": 600})["dag"] == "success"
    assert space.sleep_time == 600
