"""Restart many Spaces, wait for some with sensors and upgrade one, all in deferrable mode."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.operators.hardware import RequestHardwareOperator
from airflow_provider_hfspaces.operators.lifecycle import RestartSpaceOperator
from airflow_provider_hfspaces.sensors.spaces import SpaceRunningSensor

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

COMMON = {"schedule": None, "start_date": datetime(2026, 1, 1), "is_paused_upon_creation": False}

with DAG(dag_id="waiting", max_active_tasks=64, **COMMON):
    RestartSpaceOperator.partial(
        task_id="restart",
        deferrable=True,
        poll_interval=1,
        timeout=3600,
        map_index_template="{{ task.repo_id }}",
    ).expand(repo_id=[f"acme/s{number}" for number in range(50)])

with DAG(dag_id="killed", **COMMON):
    RequestHardwareOperator(
        task_id="upgrade", repo_id="acme/gpu", hardware="t4-small", deferrable=True, poll_interval=1
    )

with DAG(dag_id="logging", max_active_tasks=64, max_active_runs=3, **COMMON):
    SpaceRunningSensor.partial(
        task_id="sense", deferrable=True, poke_interval=1, timeout=3600, failed_stages=[]
    ).expand(repo_id=[f"acme/s{number}" for number in range(20)])
