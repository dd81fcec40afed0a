"""A DAG whose file the test removes while Airflow runs its work."""

from __future__ import annotations

from copied_work import copied

file_removed = copied("file_removed", copy_duration=60)
