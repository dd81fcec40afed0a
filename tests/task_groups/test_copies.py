"""A copy group makes a copy for its run and deletes it, however the run ends."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.state.copies import COPY_OF
from airflow_provider_hfspaces.task_groups.copies import SpaceCopyTaskGroup
from tests.airflow.test_serialization import serialized_dag
from tests.airflow_tools import dag_file, run
from tests.conftest import TaskLog
from tests.operators.test_hardware import changes
from tests.task_groups.test_hardware import remaining_variables

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

pytestmark = pytest.mark.usefixtures("airflow_db")

SPACE = "acme/whisper"


@pytest.fixture
def source(hub: HubEmulator) -> Any:
    return hub.add_space(SPACE, variables={"MODEL": "small", "LANGUAGE": "en"}, secrets={"TOKEN": "own"})


def run_group(name: str) -> dict[str, str]:
    return run(getattr(dag_file("copies"), name))


def remaining_copies(hub: HubEmulator) -> list[str]:
    return [space.repo_id for space in hub.world.spaces.values() if "-copy-" in space.repo_id]


def duplications(hub: HubEmulator) -> list[dict[str, Any]]:
    """The bodies of the requests that made copies."""
    return [body for name, body in changes(hub) if name == "duplicate"]


def assert_nothing_remains(hub: HubEmulator) -> None:
    assert remaining_copies(hub) == []
    assert not hub.bill().running
    assert [name for name in remaining_variables() if "run_costs" not in name] == []


def test_the_work_runs_on_a_copy_that_is_made_in_one_request_and_deleted(
    hub: HubEmulator, source: Any, monkeypatch: pytest.MonkeyPatch, task_log: TaskLog
) -> None:
    monkeypatch.setenv("COPY_SECRET", "plain-s3cr3t")
    states = run_group("plain")
    assert set(states.values()) == {"success"}
    (body,) = duplications(hub)
    mark = json.loads(next(each["value"] for each in body["variables"] if each["key"] == COPY_OF))
    assert body["repository"] == mark["copy"]
    assert (body["hardware"], body["sleepTimeSeconds"], body["visibility"]) == ("t4-small", 1200, "private")
    assert [each["key"] for each in body["secrets"]] == ["TOKEN", "OTHER"]
    assert {each["key"]: each["value"] for each in body["variables"]}["MODEL"] == "large"
    assert [each["source"] for each in body["volumes"]] == ["acme/data"]
    assert mark["source"] == SPACE
    assert mark["copy"].startswith("acme/whisper-copy-")
    assert "dag" not in json.dumps(mark)
    assert hub.bill(mark["copy"]).by_hardware().keys() == {"t4-small"}
    assert source.history == source.history[:1], "the source is not disturbed"
    assert_nothing_remains(hub)
    # Airflow 3.0 itself logs the message with which a task asks for a value to be masked.
    log = "\n".join(line for line in task_log.text.splitlines() if "MaskSecret" not in line)
    assert "s3cr3t" not in log
    assert f"Space {mark['copy']}: 1 min of t4-small, about $" in log


def test_secrets_are_neither_in_the_serialized_dag_nor_in_rendered_fields(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COPY_SECRET", "plain-s3cr3t")
    dag = dag_file("copies").plain
    assert "s3cr3t" not in json.dumps(serialized_dag(dag))
    assert "secrets" not in dag.get_task("gpu.create").template_fields


def test_failed_work_fails_the_run_and_the_copy_is_deleted(hub: HubEmulator, source: Any) -> None:
    states = run_group("failing")
    assert (states["gpu.bad"], states["gpu.delete"], states["gpu.outcome"], states["dag"]) == (
        "failed",
        "success",
        "upstream_failed",
        "failed",
    )
    assert states["after"] == "upstream_failed"
    assert len(duplications(hub)) == 1
    assert_nothing_remains(hub)


def test_skipped_work_ends_green_and_the_copy_is_deleted(hub: HubEmulator, source: Any) -> None:
    states = run_group("skipped")
    assert (states["gpu.work"], states["gpu.delete"], states["dag"]) == ("skipped", "success", "success")
    assert_nothing_remains(hub)


@pytest.mark.slow
def test_a_short_circuit_does_not_hide_failed_work(hub: HubEmulator, source: Any) -> None:
    states = run_group("short_circuit")
    assert (states["gpu.delete"], states["gpu.outcome"], states["dag"]) == (
        "success",
        "upstream_failed",
        "failed",
    )
    assert_nothing_remains(hub)


def test_each_mapped_instance_has_a_copy_of_its_own_on_its_hardware(hub: HubEmulator, source: Any) -> None:
    states = run_group("mapped")
    assert set(states.values()) == {"success"}
    bodies = duplications(hub)
    assert sorted(body["hardware"] for body in bodies) == ["cpu-upgrade", "t4-small"]
    assert len({body["repository"] for body in bodies}) == 2
    assert_nothing_remains(hub)


def test_a_copy_whose_app_does_not_answer_is_deleted_and_fails_the_run(hub: HubEmulator, source: Any) -> None:
    states = run_group("silent")
    assert (states["gpu.create"], states["gpu.work"], states["gpu.delete"], states["dag"]) == (
        "failed",
        "upstream_failed",
        "success",
        "failed",
    )
    assert len(duplications(hub)) == 1
    assert_nothing_remains(hub)


def test_a_copy_that_reaches_the_limit_of_its_cost_is_deleted_and_fails_the_run(
    hub: HubEmulator, source: Any
) -> None:
    states = run_group("too_expensive")
    assert (states["gpu.limit"], states["gpu.delete"], states["gpu.outcome"], states["dag"]) == (
        "failed",
        "success",
        "upstream_failed",
        "failed",
    )
    assert_nothing_remains(hub)


def test_a_deletion_that_the_hub_refuses_pauses_the_copy_and_fails_the_run(
    hub: HubEmulator, source: Any
) -> None:
    hub.faults.add(kind="status", status=403, path="/api/repos/delete")
    states = run_group("skipped")
    assert (states["gpu.delete"], states["gpu.outcome"], states["dag"]) == (
        "failed",
        "upstream_failed",
        "failed",
    )
    (copy,) = remaining_copies(hub)
    assert hub.space(copy).stage == "PAUSED"
    assert not hub.bill().running


def test_clearing_the_work_also_clears_the_tasks_around_it() -> None:
    dag = dag_file("copies").skipped
    task_ids = dag.partial_subset("gpu.work", include_upstream=False, include_downstream=False).task_ids
    assert set(task_ids) == {"gpu.reserve", "gpu.create", "gpu.work", "gpu.delete", "gpu.outcome"}


@pytest.mark.parametrize("sleep_time", [None, -1, "-1"])
def test_a_copy_without_a_sleep_time_is_refused(sleep_time: Any) -> None:
    with (
        DAG("refused", start_date=datetime(2026, 1, 1)),
        pytest.raises(ValueError, match="would never stop costing money"),
    ):
        SpaceCopyTaskGroup("gpu", SPACE, "t4-small", sleep_time=sleep_time)


def test_a_group_without_work_is_refused() -> None:
    with (
        DAG("empty", start_date=datetime(2026, 1, 1)),
        pytest.raises(ValueError, match="has no tasks: create those that need the copy inside"),
        SpaceCopyTaskGroup("gpu", SPACE, "t4-small"),
    ):
        pass
