"""Small JSON values that a task keeps for its next try. (Airflow clears XComs between tries.)

A DAG file imports this module with its operators, so that it imports what reads Variables only in a task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

__all__ = [
    "DELETION",
    "RetryStore",
    "VariableStore",
    "forget_of_task",
    "retry_store",
]

DELETION = "delete"
"""Key of the Space whose deletion a task has requested."""

_DESCRIPTION = "Kept by airflow-provider-hfspaces for a retry of this task, and deleted after it."
_own_variables: set[str] = set()
"""The Variables that this process has set."""


class RetryStore(Protocol):
    """Small JSON values of one task instance that outlive a failed try."""

    def get(self, key: str) -> Any:
        """Return the value that an earlier try, or this process, has kept; ``None`` if no value was kept."""

    def set(self, key: str, value: Any) -> None:
        """Keep a value, which has to be plain JSON."""

    def delete(self, key: str) -> None:
        """Delete a value. A missing value is not an error."""


def retry_store(context: Mapping[str, Any]) -> RetryStore:
    """Return the store of the task that runs in this context.

    Airflow 3.3 and newer have such a store (``task_state_store``). On older versions each value is an
    Airflow Variable of the task instance.
    """
    store: RetryStore | None = context.get("task_state_store")
    if store is not None:
        return store
    ti = context["ti"]
    return VariableStore(ti, ti.task_id, getattr(ti, "map_index", -1))


def forget_of_task(context: Mapping[str, Any], task_id: str, map_index: int, key: str) -> None:
    """Delete a value that another task of this run keeps in its :func:`retry_store`.

    On Airflow 3.3 and newer this does nothing: only the task itself can delete the value, and Airflow
    deletes it with the run, or after 30 days.

    :param task_id: the id of the other task.
    :param map_index: its map index, -1 if it is not mapped.
    :param key: the key of the value.
    """
    if context.get("task_state_store") is None:
        VariableStore(context["ti"], task_id, map_index).delete(key)


class VariableStore:
    """A :class:`RetryStore` in Airflow Variables, for Airflow 2.11 to 3.2.

    A first try looks nothing up. A retry that misses a value looks for the Variable of version 0.1 too.

    :param ti: the task instance that runs.
    :param task_id: the task whose values these are; it may be another task of the same run.
    :param map_index: its map index, -1 if it is not mapped.
    """

    def __init__(self, ti: Any, task_id: str, map_index: int) -> None:
        self._parts = [ti.dag_id, ti.run_id, task_id]
        if map_index >= 0:
            self._parts.append(str(map_index))
        # In a first try there is nothing to look up: no earlier try has kept anything.
        self._is_first_try = task_id == ti.task_id and getattr(ti, "try_number", None) == 1

    def get(self, key: str) -> Any:
        from airflow_provider_hfspaces.compat.server import get_variable

        name = self._name(key)
        if self._is_first_try and name not in _own_variables:
            return None
        value = get_variable(name)
        return get_variable(self._old_name(key)) if value is None and name not in _own_variables else value

    def set(self, key: str, value: Any) -> None:
        from airflow_provider_hfspaces.compat.server import set_variable

        name = self._name(key)
        set_variable(name, value, _DESCRIPTION)
        _own_variables.add(name)

    def delete(self, key: str) -> None:
        from airflow_provider_hfspaces.compat.server import delete_variable

        name = self._name(key)
        _own_variables.discard(name)
        delete_variable(name)
        if not self._is_first_try:
            delete_variable(self._old_name(key))

    def _name(self, key: str) -> str:
        from airflow_provider_hfspaces.state.variables import unique_variable_name

        # The task and the key come first: they are what a reader of the list of Variables looks for.
        dag_id, run_id, task_id, *map_index = self._parts
        return unique_variable_name("hf_spaces_retry", task_id, *map_index, key, dag_id, run_id)

    def _old_name(self, key: str) -> str:
        from airflow_provider_hfspaces.state.variables import old_variable_name

        return old_variable_name(":".join(("hf_spaces", *self._parts, key)))
