"""Hardware groups whose runs may cost only so much."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task

COMMON = {"schedule": None, "start_date": datetime(2026, 1, 1), "catchup": False}
QUICK = {"retry_delay": timedelta(0), "retries": 0, "restore_retries": 0, "sleep_time": 360_000}


@task
def work() -> str | None:
    return HfSpacesHook().get_runtime("acme/whisper").hardware


with DAG("enough", **COMMON) as enough:
    with SpaceHardwareTaskGroup("gpu", "acme/whisper", "t4-small", max_run_cost=5.0, **QUICK) as gpu:
        work()
    gpu >> work.override(task_id="after")()

with DAG("too_much", **COMMON) as too_much:
    # The first minute on a t4-small costs $0.0067.
    with SpaceHardwareTaskGroup("gpu", "acme/whisper", "t4-small", max_run_cost=0.001, **QUICK) as gpu:
        work()
    gpu >> work.override(task_id="after")()
