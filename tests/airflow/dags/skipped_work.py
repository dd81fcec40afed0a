"""A window whose work is skipped."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.operators.hardware import (
    RequestHardwareOperator,
    RestoreHardwareOperator,
    SnapshotSpaceOperator,
)

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task

SPACE = "acme/whisper"

with DAG("skipped_work", schedule=None, start_date=datetime(2026, 1, 1), catchup=False) as dag:

    @task.short_circuit
    def nothing_to_do() -> bool:
        return False

    @task
    def work() -> None:
        raise RuntimeError("this is never run")

    snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE)
    restore = RestoreHardwareOperator(task_id="restore", repo_id=SPACE, from_task="snapshot")
    with restore.as_teardown(setups=snapshot.as_setup()):
        upgrade = RequestHardwareOperator(task_id="upgrade", repo_id=SPACE, hardware="t4-small")
        upgrade >> nothing_to_do() >> work()
