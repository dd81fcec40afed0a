"""Pause a fleet, restart it from the report of the pause, and wait for it, in one run."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_hfspaces.operators.fleet import (
    ListSpacesOperator,
    PauseSpacesOperator,
    RestartSpacesOperator,
)
from airflow_provider_hfspaces.sensors.spaces import SpaceRunningSensor

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

with DAG("fleet_in_one_run", schedule=None, start_date=datetime(2026, 1, 1), catchup=False) as dag:
    spaces = ListSpacesOperator(task_id="spaces", author="acme", billed_only=True)
    pause = PauseSpacesOperator(
        task_id="pause", author="acme", billed_only=True, retries=1, retry_delay=timedelta(0)
    )
    restart = RestartSpacesOperator(task_id="restart", report=pause.output, trigger_rule="all_done")
    running = SpaceRunningSensor.partial(task_id="running", timeout=60, poke_interval=5).expand(
        repo_id=spaces.output
    )

    spaces >> pause >> restart >> running
