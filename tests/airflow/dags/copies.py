"""Groups that work on a copy of a Space, in the shapes that DAG authors write."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.operators.lifecycle import GetSpaceRuntimeOperator
from airflow_provider_hfspaces.task_groups.copies import SpaceCopyTaskGroup

try:
    from airflow.sdk import DAG, task, task_group
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task, task_group

SPACE = "acme/whisper"
COMMON = {"schedule": None, "start_date": datetime(2026, 1, 1), "catchup": False}
QUICK = {"retry_delay": timedelta(0), "retries": 0, "delete_retries": 1, "to_id": "acme/whisper"}


def copy_group(**options: Any) -> SpaceCopyTaskGroup:
    return SpaceCopyTaskGroup("gpu", **{"repo_id": SPACE, "hardware": "t4-small", **QUICK, **options})


@task
def work(repo_id: str) -> str | None:
    return HfSpacesHook().get_runtime(repo_id).hardware


@task
def bad() -> None:
    raise RuntimeError("the work failed")


@task.short_circuit
def nothing_to_do() -> bool:
    return False


@task
def after() -> None:
    pass


with DAG("copy", **COMMON) as plain:
    with copy_group(
        sleep_time=1200,
        secrets={"TOKEN": "{{ 'very-' ~ 's3cr3t' }}", "OTHER": os.environ.get("COPY_SECRET", "none")},
        variables={"MODEL": "{{ 'large' }}"},
        volumes=[{"type": "bucket", "source": "acme/data", "mount_path": "/data"}],
    ) as copy:
        work(copy.repo_id)
        GetSpaceRuntimeOperator(task_id="look", repo_id=copy.repo_id)
    copy >> after()

with DAG("copy_failing", **COMMON) as failing:
    with copy_group() as copy:
        bad() >> work(copy.repo_id)
    copy >> after()

with DAG("copy_silent", **COMMON) as silent, copy_group(health={"text": "never"}, timeout=1) as copy:
    work(copy.repo_id)

with DAG("copy_skipped", **COMMON) as skipped, copy_group() as copy:
    nothing_to_do() >> work(copy.repo_id)

with DAG("copy_short_circuit_beside_failed_work", **COMMON) as short_circuit, copy_group() as copy:
    nothing_to_do() >> work(copy.repo_id)
    bad()

with DAG("copy_too_expensive", **COMMON) as too_expensive, copy_group(max_run_cost=0.001) as copy:
    # The first minute on a t4-small costs $0.0067.
    work(copy.repo_id)

with DAG("copy_mapped", **COMMON) as mapped:

    @task_group
    def shard(space: str, hardware: str) -> None:
        with copy_group(repo_id=space, hardware=hardware) as copy:
            work(copy.repo_id)

    shard.expand_kwargs(
        [
            {"space": SPACE, "hardware": "t4-small"},
            {"space": SPACE, "hardware": "cpu-upgrade"},
        ]
    )
