"""A batch of a file on a leased GPU, whose worker the test kills."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from airflow_provider_hfspaces.operators.app import SpaceBatchOperator
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

SPACE = "acme/batched"
FOLDER = os.environ["BATCH_FOLDER"]

with (
    DAG("batched", schedule=None, start_date=datetime(2026, 1, 1), is_paused_upon_creation=False) as dag,
    SpaceHardwareTaskGroup(
        "gpu",
        SPACE,
        "t4-small",
        sleep_time=360_000,
        poll_interval=1,
        restore_retries=1,
        retry_delay=timedelta(seconds=1),
    ),
):
    SpaceBatchOperator(
        task_id="batch",
        repo_id=SPACE,
        api="/predict",
        items=f"{FOLDER}/items.jsonl",
        output=f"{FOLDER}/out",
        max_in_flight=8,
        retries=5,
        retry_delay=timedelta(seconds=1),
    )
