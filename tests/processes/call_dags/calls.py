"""Call an app many times, all deferred: failing or sending again after a loss, and polling a plain app."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.operators.app import CallSpaceOperator

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

COMMON = {
    "schedule": None,
    "start_date": datetime(2026, 1, 1),
    "is_paused_upon_creation": False,
    "max_active_tasks": 200,
}

for on_lost, count in (("fail", 150), ("again", 40)):
    with DAG(dag_id=f"calls_{on_lost}", **COMMON):
        CallSpaceOperator.partial(
            task_id="call",
            repo_id="acme/caption",
            api="/hold",
            on_lost=on_lost,
            timeout=3600,
            poll_interval=1,
            deferrable=True,
        ).expand(inputs=[{"text": f"{on_lost} {number}"} for number in range(count)])

with DAG(dag_id="jobs", **COMMON):
    CallSpaceOperator.partial(
        task_id="job",
        repo_id="acme/jobs",
        path="/v1/jobs",
        poll={"interval": 1},
        timeout=3600,
        deferrable=True,
    ).expand(json=[{"value": number, "seconds": 100_000} for number in range(10)])
