"""A Space that fails is restarted once; if it fails again soon, the DAG only reports it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from airflow.models import Variable

from airflow_provider_hfspaces.compat.imports import AIRFLOW_3
from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run
from tests.conftest import TaskLog
from tests.operators.test_hardware import changes

pytestmark = pytest.mark.usefixtures("airflow_db")

SPACE = "acme/whisper"
RECORD = "on_space_error:acme:whisper"


def restarts(hub: HubEmulator) -> int:
    return [name for name, _ in changes(hub)].count("restart")


def test_a_space_that_fails_is_restarted_and_reported(hub: HubEmulator, task_log: TaskLog) -> None:
    space = hub.add_space(SPACE)
    space.crash("Exit code: 137")
    assert run(dag_file("on_space_error").dag) == {
        "read_state": "success",
        "report": "success",
        "note_restart": "success",
        "restart": "success",
        "dag": "success",
    }
    assert (space.stage, restarts(hub)) == ("RUNNING", 1)
    log = task_log.text
    assert "Space acme/whisper is RUNTIME_ERROR: Exit code: 137" in log
    assert "It is being restarted." in log
    assert "Running on local URL:  http://0.0.0.0:7860" in log
    # Airflow 3.0 itself prints, at debug level, what it is to mask.
    ours = [line for line in log.splitlines() if "MaskSecret" not in line]
    assert hub.token not in "\n".join(ours)


def test_the_second_error_is_only_reported(hub: HubEmulator, task_log: TaskLog) -> None:
    space = hub.add_space(SPACE)
    for _ in range(2):
        space.crash("Exit code: 137")
        states = run(dag_file("on_space_error").dag)
    assert (states["report"], states["restart"], states["dag"]) == ("success", "skipped", "success")
    assert (space.stage, restarts(hub)) == ("RUNTIME_ERROR", 1)
    assert "and has failed again: it needs attention." in task_log.text


def test_an_error_long_after_the_last_one_is_restarted_again(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    space.crash("Exit code: 137")
    Variable.set(RECORD, (datetime.now(timezone.utc) - timedelta(hours=2)).isoformat())
    run(dag_file("on_space_error").dag)
    assert (space.stage, restarts(hub)) == ("RUNNING", 1)


def test_a_failed_restart_fails_the_run_and_is_not_retried(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    space.crash("Exit code: 137")
    space.fail_next_build("Job failed with exit code: 1")
    assert run(dag_file("on_space_error").dag)["dag"] == "failed"
    states = run(dag_file("on_space_error").dag)
    assert (states["restart"], states["dag"]) == ("skipped", "success")
    assert (space.stage, restarts(hub)) == ("BUILD_ERROR", 1)


def test_a_space_that_runs_again_is_left_alone(hub: HubEmulator, task_log: TaskLog) -> None:
    hub.add_space(SPACE)
    assert run(dag_file("on_space_error").dag)["restart"] == "skipped"
    assert restarts(hub) == 0
    assert "Space acme/whisper is RUNNING again: nothing to do." in task_log.text


@pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2.11 has no asset watchers")
def test_the_space_itself_starts_the_dag() -> None:
    module = dag_file("on_space_error")
    (asset,) = module.SCHEDULE
    assert asset.uri == "hf-space://acme/whisper"
    assert asset.watchers[0].trigger.stages == ["BUILD_ERROR", "RUNTIME_ERROR"]
