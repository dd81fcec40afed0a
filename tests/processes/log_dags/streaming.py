"""Wait for two Spaces in several deferred tasks each, which all show the Space's log."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.operators.lifecycle import RestartSpaceOperator

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

with DAG(dag_id="streaming", schedule=None, start_date=datetime(2026, 1, 1), is_paused_upon_creation=False):
    RestartSpaceOperator.partial(
        task_id="restart",
        only_if_stopped=True,
        timeout=100_000,
        poll_interval=2,
        stream_logs="build",
        deferrable=True,
    ).expand(repo_id=["acme/red", "acme/blue", "acme/red", "acme/blue"])
