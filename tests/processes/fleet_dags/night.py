"""Pause a fleet with a task that writes its process id to a file."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from airflow_provider_hfspaces.operators.fleet import PauseSpacesOperator


def write_pid(context: Any) -> None:
    Path(os.environ["PROCESS_FILE"]).write_text(str(os.getpid()))


with DAG(
    "night",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    is_paused_upon_creation=False,
) as dag:
    PauseSpacesOperator(
        task_id="pause",
        author="acme",
        include="{{ run_id }}-*",
        max_parallel=2,
        report_to="nightly",
        retries=1,
        retry_delay=timedelta(seconds=1),
        pre_execute=write_pid,
    )
