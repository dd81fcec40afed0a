"""A batch mapped over Spaces, with the output of a task as its items."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.operators.app import SpaceBatchOperator

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task

with DAG(
    "batches",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    params={"output": "/tmp/batches", "most": 2},
) as dag:

    @task
    def items() -> list[str]:
        return ["{{ one }}", "two"]

    SpaceBatchOperator.partial(
        task_id="batch",
        api="/predict",
        items=items(),
        output="{{ params.output }}/{{ ti.map_index }}",
        max_in_flight="{{ params.most }}",
    ).expand(repo_id=["acme/one", "acme/two"])
