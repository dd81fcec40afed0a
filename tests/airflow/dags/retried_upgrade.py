"""An upgrade whose first try fails, and a restore from the state that the first try recorded."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_hfspaces.operators.hardware import RequestHardwareOperator, RestoreHardwareOperator

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

with DAG("retried_upgrade", schedule=None, start_date=datetime(2026, 1, 1), catchup=False) as dag:
    upgrade = RequestHardwareOperator(
        task_id="upgrade",
        repo_id="acme/whisper",
        hardware="t4-small",
        sleep_time=3600,
        retries=1,
        retry_delay=timedelta(0),
    )
    upgrade >> RestoreHardwareOperator(
        task_id="restore", repo_id="acme/whisper", from_task="upgrade", trigger_rule="all_done"
    )
