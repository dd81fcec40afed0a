"""The DAG in whole runs: whatever happens, the Space returns to free CPU."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import GradioApp, HubEmulator
from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")

SPACE = "acme/whisper"


Conf = Callable[..., dict[str, Any]]


@pytest.fixture
def conf(tmp_path: Path) -> Conf:
    """Parameters of a run: a small batch with its output in the folder of the test."""
    return lambda **params: {"batch_size": 2, "output": str(tmp_path), **params}


def other(text: str) -> str:
    """An endpoint that the batch does not call."""
    return text


def ends_on_free_cpu(hub: HubEmulator) -> bool:
    hub.advance(600)
    space = hub.space(SPACE)
    return (space.stage, space.hardware) == ("RUNNING", "cpu-basic") and not hub.bill().running


def test_the_space_returns_to_its_hardware_after_the_batch(
    hub: HubEmulator, conf: Conf, tmp_path: Path
) -> None:
    space = hub.add_space(SPACE, private=True)
    states = run(dag_file("gpu_batch_window").dag, conf(batch_size=6))
    assert states == {
        "items": "success",
        "snapshot": "success",
        "upgrade": "success",
        "batch": "success",
        "restore": "success",
        "report": "success",
        "dag": "success",
    }
    assert "t4-small" in {moment.hardware for moment in space.history}
    assert hub.bill().by_hardware().keys() == {"t4-small"}
    (results,) = tmp_path.glob("*/results.jsonl")
    outputs = [json.loads(line)["output"] for line in results.read_text().splitlines()]
    assert outputs == [f"item {number}" for number in range(6)]
    assert ends_on_free_cpu(hub)


def test_the_space_is_restored_after_a_failed_batch(hub: HubEmulator, conf: Conf) -> None:
    hub.add_space(SPACE, app=GradioApp(endpoints={"other": other}))
    states = run(dag_file("gpu_batch_window").dag, conf())
    assert (states["batch"], states["restore"], states["dag"]) == ("failed", "success", "failed")
    assert ends_on_free_cpu(hub)


def test_the_space_is_restored_after_a_failed_upgrade(hub: HubEmulator, conf: Conf) -> None:
    space = hub.add_space(SPACE)
    space.fail_next_build("Job failed with exit code: 137")
    states = run(dag_file("gpu_batch_window").dag, conf())
    assert (states["upgrade"], states["batch"]) == ("failed", "upstream_failed")
    assert (states["restore"], states["dag"]) == ("success", "failed")
    assert "BUILD_ERROR" in {moment.stage for moment in space.history}
    assert ends_on_free_cpu(hub)


def test_the_space_is_restored_if_the_gpu_has_no_capacity(hub: HubEmulator, conf: Conf) -> None:
    hub.add_space(SPACE).no_capacity("t4-small")
    states = run(dag_file("gpu_batch_window").dag, conf())
    assert (states["upgrade"], states["restore"], states["dag"]) == ("failed", "success", "failed")
    assert ends_on_free_cpu(hub)


def test_a_gpu_above_the_cost_limit_fails_the_run_and_changes_nothing(hub: HubEmulator, conf: Conf) -> None:
    space = hub.add_space(SPACE)
    states = run(dag_file("gpu_batch_window").dag, conf(hardware="a100-large"))
    assert (states["upgrade"], states["restore"], states["dag"]) == ("failed", "success", "failed")
    assert len(space.history) == 1
    assert hub.bill().total_usd == 0


def test_a_paused_space_is_paused_again(hub: HubEmulator, conf: Conf) -> None:
    space = hub.add_space(SPACE, stage="PAUSED")
    states = run(dag_file("gpu_batch_window").dag, conf())
    assert states["dag"] == "success"
    assert (space.stage, space.requested_hardware) == ("PAUSED", "cpu-basic")
    assert not hub.bill().running


def test_a_restore_that_fails_fails_the_run(hub: HubEmulator, conf: Conf) -> None:
    hub.add_space(SPACE)
    module = dag_file("gpu_batch_window")
    module.restore.hf_spaces_conn_id = "no_such_connection"
    module.restore.retries = 0
    states = run(module.dag, conf())
    assert (states["batch"], states["restore"], states["dag"]) == ("success", "failed", "failed")
