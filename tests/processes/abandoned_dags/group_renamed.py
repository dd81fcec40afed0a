"""A DAG whose group the test renames in its file while the work runs."""

from __future__ import annotations

from signalled_work import COMMON, batch, gpu_group

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

with DAG("group_renamed", **COMMON) as dag, gpu_group("acme/group_renamed", "gpu"):
    batch()
