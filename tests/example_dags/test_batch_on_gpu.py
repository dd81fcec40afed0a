"""The DAG in whole runs: a batch of a file on a leased GPU, which continues after a failure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import Fault, GradioApp, HubEmulator, SpaceHandle
from airflow_provider_hfspaces.operators.app import SpaceBatchOperator
from tests.airflow_tools import dag_file, run
from tests.conftest import TaskLog

pytestmark = pytest.mark.usefixtures("airflow_db")

SPACE = "acme/caption"


def predict(text: str) -> str:
    """The text in capital letters."""
    return text.upper()


@pytest.fixture
def conf(tmp_path: Path) -> dict[str, Any]:
    """Parameters of a run with 20 items."""
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps({"text": f"item {number}"}) + "\n" for number in range(20)))
    return {"input": str(items), "output": str(tmp_path / "out")}


@pytest.fixture
def space(hub: HubEmulator) -> SpaceHandle:
    return hub.add_space(SPACE, private=True, app=GradioApp(endpoints={"predict": predict}))


def outputs(conf: dict[str, Any]) -> list[Any]:
    results = Path(conf["output"]) / "results.jsonl"
    return [json.loads(line)["output"] for line in results.read_text().splitlines()]


def ends_on_free_cpu(hub: HubEmulator) -> bool:
    hub.advance(600)
    space = hub.space(SPACE)
    return (space.stage, space.hardware) == ("RUNNING", "cpu-basic") and not hub.bill().running


def dag() -> Any:
    """The example, without the wait before a retry."""
    dag = dag_file("batch_on_gpu").dag
    dag.get_task("gpu.batch").retries = 0
    return dag


def test_a_file_goes_through_the_gpu_and_the_report_has_the_price(
    hub: HubEmulator, space: SpaceHandle, conf: dict[str, Any], task_log: TaskLog
) -> None:
    states = run(dag(), conf)
    assert set(states.values()) == {"success"}
    assert outputs(conf) == [f"ITEM {number}" for number in range(20)]
    assert "20 of 20 items on t4-small in" in task_log.text
    assert "per thousand items" in task_log.text
    assert {moment.hardware for moment in space.history} >= {"t4-small", "cpu-basic"}
    assert ends_on_free_cpu(hub)


def test_a_new_run_continues_a_batch_that_failed(
    hub: HubEmulator, space: SpaceHandle, conf: dict[str, Any]
) -> None:
    hub.faults.add(Fault("cut", app=SPACE, path="/queue/data", share=0.2))
    failing = dag()
    batch: SpaceBatchOperator = failing.get_task("gpu.batch")
    batch.max_tries, batch.on_item_error, batch.max_in_flight = 1, "fail", 1
    states = run(failing, conf)
    assert (states["gpu.batch"], states["gpu.restore"], states["dag"]) == ("failed", "success", "failed")
    assert ends_on_free_cpu(hub)
    call_count = len([each for each in space.app_requests if each.path.endswith("/call/predict")])
    hub.faults.clear()
    states = run(dag(), conf)
    assert set(states.values()) == {"success"}
    assert outputs(conf) == [f"ITEM {number}" for number in range(20)]
    total = len([each for each in space.app_requests if each.path.endswith("/call/predict")])
    assert (call_count > 1, total) == (True, 21)
    assert ends_on_free_cpu(hub)
