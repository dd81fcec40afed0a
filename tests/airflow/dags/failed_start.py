"""A task that fails before it knows its Space, and therefore pushes no links."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.operators.lifecycle import PauseSpaceOperator

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

with DAG(dag_id="failed_start", schedule=None, start_date=datetime(2026, 1, 1), catchup=False) as dag:
    PauseSpaceOperator(task_id="pause", repo_id="acme/whisper", hf_spaces_conn_id="nowhere")
