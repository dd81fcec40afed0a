"""The DAG ships an app and runs the batch with exactly that version, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import GradioApp, HubEmulator, SpaceHandle
from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")

SPACE = "acme/whisper"


def predict(text: str) -> str:
    """The text in capital letters, as the app that the example ships."""
    return text.upper()


@pytest.fixture
def conf(tmp_path: Path) -> dict[str, Any]:
    """Parameters of a run with three items."""
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("one", "two", "three")))
    return {"input": str(items), "output": str(tmp_path / "out")}


@pytest.fixture
def space(hub: HubEmulator) -> SpaceHandle:
    return hub.add_space(SPACE, private=True, app=GradioApp(endpoints={"predict": predict}))


def dag() -> Any:
    """The example, without waits before retries."""
    dag = dag_file("ship_and_batch").dag
    for task in dag.tasks:
        task.retries = 0
    return dag


def test_the_batch_runs_on_a_gpu_at_the_commit_that_was_shipped(
    hub: HubEmulator, space: SpaceHandle, conf: dict[str, Any]
) -> None:
    before = hub.branches(SPACE)["main"]
    assert set(run(dag(), conf).values()) == {"success"}
    shipped_commit = hub.branches(SPACE)["main"]
    assert shipped_commit != before
    on_gpu = {each.sha for each in space.history if (each.hardware, each.stage) == ("t4-small", "RUNNING")}
    assert on_gpu == {shipped_commit}
    results = (Path(conf["output"]) / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["output"] for line in results] == ["ONE", "TWO", "THREE"]
    hub.advance(600)
    assert (space.stage, space.hardware, space.runtime().sha) == ("RUNNING", "cpu-basic", shipped_commit)
    assert set(run(dag(), conf).values()) == {"success"}
    assert hub.branches(SPACE)["main"] == shipped_commit, "an unchanged app makes no commit"


def test_a_version_that_does_not_build_is_rolled_back_and_no_gpu_is_requested(
    hub: HubEmulator, space: SpaceHandle, conf: dict[str, Any]
) -> None:
    content = dict(hub.world.spaces[SPACE].files)
    space.fail_next_build()
    shipping = dag()
    shipping.get_task("deploy").deferrable = True  # It defers for its commit, and again for the rollback.
    states = run(shipping, conf)
    assert (states["deploy"], states["gpu.upgrade"], states["dag"]) == ("failed", "upstream_failed", "failed")
    assert dict(hub.world.spaces[SPACE].files) == content
    assert {moment.hardware for moment in space.history} <= {"cpu-basic", None}
    assert space.stage == "RUNNING"
