"""A DAG that the test renames in its file."""

from __future__ import annotations

from signalled_work import COMMON, batch, gpu_group

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

with DAG("renamed_at_work", **COMMON) as dag, gpu_group("acme/renamed_at_work", lease_duration=60):
    batch()
