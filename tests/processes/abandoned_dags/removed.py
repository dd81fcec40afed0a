"""A DAG whose file the test removes."""

from __future__ import annotations

from signalled_work import COMMON, batch, gpu_group

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

with (
    DAG("file_removed", **COMMON) as file_removed,
    gpu_group("acme/file_removed", lease_duration=60),
):
    batch()
