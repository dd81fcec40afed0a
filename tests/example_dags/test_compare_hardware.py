"""The Space moves to two GPUs, one after the other, and is restored."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")

SPACE = "acme/whisper"


def test_both_gpus_are_measured_and_the_space_is_restored(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, hardware="cpu-upgrade", sleep_time=600000)
    states = run(dag_file("compare_hardware").dag)
    assert set(states.values()) == {"success"}
    flavors = list(dict.fromkeys(moment.hardware for moment in space.history))
    assert flavors[:3] == ["cpu-upgrade", "t4-small", "t4-medium"]
    hub.advance(600)
    assert (space.stage, space.hardware, space.sleep_time) == ("RUNNING", "cpu-upgrade", 600000)


def test_the_space_is_restored_if_the_second_gpu_has_no_capacity(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    space.no_capacity("t4-medium")
    states = run(dag_file("compare_hardware").dag)
    assert states["measure_t4-small"] == "success"
    assert (states["to_t4-medium"], states["restore"], states["dag"]) == ("failed", "success", "failed")
    hub.advance(600)
    assert (space.stage, space.hardware) == ("RUNNING", "cpu-basic")
