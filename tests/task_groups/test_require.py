"""Tasks of a hardware group run only on the requested hardware, which waits for their upstream tasks."""

from __future__ import annotations

import inspect
import json
import re
from importlib import import_module
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.require import require_hardware
from airflow_provider_hfspaces.task_groups.copies import SpaceCopyTaskGroup
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup
from tests.airflow_tools import dag_file, run
from tests.conftest import TaskLog
from tests.emulator.commits import commit

pytestmark = pytest.mark.usefixtures("airflow_db")


def group_dag(name: str) -> Any:
    return getattr(dag_file("groups"), name)


def without_upgrade(dag: Any) -> Any:
    """The DAG with an upgrade that requests nothing, as after *mark success*."""
    dag.get_task("gpu.upgrade").execute = lambda context: None
    return dag


@pytest.mark.parametrize("name", ["required_by_default", "required_of_mapped_work"])
def test_work_does_not_run_when_upgrade_is_marked_success(
    hub: HubEmulator, task_log: TaskLog, name: str
) -> None:
    hub.add_space("acme/whisper")
    states = run(without_upgrade(group_dag(name)))
    work = {state for task, state in states.items() if task.startswith("gpu.work")}
    assert (work, states["gpu.restore"], states["dag"]) == ({"failed"}, "success", "failed")
    assert "Space acme/whisper is not on t4-small, which this task needs" in task_log.text


def test_work_runs_on_any_hardware_with_require_false(hub: HubEmulator) -> None:
    hub.add_space("acme/whisper")
    assert run(without_upgrade(group_dag("not_required")))["dag"] == "success"


def test_mapped_work_runs_on_the_hardware(hub: HubEmulator) -> None:
    hub.add_space("acme/whisper")
    assert set(run(group_dag("required_of_mapped_work")).values()) == {"success"}


def test_operators_on_the_space_itself_do_not_check_its_hardware(hub: HubEmulator) -> None:
    hub.add_space("acme/whisper")
    assert set(run(group_dag("required_beside_operators")).values()) == {"success"}


def test_a_tasks_own_pre_execute_is_called_too(hub: HubEmulator) -> None:
    hub.add_space("acme/whisper")
    module = dag_file("groups")
    assert run(module.own_pre_execute)["dag"] == "success"
    assert module.calls == ["gpu.careful"]


def test_a_space_that_sleeps_on_the_hardware_passes(hub: HubEmulator) -> None:
    hub.add_space("acme/asleep", hardware="t4-small", stage="SLEEPING")
    hub.add_space("acme/paused", hardware="t4-small", stage="PAUSED")
    require_hardware("acme/asleep", "t4-small")
    for space, hardware in (("acme/paused", "t4-small"), ("acme/asleep", "a10g-small")):
        with pytest.raises(AirflowFailException, match=f"Space {space} is not on {hardware}"):
            require_hardware(space, hardware)


def test_a_templated_connection_is_rendered_for_the_check(hub: HubEmulator, task_log: TaskLog) -> None:
    hub.add_space("acme/whisper")
    states = run(group_dag("templated_connection"))
    assert (states["gpu.work"], states["outside"]) == ("success", "failed")
    assert "Space acme/whisper is not on t4-small, which this task needs" in task_log.text


def test_every_parse_serializes_the_dag_identically() -> None:
    objects = import_module("airflow.serialization.serialized_objects")
    serializer = getattr(objects, "DagSerialization", None) or objects.SerializedDAG

    def serialized_work() -> str:
        tasks = serializer.to_dict(group_dag("required_of_mapped_work"))["dag"]["tasks"]
        text = json.dumps([task for task in tasks if "gpu.work" in json.dumps(task)])
        # Each import of the DAG file gives its module a new name.
        return re.sub(r"hfspaces_dag_groups_[0-9a-f]+", "", text)

    assert "0x" not in serialized_work()
    assert serialized_work() == serialized_work()


