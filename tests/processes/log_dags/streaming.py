"""Wait for Spaces in deferred tasks and in a worker, all of which show the log of their Space."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow_provider_hfspaces.operators.lifecycle import RestartSpaceOperator

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

COMMON: dict[str, Any] = {
    "schedule": None,
    "start_date": datetime(2026, 1, 1),
    "is_paused_upon_creation": False,
}

with DAG(dag_id="in_a_worker", **COMMON):
    RestartSpaceOperator(
        task_id="restart", repo_id="acme/green", timeout=100_000, poll_interval=2, stream_logs="both"
    )

with DAG(dag_id="streaming", **COMMON):
    RestartSpaceOperator.partial(
        task_id="restart",
        only_if_stopped=True,
        timeout=100_000,
        poll_interval=2,
        stream_logs="build",
        deferrable=True,
    ).expand(repo_id=["acme/red", "acme/blue", "acme/red", "acme/blue"])
