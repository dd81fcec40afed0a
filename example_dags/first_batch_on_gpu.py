"""The second DAG of the page "Run a batch on a Space": the same items on a GPU that is leased for the run."""

# [START first_batch_on_gpu]
from __future__ import annotations

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

from airflow_provider_hfspaces.operators.app import SpaceBatchOperator
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

with DAG("first_batch_on_gpu", schedule=None) as dag:
    with SpaceHardwareTaskGroup("gpu", "acme/whisper", "t4-small", sleep_time=1800):
        SpaceBatchOperator(
            task_id="batch",
            repo_id="acme/whisper",
            api="/slow",
            items="/tmp/batch/items.jsonl",
            output="/tmp/batch/on_gpu",
        )
# [END first_batch_on_gpu]
