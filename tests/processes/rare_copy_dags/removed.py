"""A DAG whose file the test removes while Airflow runs its work."""

from __future__ import annotations

from copied_work import copy_dag

file_removed = copy_dag("file_removed", copy_duration=60)
