"""The DAG in whole runs: the first GPU that is available does the work, and the Space is restored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import GradioApp, HubEmulator, SpaceHandle
from tests.airflow_tools import dag_file, run
from tests.conftest import TaskLog

pytestmark = pytest.mark.usefixtures("airflow_db")

SPACE = "acme/caption"


@pytest.fixture
def conf(tmp_path: Path) -> dict[str, Any]:
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps({"text": f"item {number}"}) + "\n" for number in range(3)))
    return {"input": str(items), "output": str(tmp_path / "out")}


@pytest.fixture
def space(hub: HubEmulator) -> SpaceHandle:
    # Long enough for a look at the start, before it fails.
    hub.settings.change({"timings": {"scheduling": 25}})
    return hub.add_space(SPACE, app=GradioApp(endpoints={"predict": lambda text: text.upper()}))


def ends_on_free_cpu(hub: HubEmulator) -> bool:
    hub.advance(600)
    space = hub.space(SPACE)
    return (space.stage, space.hardware) == ("RUNNING", "cpu-basic") and not hub.bill().running


def test_the_batch_runs_on_the_third_gpu_although_the_first_two_are_gone(
    hub: HubEmulator, space: SpaceHandle, conf: dict[str, Any], task_log: TaskLog
) -> None:
    space.no_capacity("l4x1", "a10g-small")
    states = run(dag_file("gpu_with_fallback").dag, conf)
    assert set(states.values()) == {"success"}
    assert "no l4x1 or a10g-small available; using t4-small at $0.40/h" in task_log.text
    assert "3 of 3 items on t4-small" in task_log.text
    assert ends_on_free_cpu(hub)


@pytest.mark.slow
def test_the_space_is_restored_if_no_gpu_is_available(
    hub: HubEmulator, space: SpaceHandle, conf: dict[str, Any], task_log: TaskLog
) -> None:
    space.no_capacity("l4x1", "a10g-small", "t4-small", "t4-medium", "a10g-large")
    dag = dag_file("gpu_with_fallback").dag
    upgrade = dag.get_task("gpu.upgrade")
    upgrade.retries, upgrade.retry_capacity_after, upgrade.retry_capacity_until = 0, None, None
    states = run(dag, conf)
    assert (states["gpu.upgrade"], states["gpu.batch"], states["gpu.restore"], states["dag"]) == (
        "failed",
        "upstream_failed",
        "success",
        "failed",
    )
    assert f"Space {SPACE}: none of its hardware is available: l4x1 (Scheduling failure" in task_log.text
    assert ends_on_free_cpu(hub)
