"""Hardware groups in the shapes that DAG authors write."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.branches import commit_file, get_head
from airflow_provider_hfspaces.hub.lease.store import lease_branch
from airflow_provider_hfspaces.require import require_hardware
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import DAG, Variable, task, task_group
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task, task_group
    from airflow.models.variable import Variable

COMMON = {"schedule": None, "start_date": datetime(2026, 1, 1), "catchup": False}
QUICK = {"retry_delay": timedelta(0), "retries": 0, "restore_retries": 1, "sleep_time": 360_000}


@task
def work(space: str = "acme/whisper") -> str | None:
    return HfSpacesHook().get_runtime(space).hardware


@task
def failing_work() -> None:
    raise RuntimeError("the work failed")


with DAG("lease", **COMMON) as lease:
    with SpaceHardwareTaskGroup("gpu", "acme/whisper", "t4-small", **QUICK) as gpu:
        work.override(pre_execute=gpu.require_hardware)()
    gpu >> work.override(task_id="after")()

with DAG("lease_failing", **COMMON) as failing:
    with SpaceHardwareTaskGroup("gpu", "acme/whisper", "t4-small", **QUICK) as gpu:
        failing_work() >> work()
    gpu >> work.override(task_id="after")()

with (
    DAG("lease_branching", **COMMON) as branching,
    SpaceHardwareTaskGroup("gpu", "acme/whisper", "t4-small", **QUICK) as gpu,
):

    @task.branch
    def choose() -> str:
        return "gpu.chosen"

    @task.short_circuit
    def nothing_more() -> bool:
        return False

    chosen = work.override(task_id="chosen")()
    choose() >> [chosen, work.override(task_id="other")()]
    nothing_more() >> work.override(task_id="never")()
    work.override(task_id="beside")()

with (
    DAG("lease_nested", **COMMON) as nested,
    SpaceHardwareTaskGroup("outer", "acme/whisper", "cpu-upgrade", **QUICK),
):
    first = work.override(task_id="first")()
    with SpaceHardwareTaskGroup("inner", "acme/whisper", "t4-small", **QUICK) as inner:
        work.override(task_id="second")()
    first >> inner >> work.override(task_id="third", weight_rule="upstream")()

with DAG("lease_mapped", **COMMON) as mapped:

    @task_group
    def on_gpu(space: str) -> None:
        with SpaceHardwareTaskGroup("gpu", space, "t4-small", **QUICK):
            work(space)

    on_gpu.expand(space=["acme/a", "acme/b"])

with DAG("lease_looped", **COMMON) as looped:
    for name in ("a", "b"):
        with SpaceHardwareTaskGroup(f"gpu_{name}", f"acme/{name}", "t4-small", **QUICK):
            work(f"acme/{name}")

with (
    DAG("lease_to_other", **COMMON) as to_other,
    SpaceHardwareTaskGroup("gpu", "acme/whisper", "t4-small", restore="cpu-upgrade", **QUICK),
):
    work()

with (
    DAG("lease_to_pause", **COMMON) as to_pause,
    SpaceHardwareTaskGroup("gpu", "acme/whisper", "t4-small", restore="pause", **QUICK),
):
    work()

with DAG("lease_required", **COMMON) as required:

    @task
    def careful() -> None:
        require_hardware("acme/whisper", "t4-small")

    careful()

with DAG("lease_side_by_side", **COMMON) as side_by_side:
    with SpaceHardwareTaskGroup("one", "acme/a", "t4-small", prefix_group_id=False, **QUICK):
        work("acme/a")
    with SpaceHardwareTaskGroup("two", "acme/b", "t4-small", **QUICK):
        work("acme/b")

with (
    DAG("lease_moving", **COMMON) as moving,
    SpaceHardwareTaskGroup("gpu", "{{ var.value.get('space', 'acme/whisper') }}", "t4-small", **QUICK),
):

    @task
    def point_elsewhere() -> None:
        Variable.set("space", "acme/other")

    point_elsewhere()

with (
    DAG("lease_broken", **COMMON) as broken,
    SpaceHardwareTaskGroup("gpu", "acme/whisper", "t4-small", **QUICK),
):

    @task
    def write_over_the_lease() -> None:
        client = HfSpacesHook().client
        branch = lease_branch("acme/whisper")
        head = client.send(get_head(branch))
        client.send(commit_file(branch, "lease.json", "not a lease", parent=head, summary="Write over it"))

    write_over_the_lease()

with (
    DAG("lease_in_turn", default_args={"depends_on_past": True}, **COMMON) as in_turn,
    SpaceHardwareTaskGroup("gpu", "acme/whisper", "t4-small", **QUICK),
):
    work()
