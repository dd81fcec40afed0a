"""The DAG ships an app and runs the batch with exactly that version, or not at all."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")

SPACE = "acme/whisper"


def test_the_batch_runs_on_a_gpu_at_the_commit_that_was_shipped(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    before = hub.branches(SPACE)["main"]
    assert set(run(dag_file("ship_and_batch").dag).values()) == {"success"}
    shipped = hub.branches(SPACE)["main"]
    assert shipped != before
    on_gpu = [
        moment for moment in space.history if moment.hardware == "t4-small" and moment.stage == "RUNNING"
    ]
    assert {moment.sha for moment in on_gpu} == {shipped}
    assert (space.stage, space.hardware, space.runtime().sha) == ("RUNNING", "cpu-basic", shipped)
    assert set(run(dag_file("ship_and_batch").dag).values()) == {"success"}
    assert hub.branches(SPACE)["main"] == shipped, "an unchanged app makes no commit"


def test_a_version_that_does_not_build_is_rolled_back_and_no_gpu_is_requested(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    content = dict(hub.world.spaces[SPACE].files)
    space.fail_next_build()
    states = run(dag_file("ship_and_batch").dag)
    assert (states["deploy"], states["gpu.upgrade"], states["dag"]) == ("failed", "upstream_failed", "failed")
    assert dict(hub.world.spaces[SPACE].files) == content
    assert {moment.hardware for moment in space.history} <= {"cpu-basic", None}
    assert space.stage == "RUNNING"
