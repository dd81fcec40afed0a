"""Hardware groups whose work waits until the test has marked or cleared their tasks."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path

from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import DAG, task
except ImportError:
    from airflow import DAG
    from airflow.decorators import task

MAY_END = Path(os.environ["WORK_MAY_END"])

for dag_id in ("work_cleared_alone", "upgrade_marked_success", "run_marked_failed"):
    with (
        DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1), is_paused_upon_creation=False) as dag,
        SpaceHardwareTaskGroup(
            "gpu",
            f"acme/{dag_id}",
            "t4-small",
            sleep_time=360_000,
            deferrable=True,
            poll_interval=1,
            restore_retries=0,
            retry_delay=timedelta(seconds=1),
        ),
    ):

        @task
        def work() -> None:
            while not MAY_END.exists():
                time.sleep(0.2)

        work()
    globals()[dag_id] = dag
