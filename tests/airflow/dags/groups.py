"""Hardware groups whose work ends in an unusual way or depends on tasks outside the group."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.operators.lifecycle import PauseSpaceOperator, RestartSpaceOperator
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import DAG, task, task_group
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task, task_group

SPACE = "acme/whisper"
COMMON = {"schedule": None, "start_date": datetime(2026, 1, 1), "catchup": False}
QUICK = {"retry_delay": timedelta(0), "retries": 0, "restore_retries": 0, "sleep_time": 360_000}


def gpu_group(**options: object) -> SpaceHardwareTaskGroup:
    return SpaceHardwareTaskGroup("gpu", **{"repo_id": SPACE, "hardware": "t4-small", **QUICK, **options})


@task
def work(value: object = None, space: str = SPACE) -> str | None:
    return HfSpacesHook().get_runtime(space).hardware


@task
def bad() -> None:
    raise RuntimeError("the work failed")


@task.short_circuit
def nothing_to_do() -> bool:
    return False


@task
def after() -> None:
    pass


with DAG("short_circuit_beside_failed_work", **COMMON) as short_circuit_beside_failed_work:
    with gpu_group() as gpu:
        nothing_to_do() >> work()
        bad()
    gpu >> after()

with DAG("short_circuit", **COMMON) as short_circuit:
    with gpu_group() as gpu:
        nothing_to_do() >> work()
    gpu >> after()

with DAG("short_circuit_as_last_task", **COMMON) as short_circuit_as_last_task, gpu_group():
    work() >> nothing_to_do()

with DAG("short_circuit_beside_join", **COMMON) as short_circuit_beside_join, gpu_group():
    [nothing_to_do(), work.override(task_id="slow")()] >> work.override(task_id="join")()

with DAG("branch_as_last_task", **COMMON) as branch_as_last_task:

    @task.branch
    def choose() -> str:
        return "publish"

    with gpu_group():
        chosen = choose()
        work() >> chosen
    chosen >> [after.override(task_id="publish")(), after.override(task_id="discard")()]

with DAG("failing_branch_as_last_task", **COMMON) as failing_branch_as_last_task, gpu_group():

    @task.branch
    def choose_badly() -> str:
        raise RuntimeError("the branch failed")

    choose_badly()

with DAG("followed_by_cleanup", **COMMON) as followed_by_cleanup:
    with gpu_group() as gpu:
        bad()
    gpu >> after.override(trigger_rule="all_done")()

with DAG("joined_after_branches", **COMMON) as joined_after_branches:

    @task.branch
    def choose_one() -> str:
        return "gpu.chosen"

    with gpu_group() as gpu:
        choose_one() >> [work.override(task_id="chosen")(), work.override(task_id="other")()]
    gpu >> after.override(trigger_rule="none_failed_min_one_success")()

with DAG("followed_in_outer_group", **COMMON) as followed_in_outer_group:

    @task_group
    def outer() -> None:
        with gpu_group():
            work()

    outer() >> after()

with DAG("prepared", **COMMON) as prepared:

    @task
    def prepare() -> str | None:
        return HfSpacesHook().get_runtime(SPACE).hardware

    prepared_data = prepare()
    with gpu_group():
        work(prepared_data)

with DAG("prepared_in_between", **COMMON) as prepared_in_between:
    with gpu_group():
        first = work.override(task_id="first")()
        second = work.override(task_id="second")()
    between = after.override(task_id="between")()
    first >> between >> second

with DAG("prepared_by_branch", **COMMON) as prepared_by_branch:

    @task.branch
    def choose_work() -> str:
        return "gpu.chosen"

    choice = choose_work()
    with gpu_group():
        choice >> [work.override(task_id="chosen")(), work.override(task_id="other")()]

with DAG("required_by_default", **COMMON) as required_by_default, gpu_group():
    work()

with DAG("required_of_mapped_work", **COMMON) as required_of_mapped_work, gpu_group():
    work.expand(value=[1, 2])

with DAG("not_required", **COMMON) as not_required, gpu_group(require=False):
    work()

with DAG("required_beside_operators", **COMMON) as required_beside_operators, gpu_group():
    (
        PauseSpaceOperator(task_id="pause", repo_id=SPACE)
        >> RestartSpaceOperator(task_id="restart", repo_id=SPACE)
        >> work()
    )

with DAG("own_pre_execute", **COMMON) as own_pre_execute, gpu_group():

    @task
    def careful() -> None:
        pass

    calls: list[object] = []
    careful.override(pre_execute=lambda context: calls.append(context["ti"].task_id))()

with DAG(
    "templated_connection", params={"connection": "hf_spaces_default"}, **COMMON
) as templated_connection:
    with gpu_group(hf_spaces_conn_id="{{ params.connection }}") as gpu:
        work()
    after.override(task_id="outside", pre_execute=gpu.require_hardware)()

with DAG("mapped_limits", **COMMON) as mapped_limits:

    @task_group
    def limited(space: str, limit: float) -> None:
        with gpu_group(repo_id=space, max_hourly_cost=limit):
            work(space=space)

    limited.expand_kwargs([{"space": "acme/a", "limit": 100.0}, {"space": "acme/b", "limit": 0.01}])
