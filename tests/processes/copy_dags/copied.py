"""One DAG for each way in which the work on a copy of a Space can end."""

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


def copied(dag_id: str, dag_arguments: dict[str, Any] | None = None, **arguments: Any) -> DAG:
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


for dag_id in (
    *("all_ok", "work_raises", "work_killed", "work_marked_failed", "work_marked_success"),
    *("run_marked_failed", "run_marked_success", "create_marked_failed", "create_marked_success"),
    *("work_cleared", "only_failed_cleared", "dag_paused", "dag_deleted"),
    *("worker_dies", "create_dies_before", "create_dies_after", "delete_dies_before", "delete_dies_after"),
    *("scheduler_dies", "triggerer_dies", "create_freezes"),
):
    globals()[dag_id] = copied(dag_id)
run_times_out = copied("run_times_out", {"dagrun_timeout": timedelta(seconds=200)})
delete_finds_no_hub = copied("delete_finds_no_hub", delete_retries=0)
paused_and_expired = copied("paused_and_expired", copy_duration=60)
machine_stays_dead = copied("machine_stays_dead", sleep_time=36_000)

for dag_id, is_dry in (("sweeper", False), ("sweeper_looks", True)):
    with DAG(dag_id, **COMMON) as dag:
        DeleteCopiesOperator(task_id="copies", author="acme", dry_run=is_dry, retries=0)
    globals()[dag_id] = dag
