"""DAGs whose upgrade or restore freezes immediately before it requests hardware."""

from __future__ import annotations

from typing import Any

from signalled_work import COMMON, batch, gpu_group

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG


def lease_dag(dag_id: str, **arguments: Any) -> DAG:
    with DAG(dag_id, max_active_runs=1, **COMMON) as dag, gpu_group(f"acme/{dag_id}", **arguments):
        batch()
    return dag


restore_freezes = lease_dag("restore_freezes")
upgrade_freezes = lease_dag("upgrade_freezes", retries=0)
lease_expires = lease_dag("lease_expires", retries=0, lease_duration=60)
