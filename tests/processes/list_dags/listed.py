"""A lease with a list of hardware, whose worker the test kills between two flavors."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task

SPACE = "acme/listed"


@task
def work() -> str:
    hardware = HfSpacesHook().get_runtime(SPACE).hardware
    print(f"The work runs on {hardware}.")
    return str(hardware)


with (
    DAG("listed", schedule=None, start_date=datetime(2026, 1, 1), is_paused_upon_creation=False) as dag,
    SpaceHardwareTaskGroup(
        "gpu",
        SPACE,
        ["l4x1", "a10g-small", "t4-small"],
        sleep_time=360_000,
        poll_interval=1,
        retries=5,
        restore_retries=1,
        retry_delay=timedelta(seconds=1),
    ),
):
    work()
