"""Task groups whose hardware is a list: their work runs on the flavor that was taken, and on no other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.emulator import Fault, HubEmulator
from airflow_provider_hfspaces.hardware import any_hardware
from airflow_provider_hfspaces.require import require_hardware
from airflow_provider_hfspaces.task_groups.copies import SpaceCopyTaskGroup
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup
from tests.airflow_tools import Try, dag_file, run
from tests.conftest import TaskLog

pytestmark = pytest.mark.usefixtures("airflow_db")

SPACE = "acme/whisper"
LIST = ["l4x1", "a10g-small", "t4-small"]


def list_dag(name: str) -> Any:
    return getattr(dag_file("hardware_lists"), name)


def requested_flavors(hub: HubEmulator, path: str = f"{SPACE}/hardware") -> list[str]:
    return [each.json["flavor"] for each in hub.requests if each.path.endswith(path)]


def test_the_work_runs_on_the_flavor_that_was_taken_and_the_lease_names_it_last(
    hub: HubEmulator, task_log: TaskLog
) -> None:
    space = hub.add_space(SPACE)
    space.no_capacity("l4x1")
    assert set(run(list_dag("listed")).values()) == {"success"}
    assert requested_flavors(hub) == ["l4x1", "a10g-small", "cpu-basic"]
    assert "Returned value was: ['l4x1', 'a10g-small']" in task_log.text
    assert space.requested_hardware == "cpu-basic"
    assert "none of its hardware" not in task_log.text


@pytest.mark.slow
def test_work_does_not_run_on_another_flavor_of_the_list_than_the_one_that_was_taken(
    hub: HubEmulator, task_log: TaskLog
) -> None:
    space = hub.add_space(SPACE)
    states = run(list_dag("listed_by_param"))
    # The first task of the work moves the Space to another flavor of the list.
    assert (states["gpu.move_to"], states["gpu.requested_under_the_lease"]) == ("success", "failed")
    assert "Space acme/whisper is not on l4x1, which this task needs" in task_log.text
    assert (states["gpu.restore"], space.requested_hardware) == ("success", "cpu-basic")


@pytest.mark.slow
def test_a_mapped_task_takes_a_list_or_a_description_each(hub: HubEmulator) -> None:
    hub.add_space(SPACE).no_capacity("l4x1")
    assert set(run(list_dag("listed_and_mapped")).values()) == {"success"}
    assert sorted(requested_flavors(hub)) == ["l40sx1", "l4x1", "t4-small"]


def test_a_copy_takes_the_first_flavor_that_is_available(hub: HubEmulator, task_log: TaskLog) -> None:
    hub.add_space(SPACE)
    hub.faults.add(Fault("status", status=400, method="POST", path="/duplicate$", times=1))
    states = run(list_dag("listed_for_a_copy"))
    assert set(states.values()) == {"success"}
    assert "Returned value was: a10g-small" in task_log.text
    assert not hub.bill().running


@pytest.mark.parametrize("group", [SpaceHardwareTaskGroup, SpaceCopyTaskGroup])
@pytest.mark.parametrize("hardware", [[], [3], {"vram_gb": 24}], ids=str)
def test_a_list_that_is_not_valid_is_refused_with_the_name_of_the_group(group: Any, hardware: Any) -> None:
    raises_error = pytest.raises(ValueError, match="Task group 'gpu': hardware must be a flavor")
    with dag_file("hardware_lists").DAG("refused"), raises_error:
        group("gpu", SPACE, hardware)


class TestRequireHardware:
    def test_with_from_task_only_the_flavor_that_the_task_has_taken_will_do(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        tries = Try()
        context = {"ti": tries.ti, "task": SimpleNamespace(render_template=lambda value, context: value)}
        tries.ti.task_id = "upgrade"
        tries.ti.xcom_push("requested", "t4-small")
        require_hardware(SPACE, LIST, context, from_task="upgrade")
        tries.ti.xcom_push("requested", "l4x1")
        with pytest.raises(AirflowFailException, match="is not on l4x1, which this task needs"):
            require_hardware(SPACE, LIST, context, from_task="upgrade")

    @pytest.mark.parametrize("hardware", [LIST, any_hardware(vram_gb=16)])
    def test_any_flavor_of_a_list_will_do(self, hub: HubEmulator, hardware: Any) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        require_hardware(SPACE, hardware)
        assert {request.method for request in hub.requests} == {"GET"}

    def test_other_hardware_is_refused(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        with pytest.raises(AirflowFailException, match="is not on l4x1, a10g-small or t4-small, which"):
            require_hardware(SPACE, LIST)
