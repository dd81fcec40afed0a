"""The first DAG of the page "Run a batch on a Space": the items of a file, through the app of a Space."""

# [START first_batch]
from __future__ import annotations

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

from airflow_provider_hfspaces.operators.app import SpaceBatchOperator

with DAG("first_batch", schedule=None) as dag:
    SpaceBatchOperator(
        task_id="batch",
        repo_id="acme/whisper",
        api="/slow",
        items="/tmp/batch/items.jsonl",
        output="/tmp/batch/out",
    )
# [END first_batch]
