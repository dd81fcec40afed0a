"""A hardware group restores its Space, whatever the shape of the DAG."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.require import require_hardware
from airflow_provider_hfspaces.state.leases import lease_store
from tests.airflow_tools import dag_file, run
from tests.conftest import HOME

pytestmark = pytest.mark.usefixtures("airflow_db")


def hardware_of(space: Any) -> set[str]:
    return {moment.hardware for moment in space.history}


def remaining_leases(repo_id: str = "acme/whisper") -> list[str]:
    """The holders in the lease record, and the Variables about holders."""
    hook = HfSpacesHook()
    record, _ = hook.execute(lease_store(hook, repo_id).read())
    return [each.holder_id for each in record.holders] + remaining_variables()


def remaining_variables() -> list[str]:
    """The Variables of this package, but for the costs of the runs, which stay for the cost page."""
    with sqlite3.connect(HOME / "airflow.db") as database:
        rows = database.execute("SELECT key FROM variable WHERE key LIKE 'hf_spaces%'").fetchall()
    return [name for (name,) in rows if not name.startswith("hf_spaces_run_costs")]


def save_variable(name: str, value: str) -> None:
    """Save a Variable, as a user does in the UI."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(Variable(key=name, val=value))


def test_the_work_runs_on_the_gpu_and_the_space_is_restored(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper", hardware="cpu-upgrade", sleep_time=1200)
    states = run(dag_file("leases").lease)
    assert set(states.values()) == {"success"}
    assert "gpu.done" in states
    assert "t4-small" in hardware_of(space)
    assert (space.requested_hardware, space.sleep_time) == ("cpu-upgrade", 1200)
    assert remaining_leases() == []


def test_a_paused_space_is_paused_again(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper", stage="PAUSED")
    assert run(dag_file("leases").to_other)["dag"] == "success"
    assert "t4-small" in hardware_of(space)
    assert (space.stage, space.requested_hardware) == ("PAUSED", "cpu-upgrade")


@pytest.mark.parametrize("before", ["RUNNING", "SLEEPING"])
def test_restore_pause_pauses_the_space_in_any_case(hub: HubEmulator, before: str) -> None:
    space = hub.add_space("acme/whisper", hardware="cpu-upgrade", sleep_time=1200, stage=before)
    assert run(dag_file("leases").to_pause)["dag"] == "success"
    assert "t4-small" in hardware_of(space)
    assert (space.stage, space.requested_hardware, space.sleep_time) == ("PAUSED", "cpu-upgrade", 1200)
    assert not hub.bill(space.repo_id).running


def test_failed_work_fails_the_run_and_the_space_is_restored(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper")
    states = run(dag_file("leases").failing)
    assert states == {
        "gpu.snapshot": "success",
        "gpu.upgrade": "success",
        "gpu.failing_work": "failed",
        "gpu.work": "upstream_failed",
        "gpu.restore": "success",
        "gpu.outcome": "upstream_failed",
        "gpu.done": "upstream_failed",
        "after": "upstream_failed",
        "dag": "failed",
    }
    assert "t4-small" in hardware_of(space)
    assert space.requested_hardware == "cpu-basic"
    assert remaining_leases() == []


def test_a_failed_upgrade_fails_the_run_and_the_space_is_restored(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper")
    space.fail_next_build("Job failed with exit code: 137")
    states = run(dag_file("leases").lease)
    assert (states["gpu.upgrade"], states["gpu.work"], states["dag"]) == (
        "failed",
        "upstream_failed",
        "failed",
    )
    assert states["gpu.restore"] == "success"
    assert space.requested_hardware == "cpu-basic"
    assert remaining_leases() == []


def test_a_failed_restore_fails_the_run_and_the_next_run_restores_the_space(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper")
    dag = dag_file("leases").to_other
    dag.get_task("gpu.restore").hardware = "no-such-hardware"
    dag.get_task("gpu.restore").fallback = "no-such-hardware"
    states = run(dag)
    assert (states["gpu.restore"], states["gpu.done"], states["dag"]) == (
        "failed",
        "upstream_failed",
        "failed",
    )
    assert space.requested_hardware == "t4-small"
    (holder, variable) = remaining_leases()
    assert variable == f"hf_spaces_lease_{holder}"
    assert run(dag_file("leases").lease)["dag"] == "success"
    assert space.requested_hardware == "cpu-basic"
    assert remaining_leases() == []


@pytest.mark.parametrize("origin", ["a run that has ended", "a run that is gone"])
def test_the_next_run_restores_a_space_that_a_dead_run_left_on_the_gpu(hub: HubEmulator, origin: str) -> None:
    space = hub.add_space("acme/whisper", hardware="a10g-small")
    dead = ("lease_gone", "gone")
    if origin == "a run that has ended":
        assert run(dag_file("leases").required)["dag"] == "failed"
        with sqlite3.connect(HOME / "airflow.db") as database:
            dead = database.execute("SELECT dag_id, run_id FROM dag_run ORDER BY id DESC LIMIT 1").fetchone()
    previous = {"repo_id": "acme/whisper", "stage": "RUNNING", "hardware": "cpu-upgrade", "sleep_time": 1200}
    holder = {"dag_id": dead[0], "run_id": dead[1], "task_id": "gpu.snapshot", "asked": ["a10g-small"]}
    record = json.dumps({"holders": [{**holder, "previous": previous}]})
    save_variable("hf_spaces_lease:acme:whisper", record)
    assert run(dag_file("leases").lease)["dag"] == "success"
    assert "t4-small" in hardware_of(space)
    assert (space.requested_hardware, space.sleep_time) == ("cpu-upgrade", 1200)
    assert remaining_leases() == []


def test_the_record_of_an_abandoned_lease_survives_a_failed_snapshot(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper", hardware="a10g-small")
    previous = {"repo_id": "acme/whisper", "stage": "RUNNING", "hardware": "cpu-upgrade", "sleep_time": 1200}
    holder = {"dag_id": "lease_gone", "run_id": "gone", "task_id": "gpu.snapshot", "asked": ["a10g-small"]}
    save_variable("hf_spaces_lease:acme:whisper", json.dumps({"holders": [{**holder, "previous": previous}]}))
    hub.faults.add(kind="status", status=403, path="/runtime")
    states = run(dag_file("leases").lease)
    assert (states["gpu.snapshot"], states["gpu.restore"]) == ("failed", "upstream_failed")
    hub.faults.clear()
    assert run(dag_file("leases").lease)["dag"] == "success"
    assert (space.requested_hardware, space.sleep_time) == ("cpu-upgrade", 1200)
    assert remaining_leases() == []


def test_branches_and_skipped_work_do_not_keep_the_gpu(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper")
    states = run(dag_file("leases").branching)
    assert {name: states[f"gpu.{name}"] for name in ("chosen", "other", "never", "beside", "restore")} == {
        "chosen": "success",
        "other": "skipped",
        "never": "skipped",
        "beside": "success",
        "restore": "success",
    }
    assert states["dag"] == "success"
    assert "t4-small" in hardware_of(space)
    assert space.requested_hardware == "cpu-basic"


def test_nested_groups_restore_the_space_one_after_the_other(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper")
    states = run(dag_file("leases").nested)
    assert set(states.values()) == {"success"}
    order = [moment.requested for moment in space.history]
    assert [name for name, last in zip(order, [None, *order], strict=False) if name != last] == [
        "cpu-basic",
        "cpu-upgrade",
        "t4-small",
        "cpu-upgrade",
        "cpu-basic",
    ]
    assert remaining_leases() == []


@pytest.mark.parametrize("name", ["mapped", "looped"])
def test_each_of_several_groups_restores_its_own_space(hub: HubEmulator, name: str) -> None:
    a = hub.add_space("acme/a", hardware="cpu-upgrade", sleep_time=1200)
    b = hub.add_space("acme/b", stage="PAUSED")
    states = run(getattr(dag_file("leases"), name))
    assert set(states.values()) == {"success"}
    assert (a.requested_hardware, a.sleep_time) == ("cpu-upgrade", 1200)
    assert (b.requested_hardware, b.stage) == ("cpu-basic", "PAUSED")
    assert "t4-small" in hardware_of(a) & hardware_of(b)


def test_work_without_an_upgrade_refuses_the_wrong_hardware(hub: HubEmulator) -> None:
    hub.add_space("acme/whisper")
    assert run(dag_file("leases").required) == {"careful": "failed", "dag": "failed"}
    with pytest.raises(Exception, match=r"Space acme/whisper is not on t4-small, .*: it is RUNNING on"):
        require_hardware("acme/whisper", "t4-small")
    require_hardware("acme/whisper", "cpu-basic")


def test_a_group_without_work_is_refused(hub: HubEmulator) -> None:
    from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

    dag = dag_file("leases").required
    with (
        dag,
        pytest.raises(ValueError, match="'empty' has no tasks"),
        SpaceHardwareTaskGroup("empty", "acme/whisper", "t4-small"),
    ):
        pass


def test_each_group_restores_its_own_record_although_another_group_has_tasks_of_equal_names(
    hub: HubEmulator,
) -> None:
    a, b = hub.add_space("acme/a"), hub.add_space("acme/b", hardware="cpu-upgrade")
    states = run(dag_file("leases").side_by_side)
    assert set(states.values()) == {"success"}
    assert "t4-small" in hardware_of(a) & hardware_of(b)
    assert (a.requested_hardware, b.requested_hardware) == ("cpu-basic", "cpu-upgrade")
    assert remaining_leases() == []


def test_the_leased_space_is_restored_although_the_template_now_names_another_space(
    hub: HubEmulator,
) -> None:
    leased_space, other = hub.add_space("acme/whisper"), hub.add_space("acme/other", hardware="cpu-upgrade")
    assert run(dag_file("leases").moving)["dag"] == "success"
    assert "t4-small" in hardware_of(leased_space)
    assert (leased_space.requested_hardware, other.requested_hardware) == ("cpu-basic", "cpu-upgrade")
    assert remaining_leases() == []


def test_a_space_is_restored_although_its_lease_was_overwritten(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper")
    assert run(dag_file("leases").broken)["dag"] == "success"
    assert "t4-small" in hardware_of(space)
    assert space.requested_hardware == "cpu-basic"


def test_a_restore_does_not_wait_for_other_runs(hub: HubEmulator) -> None:
    restore = dag_file("leases").in_turn.get_task("gpu.restore")
    assert (restore.depends_on_past, restore.wait_for_downstream) == (False, False)