def test_the_upgrade_waits_for_the_tasks_that_the_work_needs(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper")
    dag = group_dag("prepared")
    assert dag.get_task("gpu.snapshot").upstream_task_ids == {"prepare"}
    assert set(run(dag).values()) == {"success"}
    assert "t4-small" in {moment.hardware for moment in space.history}


def test_the_snapshot_does_not_wait_for_tasks_after_the_work_or_for_a_branch() -> None:
    for name in ("prepared_in_between", "prepared_by_branch"):
        assert group_dag(name).get_task("gpu.snapshot").upstream_task_ids == set()


def test_a_limit_may_come_from_a_mapped_group(hub: HubEmulator) -> None:
    hub.add_space("acme/a")
    hub.add_space("acme/b")
    states = run(group_dag("mapped_limits"))
    assert (states["limited.gpu.upgrade[0]"], states["limited.gpu.upgrade[1]"]) == ("success", "failed")


def group(**options: Any) -> SpaceHardwareTaskGroup:
    arguments: dict[str, Any] = {"repo_id": "acme/whisper", "hardware": "t4-small", **options}
    return SpaceHardwareTaskGroup("group", **arguments)


def task(name: str = "batch", **options: Any) -> Any:
    from airflow_provider_hfspaces.compat.imports import empty_operator

    return empty_operator()(task_id=name, **options)


def test_a_task_that_is_added_without_the_with_block_is_refused() -> None:
    with group_dag("required_by_default"):
        gpu = group()
        with pytest.raises(ValueError, match=r"batch' is added to task group 'group' outside"):
            task(task_group=gpu)


def test_a_task_that_is_added_after_the_with_block_is_refused() -> None:
    with group_dag("required_by_default"):
        with group() as gpu:
            task()
        with pytest.raises(ValueError, match="outside its with block"):
            task("late", task_group=gpu)
        with pytest.raises(ValueError, match="'group' is entered a second time"), gpu:
            pass


def test_a_first_task_with_a_trigger_rule_that_a_setup_refuses_is_named() -> None:
    with (
        group_dag("required_by_default"),
        pytest.raises(ValueError, match=r"Task 'group\.batch' is the first of task group 'group' and has"),
        group(),
    ):
        task(trigger_rule="all_done")


def test_trigger_rules_among_default_args_do_not_reach_the_groups_own_tasks() -> None:
    with group_dag("required_by_default"), group(default_args={"trigger_rule": "all_done"}) as gpu:
        task(trigger_rule="all_success")
    assert {gpu.snapshot.trigger_rule, gpu.upgrade.trigger_rule} == {"all_success"}
    assert gpu.restore.trigger_rule == "all_done_setup_success"


def plain_parameters(group: type) -> list[str]:
    """The parameters of a group whose documentation does not say that they may be templates or outputs."""
    documented = re.findall(r":param (\w+): (.*?)(?=\n:|\Z)", inspect.getdoc(group) or "", re.S)
    is_rendered = re.compile(r"\bmay\s+(be|have)\b", re.I)
    return [
        name
        for name, text in documented
        if name not in ("group_id", "task_group_arguments") and not is_rendered.search(text)
    ]


@pytest.mark.parametrize(
    ("group_class", "name"),
    [
        (each, name)
        for each in (SpaceHardwareTaskGroup, SpaceCopyTaskGroup)
        for name in plain_parameters(each)
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_value_that_must_be_known_at_parse_time_is_refused_by_name(group_class: Any, name: str) -> None:
    dag = group_dag("prepared")
    with dag, pytest.raises(ValueError, match=f"^{name} of task group 'group' comes from a task"):
        group_class(
            "group",
            repo_id="acme/whisper",
            hardware="t4-small",
            **{name: dag.get_task("prepare").output},
        )


def test_a_task_that_needs_a_commit_is_refused_at_another_one(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper", hardware="t4-small", sleep_time=3600)
    sha = str(commit(hub, {"app.py": b"1"}).json()["commitOid"])
    with pytest.raises(AirflowFailException, match="is not on t4-small"):
        require_hardware("acme/whisper", "t4-small", sha=sha)
    hub.advance(300)
    require_hardware("acme/whisper", "t4-small", sha=sha[:7])
    with pytest.raises(AirflowFailException, match=f"runs {sha[:7]}, and this task needs commit aaaaaaa"):
        require_hardware("acme/whisper", "t4-small", sha="a" * 40)
    hub.settings.runtime_has_sha = False
    with pytest.raises(AirflowFailException, match="runs a commit that the Hub does not report"):
        require_hardware("acme/whisper", "t4-small", sha=sha)
    hub.advance(4000)
    assert space.stage == "SLEEPING"
    require_hardware("acme/whisper", "t4-small", sha=sha)
    with pytest.raises(AirflowFailException, match="this task needs commit aaaaaaa"):
        require_hardware("acme/whisper", "t4-small", sha="a" * 40)
