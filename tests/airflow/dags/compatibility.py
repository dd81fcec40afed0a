"""Deferred waits mapped over two Spaces, and a task that returns which store keeps values for its retry."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.operators.lifecycle import RestartSpaceOperator
from airflow_provider_hfspaces.state.retry_store import retry_store

try:
    from airflow.sdk import DAG, get_current_context, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task
    from airflow.operators.python import get_current_context

with DAG("compatibility", schedule=None, start_date=datetime(2026, 1, 1), catchup=False) as dag:
    RestartSpaceOperator.partial(
        task_id="restart", map_index_template="{{ task.repo_id }}", deferrable=True, poll_interval=2
    ).expand(repo_id=["acme/a", "acme/b"])

    @task
    def keeper() -> str:
        return type(retry_store(get_current_context())).__name__

    keeper()
