"""Two waits in different queues, for triggerers that each serve one queue."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.operators.lifecycle import RestartSpaceOperator

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

with DAG(dag_id="queued", schedule=None, start_date=datetime(2026, 1, 1), is_paused_upon_creation=False):
    for queue in ("default", "gpu"):
        RestartSpaceOperator(
            task_id=queue, repo_id=f"acme/queue-{queue}", queue=queue, deferrable=True, poll_interval=1
        )
