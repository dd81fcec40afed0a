"""One hardware window per Space, mapped over a list of them."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.operators.hardware import (
    RequestHardwareOperator,
    RestoreHardwareOperator,
    SnapshotSpaceOperator,
)
from airflow_provider_hfspaces.operators.lifecycle import GetSpaceRuntimeOperator

try:
    from airflow.sdk import DAG, task_group
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task_group

with DAG("mapped_windows", schedule=None, start_date=datetime(2026, 1, 1), catchup=False) as dag:

    @task_group
    def window(space: str) -> None:
        snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id=space)
        upgrade = RequestHardwareOperator(task_id="upgrade", repo_id=space, hardware="t4-small")
        restore = RestoreHardwareOperator(task_id="restore", repo_id=space, from_task="snapshot")
        snapshot >> upgrade >> restore

    looks = GetSpaceRuntimeOperator.partial(task_id="look").expand(repo_id=["acme/a", "acme/b"])
    window.expand(space=["acme/a", "acme/b"]) >> looks
