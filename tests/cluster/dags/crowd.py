"""Restart many Spaces at once and wait for them without occupying workers."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from airflow_provider_hfspaces.operators.lifecycle import RestartSpaceOperator

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

with DAG(
    dag_id="crowd",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    max_active_tasks=64,
    is_paused_upon_creation=False,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=1)},
):
    RestartSpaceOperator.partial(
        task_id="restart",
        deferrable=True,
        poll_interval=5,
        timeout=3600,
        map_index_template="{{ task.repo_id }}",
    ).expand(repo_id=[f"crowd/s{number}" for number in range(int(os.environ["HFSPACES_CROWD"]))])
