"""The log of an upgrade reads as a story; mapped task instances bear the names of their Spaces."""

from __future__ import annotations

import re
from datetime import datetime

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.operators.hardware import RequestHardwareOperator, SetSleepTimeOperator
from airflow_provider_hfspaces.operators.lifecycle import PauseSpaceOperator
from airflow_provider_hfspaces.sensors.spaces import SpaceRunningSensor
from tests.airflow_tools import Try
from tests.conftest import TaskLog

try:
    from airflow.sdk import DAG, task_group
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task_group


@pytest.fixture
def hub_time() -> dict[str, float]:
    """However slow the machine, no stage passes unseen."""
    return {"speed": 0, "seconds_per_request": 15}


def upgrade(**more: object) -> RequestHardwareOperator:
    arguments = {"hardware": "t4-small", "sleep_time": 3600, "poll_interval": 0.02, **more}
    return RequestHardwareOperator(task_id="upgrade", repo_id="acme/whisper", **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("deferrable", [False, True], ids=["in a worker", "deferred"])
def test_the_log_shows_the_request_the_link_each_change_with_its_time_and_the_cost(
    hub: HubEmulator, task_log: TaskLog, deferrable: bool
) -> None:
    hub.add_space("acme/whisper")
    task = upgrade(deferrable=deferrable)
    Try().run_deferred(task) if deferrable else Try().run(task)
    lines = [
        r"Space acme/whisper is RUNNING on cpu-basic. Requesting t4-small \(\$0.40/h\)",
        re.escape(f"{hub.url}/spaces/acme/whisper"),
        "Waiting until Space acme/whisper is .* for at most 1800 seconds, in "
        + ("the triggerer" if deferrable else "this worker"),
        r"\d+ s  acme/whisper is RUNNING_BUILDING on cpu-basic, t4-small requested",
        r"\d+ s  acme/whisper is RUNNING on t4-small",
        r"Space acme/whisper runs on t4-small, which costs about \$0.40 per hour, by the Hub's list price",
        "Space acme/whisper sleeps after 3600 seconds without a visitor",
    ]
    assert re.search(".*?".join(lines), task_log.text, re.DOTALL), task_log.text


def test_the_log_shows_the_cost_of_all_replicas(hub: HubEmulator, task_log: TaskLog) -> None:
    hub.add_space("acme/whisper", hardware="cpu-upgrade", replicas=2)
    Try().run(upgrade())
    assert "which costs about $0.80 per hour for 2 replicas" in task_log.text


def test_the_log_says_that_hardware_has_no_list_price(hub: HubEmulator, task_log: TaskLog) -> None:
    hub.add_space("acme/whisper")
    Try().run(upgrade(hardware="h200"))
    assert "whose price the Hub does not list" in task_log.text


def test_task_instances_that_are_mapped_over_spaces_bear_their_names() -> None:
    names = {}
    with DAG("mapped", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        PauseSpaceOperator.partial(task_id="spaces").expand(repo_id=["acme/a", "acme/b"])
        SpaceRunningSensor.partial(task_id="sensor").expand(repo_id=["acme/a"])
        PauseSpaceOperator.partial(task_id="own", map_index_template="mine").expand(repo_id=["acme/a"])
        SetSleepTimeOperator.partial(task_id="times", repo_id="acme/a").expand(sleep_time=[60, 120])
        PauseSpaceOperator(task_id="plain", repo_id="acme/a")

        @task_group
        def group(space: str) -> None:
            PauseSpaceOperator(task_id="pause", repo_id=space)

        group.expand(space=["acme/a"])
    names = {task.task_id: task.map_index_template for task in dag.tasks}
    assert names == {
        "spaces": "{{ ti.task.repo_id }}",
        "sensor": "{{ ti.task.repo_id }}",
        "group.pause": "{{ ti.task.repo_id }}",
        "own": "mine",
        "times": None,
        "plain": None,
    }
