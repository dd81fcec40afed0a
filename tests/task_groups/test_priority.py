"""A restore never waits behind other tasks: it goes first, in the pool that the group names."""

from __future__ import annotations

import json
from datetime import datetime
from importlib import import_module
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import empty_operator
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup
from tests.airflow_tools import dag_file, run

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

HIGHEST = 2**31 - 1
"""The highest priority that Airflow stores: it cuts higher ones down to this."""


def group_in_dag(**group: Any) -> Any:
    """A group in a DAG whose default_args and other tasks claim a high priority and a pool."""
    everything = {"pool": "busy", "priority_weight": 1_000_000, "weight_rule": "downstream"}
    with DAG("window", schedule=None, start_date=datetime(2026, 1, 1), default_args=everything) as dag:
        with SpaceHardwareTaskGroup("gpu", "acme/whisper", "t4-small", **group) as gpu:
            empty_operator()(task_id="work")
        gpu >> empty_operator()(task_id="after")
    return dag


def stored_tasks(dag: Any) -> dict[str, Any]:
    """The tasks as the scheduler reads them from the database."""
    objects = import_module("airflow.serialization.serialized_objects")
    serializer = getattr(objects, "DagSerialization", None) or objects.SerializedDAG
    stored_dag = serializer.from_dict(json.loads(json.dumps(serializer.to_dict(dag))))
    return {task.task_id: task for task in stored_dag.tasks}


@pytest.mark.usefixtures("airflow_db")
def test_the_scheduler_reads_an_absolute_priority_above_that_of_all_other_tasks() -> None:
    tasks = stored_tasks(group_in_dag())
    restore = tasks["gpu.restore"]
    assert "absolute" in str(getattr(restore.weight_rule, "value", restore.weight_rule)).lower()
    assert restore.priority_weight == HIGHEST
    others = [task.priority_weight for name, task in tasks.items() if name != "gpu.restore"]
    assert max(others) < HIGHEST


@pytest.mark.usefixtures("airflow_db")
@pytest.mark.parametrize(
    ("group", "pool"), [({}, "default_pool"), ({"restore_pool": "restores"}, "restores")]
)
def test_the_scheduler_reads_the_pool_of_the_restore_whatever_default_args_say(
    group: dict[str, Any], pool: str
) -> None:
    tasks = stored_tasks(group_in_dag(**group))
    assert tasks["gpu.restore"].pool == pool
    assert tasks["gpu.work"].pool == "busy"


@pytest.mark.usefixtures("airflow_db")
def test_airflow_stores_the_highest_priority_for_a_restore_and_usual_ones_for_all_other_tasks(
    hub: HubEmulator,
) -> None:
    """PostgreSQL stores no larger numbers: a run with a task above them could not begin."""
    hub.add_space("acme/whisper")
    dag = dag_file("leases").nested
    assert run(dag)["dag"] == "success"
    weights = stored_priorities(dag.dag_id)
    restores = {name for name in weights if name.endswith(".restore")}
    assert {weights.pop(name) for name in restores} == {HIGHEST}
    assert all(-HIGHEST < weight < 100 for weight in weights.values()), weights


def stored_priorities(dag_id: str) -> dict[str, int]:
    """The priority of each task instance in Airflow's database."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        rows = session.query(TaskInstance.task_id, TaskInstance.priority_weight)
        return dict(rows.filter(TaskInstance.dag_id == dag_id).all())
