"""Work on a copy of a Space that begins and ends as the test wants it; no DAG is in this file."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_provider_hfspaces.operators.copies import DeleteCopiesOperator
from airflow_provider_hfspaces.task_groups.copies import SpaceCopyTaskGroup

try:
    from airflow.sdk import DAG, get_current_context, task
except ImportError:
    from airflow import DAG
    from airflow.decorators import task
    from airflow.operators.python import get_current_context

COMMON: dict[str, Any] = {
    "schedule": None,
    "start_date": datetime(2026, 1, 1),
    "is_paused_upon_creation": False,
}
SIGNALS = Path(os.environ["LEASE_SIGNALS"])
"""The folder in which the work writes its process id, and in which a test tells the work to end."""

SOURCE = "acme/whisper"


@task
def batch(repo_id: str) -> None:
    """Work until a test says how to end."""
    context = get_current_context()
    name = f"{context['dag'].dag_id}.{context['run_id']}"
    (SIGNALS / f"{name}.works").write_text(f"{os.getpid()}")
    while not (SIGNALS / f"{name}.end").exists():
        if (SIGNALS / f"{name}.fail").exists():
            raise RuntimeError(f"the work on {repo_id} failed")
        time.sleep(0.2)


def copy_dag(dag_id: str, dag_arguments: dict[str, Any] | None = None, **arguments: Any) -> DAG:
    """A DAG whose copies have names that begin with its own."""
    options = {
        "sleep_time": 360_000,
        "deferrable": True,
        "poll_interval": 1,
        "retry_delay": timedelta(seconds=1),
        "to_id": f"acme/{dag_id.replace('_', '-')}",
        **arguments,
    }
    with (
        DAG(dag_id, max_active_runs=1, **COMMON, **(dag_arguments or {})) as dag,
        SpaceCopyTaskGroup("gpu", SOURCE, "t4-small", **options) as copy,
    ):
        batch(copy.repo_id)
    return dag


def sweeper_dag(dag_id: str, *, dry_run: bool = False) -> DAG:
    """A DAG that runs the sweeper."""
    with DAG(dag_id, **COMMON) as dag:
        DeleteCopiesOperator(task_id="copies", author="acme", dry_run=dry_run, retries=0)
    return dag
