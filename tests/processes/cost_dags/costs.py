"""Hardware groups whose runs may cost only so much, and whose work waits until the test lets it end."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path

from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task

MAY_END = Path(os.environ["WORK_MAY_END"])

# The second minute on a t4-small takes the cost of a run to $0.0133.
for dag_id, max_run_cost in (("too_much", 0.008), ("enough", 5.0)):
    with (
        DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1), is_paused_upon_creation=False) as dag,
        SpaceHardwareTaskGroup(
            "gpu",
            f"acme/{dag_id}",
            "t4-small",
            sleep_time=360_000,
            max_run_cost=max_run_cost,
            deferrable=True,
            poll_interval=1,
            retry_delay=timedelta(seconds=1),
        ),
    ):

        @task
        def work() -> None:
            while not MAY_END.exists():
                time.sleep(0.2)

        work()
    globals()[dag_id] = dag
