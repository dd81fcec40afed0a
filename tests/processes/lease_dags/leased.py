"""One DAG, with its own Space, for each way in which the work on a leased Space can end."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import DAG, get_current_context, task
except ImportError:
    from airflow import DAG
    from airflow.decorators import task
    from airflow.operators.python import get_current_context

COMMON: dict[str, Any] = {
    "schedule": None,
    "start_date": datetime(2026, 1, 1),
    "is_paused_upon_creation": False,
}
SIGNALS = Path(os.environ["LEASE_SIGNALS"])
"""The folder in which the work writes its process id, and in which a test tells the work to end."""


@task
def batch() -> None:
    context = get_current_context()
    name = f"{context['dag'].dag_id}.{context['run_id']}"
    (SIGNALS / f"{name}.works").write_text(f"{os.getpid()}")
    while not (SIGNALS / f"{name}.end").exists():
        if (SIGNALS / f"{name}.fail").exists():
            raise RuntimeError("the work failed")
        time.sleep(0.2)


def lease_dag(
    dag_id: str,
    *,
    sleep_time: int = 360_000,
    restore_dormant: str = "pause",
    max_active_runs: int = 1,
    **arguments: Any,
) -> DAG:
    with (
        DAG(dag_id, max_active_runs=max_active_runs, **COMMON, **arguments) as dag,
        SpaceHardwareTaskGroup(
            "gpu",
            f"acme/{dag_id}",
            "t4-small",
            sleep_time=sleep_time,
            restore_dormant=restore_dormant,
            deferrable=True,
            poll_interval=1,
            # A task that is resumed within seconds of being deferred may look failed to Airflow.
            lease_poll_interval=10,
            retries=2 if dag_id != "upgrade_fails" else 0,
            retry_delay=timedelta(seconds=1),
        ) as gpu,
    ):
        batch.override(pre_execute=gpu.require_hardware)()
    return dag


all_ok = lease_dag("all_ok")
work_raises = lease_dag("work_raises")
work_killed = lease_dag("work_killed")
work_marked_failed = lease_dag("work_marked_failed")
work_marked_success = lease_dag("work_marked_success")
work_cleared = lease_dag("work_cleared")
only_failed_cleared = lease_dag("only_failed_cleared")
run_marked_failed = lease_dag("run_marked_failed")
run_marked_success = lease_dag("run_marked_success")
run_deleted = lease_dag("run_deleted")
run_times_out = lease_dag("run_times_out", sleep_time=600, dagrun_timeout=timedelta(seconds=60))
upgrade_fails = lease_dag("upgrade_fails")
upgrade_killed = lease_dag("upgrade_killed")
run_marked_failed_while_upgrading = lease_dag("run_marked_failed_while_upgrading")
overlapping = lease_dag("overlapping", max_active_runs=3)
waiting_marked_success = lease_dag("waiting_marked_success", max_active_runs=2)
worker_dies = lease_dag("worker_dies")
scheduler_dies = lease_dag("scheduler_dies")
triggerer_dies = lease_dag("triggerer_dies")
machine_dies = lease_dag("machine_dies")
machine_stays_dead = lease_dag("machine_stays_dead", sleep_time=3600)
slept_before = lease_dag("slept_before")
failed_before = lease_dag("failed_before")
sleeps_again = lease_dag("sleeps_again", restore_dormant="sleep")
