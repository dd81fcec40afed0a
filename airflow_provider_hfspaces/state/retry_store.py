"""Small JSON values of one task instance that the next try needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from airflow_provider_hfspaces.compat.server import delete_variable, get_variable, set_variable

__all__ = [
    "RetryStore",
    "forget_of_task",
    "retry_store",
]


class RetryStore(Protocol):
    """Small JSON values of one task instance that outlive a failed try, which XComs do not."""

    def get(self, key: str) -> Any:
        """The value, or ``None``."""

    def set(self, key: str, value: Any) -> None:
        """Write the value."""

    def delete(self, key: str) -> None:
        """Forget the value; no error if there is none."""


def retry_store(context: Mapping[str, Any]) -> RetryStore:
    """Where a task keeps what its next try must know.

    Airflow 3.3 has a store for it; before that an Airflow Variable of the task instance serves.
    """
    store: RetryStore | None = context.get("task_state_store")
    if store is not None:
        return store
    ti = context["ti"]
    return _VariableStore(ti, ti.task_id, getattr(ti, "map_index", -1))


def forget_of_task(context: Mapping[str, Any], task_id: str, map_index: int, key: str) -> None:
    """Delete what another task of this run keeps in its :func:`retry_store`.

    Airflow 3.3 keeps that to the task itself and deletes it with the run, or after 30 days.
    """
    if context.get("task_state_store") is None:
        _VariableStore(context["ti"], task_id, map_index).delete(key)


class _VariableStore:
    def __init__(self, ti: Any, task_id: str, map_index: int) -> None:
        parts = [ti.dag_id, ti.run_id, task_id]
        if map_index >= 0:
            parts.append(str(map_index))
        self._prefix = "hf_spaces:" + ":".join(parts)

    def get(self, key: str) -> Any:
        return get_variable(f"{self._prefix}:{key}")

    def set(self, key: str, value: Any) -> None:
        told = "Kept by airflow-provider-hfspaces for a retry of this task, deleted after it."
        set_variable(f"{self._prefix}:{key}", value, told)

    def delete(self, key: str) -> None:
        delete_variable(f"{self._prefix}:{key}")
