"""A lease with a list of hardware, whose worker is killed twice: on a flavor, and between two flavors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import connection
from tests.processes.airflow_processes import ON_AIRFLOW_3, kill_tree
from tests.processes.gate import Gate, HeldRequest
from tests.processes.leased import SPEED, LeasedAirflow

pytestmark = [*ON_AIRFLOW_3, pytest.mark.thorough]

SPACE = "acme/listed"
DAGS = Path(__file__).with_name("list_dags")


@pytest.fixture
def hub() -> Iterator[HubEmulator]:
    with HubEmulator(speed=SPEED) as hub:
        hub.add_space(SPACE)
        yield hub


@pytest.fixture
def gate(hub: HubEmulator) -> Iterator[Gate]:
    with Gate(hub.url) as gate:
        yield gate


@pytest.fixture
def airflow(hub: HubEmulator, gate: Gate, tmp_path: Path) -> Iterator[LeasedAirflow]:
    environment = {"AIRFLOW_CONN_HF_SPACES_DEFAULT": connection(gate.url, hub.token)}
    airflow = LeasedAirflow(tmp_path, hub, dags=DAGS, environment=environment)
    try:
        airflow.start()
        yield airflow
    finally:
        airflow.stop()


def test_a_worker_that_is_killed_between_two_flavors_is_followed_by_one_that_continues_with_the_second(
    airflow: LeasedAirflow, gate: Gate
) -> None:
    hub, space = airflow.hub, airflow.hub.space(SPACE)
    space.no_capacity("l4x1", waits=True)

    def kill_at(held_request: HeldRequest) -> None:
        airflow.until(held_request.has_arrived, 240)
        ((pid,),) = airflow.query("SELECT pid FROM task_instance WHERE task_id = 'gpu.upgrade'")
        kill_tree(pid)

    def requested() -> list[str]:
        return [each.json["flavor"] for each in hub.requests if each.path.endswith("/hardware") and each.json]

    airflow.run("listed")
    airflow.until(lambda: requested() == ["l4x1"], 240)
    # The first look at the Space on its way to the L4, which is gone when the next worker looks.
    kill_at(gate.hold("GET", "listed/runtime$"))
    second = gate.hold("POST", "listed/hardware$")
    space.no_capacity("l4x1")
    kill_at(second)

    airflow.until(lambda: airflow.states("listed")["success"] == 6, 400)
    assert requested() == ["l4x1", "a10g-small", "cpu-basic"]
    assert "The work runs on a10g-small." in airflow.log_of("listed")
    airflow.until(lambda: (space.stage, space.hardware) == ("RUNNING", "cpu-basic"), 60)
    assert "l4x1" not in {moment.hardware for moment in space.history}
    assert not hub.bill().running
    assert airflow.holders("listed") == []
