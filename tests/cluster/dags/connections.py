"""Restart Spaces through connections from the environment, the database and a secrets backend."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.operators.lifecycle import RestartSpaceOperator

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

with DAG(dag_id="connections", schedule=None, start_date=datetime(2026, 1, 1), is_paused_upon_creation=False):
    for place in ("environment", "database", "file"):
        RestartSpaceOperator(
            task_id=place,
            repo_id=f"acme/{place}",
            hf_spaces_conn_id=f"hf_spaces_{place}",
            deferrable=True,
            poll_interval=1,
        )
