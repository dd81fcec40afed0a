"""A run succeeds only if the work and the restore succeed; the Space is restored in any case."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")


def run_group(name: str) -> dict[str, str]:
    return run(getattr(dag_file("groups"), name))


def test_a_short_circuit_does_not_hide_failed_work(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper")
    states = run_group("short_circuit_beside_failed_work")
    assert (states["gpu.bad"], states["gpu.work"], states["after"]) == ("failed", "skipped", "skipped")
    assert (states["gpu.restore"], states["gpu.outcome"]) == ("success", "upstream_failed")
    assert states["dag"] == "failed"
    assert space.requested_hardware == "cpu-basic"


def test_a_short_circuit_alone_succeeds(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper")
    states = run_group("short_circuit")
    assert (states["gpu.work"], states["gpu.done"], states["after"]) == ("skipped", "skipped", "skipped")
    assert (states["gpu.outcome"], states["dag"]) == ("success", "success")
    assert space.requested_hardware == "cpu-basic"


def test_a_short_circuit_as_the_last_task_of_the_work_does_not_skip_the_restore(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper")
    states = run_group("short_circuit_as_last_task")
    assert (states["gpu.restore"], states["gpu.outcome"], states["dag"]) == ("success", "success", "success")
    assert space.requested_hardware == "cpu-basic"


def test_a_branch_as_the_last_task_of_the_work_does_not_skip_the_restore(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper")
    states = run_group("branch_as_last_task")
    assert (states["gpu.restore"], states["gpu.outcome"]) == ("success", "success")
    assert (states["publish"], states["discard"], states["dag"]) == ("success", "skipped", "success")
    assert space.requested_hardware == "cpu-basic"


def test_a_branch_that_fails_as_the_last_task_fails_the_run(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper")
    states = run_group("failing_branch_as_last_task")
    assert (states["gpu.restore"], states["gpu.outcome"]) == ("success", "upstream_failed")
    assert states["dag"] == "failed"
    assert space.requested_hardware == "cpu-basic"


def test_a_task_that_cleans_up_after_the_group_does_not_hide_failed_work(hub: HubEmulator) -> None:
    hub.add_space("acme/whisper")
    states = run_group("followed_by_cleanup")
    assert (states["gpu.bad"], states["after"], states["dag"]) == ("failed", "success", "failed")


def test_a_join_after_the_group_runs_though_a_branch_was_not_chosen(hub: HubEmulator) -> None:
    hub.add_space("acme/whisper")
    states = run_group("joined_after_branches")
    assert (states["gpu.chosen"], states["gpu.other"]) == ("success", "skipped")
    assert (states["after"], states["dag"]) == ("success", "success")


def test_tasks_after_an_enclosing_group_wait_for_the_restore(hub: HubEmulator) -> None:
    hub.add_space("acme/whisper")
    dag = dag_file("groups").followed_in_outer_group
    assert "outer.gpu.done" in dag.get_task("after").upstream_task_ids
    assert set(run(dag).values()) == {"success"}


@pytest.mark.parametrize("name", ["short_circuit", "required_by_default"])
def test_a_failed_restore_fails_the_run(hub: HubEmulator, name: str) -> None:
    hub.add_space("acme/whisper")
    dag: Any = getattr(dag_file("groups"), name)
    dag.get_task("gpu.restore").hf_spaces_conn_id = "no_such_connection"
    states = run(dag)
    assert (states["gpu.restore"], states["gpu.outcome"], states["dag"]) == (
        "failed",
        "upstream_failed",
        "failed",
    )


def test_clearing_the_work_also_clears_the_tasks_that_decide_the_state_of_the_run(hub: HubEmulator) -> None:
    dag = dag_file("groups").required_by_default
    task_ids = dag.partial_subset("gpu.work", include_upstream=False, include_downstream=False).task_ids
    assert set(task_ids) == {"gpu.snapshot", "gpu.upgrade", "gpu.work", "gpu.restore", "gpu.outcome"}


def test_a_restore_waits_for_work_that_a_skipped_task_would_have_followed(hub: HubEmulator) -> None:
    dag = dag_file("groups").short_circuit_beside_join
    assert "gpu.slow" in dag.get_task("gpu.restore").upstream_task_ids
