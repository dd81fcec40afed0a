"""Restart one Space, through a connection that a user has stored in the UI."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_hfspaces.operators.lifecycle import RestartSpaceOperator

with DAG("linked", schedule=None, start_date=datetime(2026, 1, 1), is_paused_upon_creation=False):
    RestartSpaceOperator(
        task_id="restart",
        repo_id="whisper",
        hf_spaces_conn_id="hub_of_alice",
        deferrable=True,
        poll_interval=1,
    )
