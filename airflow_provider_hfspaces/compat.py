"""The only file that asks which Airflow this is: 2.11, or 3.0 to 3.3."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from airflow import __version__ as _airflow_version

AIRFLOW_VERSION: tuple[int, ...] = tuple(int(part) for part in _airflow_version.split(".")[:2])
AIRFLOW_3 = AIRFLOW_VERSION >= (3, 0)

if TYPE_CHECKING:
    from airflow.sdk import BaseHook, BaseOperator, BaseOperatorLink, BaseSensorOperator, PokeReturnValue
    from airflow.sdk.definitions.context import Context
    from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException
elif AIRFLOW_3:
    from airflow.sdk import BaseOperator, BaseOperatorLink, BaseSensorOperator, PokeReturnValue
    from airflow.sdk.definitions.context import Context

    if AIRFLOW_VERSION >= (3, 1):
        from airflow.sdk import BaseHook
    else:
        from airflow.hooks.base import BaseHook
    if AIRFLOW_VERSION >= (3, 2):
        from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException
    else:
        from airflow.exceptions import AirflowFailException, AirflowNotFoundException
else:
    from airflow.exceptions import AirflowFailException, AirflowNotFoundException
    from airflow.hooks.base import BaseHook
    from airflow.models.baseoperator import BaseOperator
    from airflow.models.baseoperatorlink import BaseOperatorLink
    from airflow.sensors.base import BaseSensorOperator, PokeReturnValue
    from airflow.utils.context import Context

_LONGEST_VARIABLE = 250
"""Letters in the name of an Airflow Variable."""

__all__ = [
    "AIRFLOW_3",
    "AIRFLOW_VERSION",
    "AirflowFailException",
    "AirflowNotFoundException",
    "BaseHook",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "Context",
    "PokeReturnValue",
    "RetryStore",
    "airflow_version",
    "forget_of_task",
    "hides_value_of",
    "mask_secret",
    "retry_store",
    "xcom_value",
]


def airflow_version() -> str:
    """The full version, such as ``3.3.2``."""
    return str(_airflow_version)


def mask_secret(secret: str) -> None:
    """Have Airflow replace a value by ``***`` in all logs and rendered fields from now on."""
    _masking("mask_secret")(secret)


def hides_value_of(key: str) -> bool:
    """Whether Airflow takes the value under this key for a secret, by the key's name."""
    return bool(_masking("should_hide_value_for_key")(key))


def _masking(name: str) -> Any:
    if AIRFLOW_VERSION >= (3, 1):
        public = import_module("airflow.sdk.log")
        return getattr(public, name, None) or getattr(
            import_module("airflow.sdk._shared.secrets_masker"), name
        )
    if AIRFLOW_3:
        return getattr(import_module("airflow.sdk.execution_time.secrets_masker"), name)
    return getattr(import_module("airflow.utils.log.secrets_masker"), name)


def xcom_value(ti_key: Any, key: str) -> Any:
    """An XCom of a task instance, for an extra link."""
    module = "airflow.sdk.execution_time.xcom" if AIRFLOW_3 else "airflow.models.xcom"
    return import_module(module).XCom.get_value(ti_key=ti_key, key=key)


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
        variable = _variable()
        if AIRFLOW_3:
            return variable.get(self._name(key), default=None, deserialize_json=True)
        return variable.get(self._name(key), default_var=None, deserialize_json=True)

    def set(self, key: str, value: Any) -> None:
        _variable().set(
            self._name(key),
            value,
            description="Kept by airflow-provider-hfspaces for a retry of this task, deleted after it.",
            serialize_json=True,
        )

    def delete(self, key: str) -> None:
        _variable().delete(self._name(key))

    def _name(self, key: str) -> str:
        name = f"{self._prefix}:{key}"
        if len(name) <= _LONGEST_VARIABLE:
            return name
        digest = sha256(name.encode()).hexdigest()[:16]
        return f"{name[: _LONGEST_VARIABLE - 17]}:{digest}"


def _variable() -> Any:
    return import_module("airflow.sdk" if AIRFLOW_3 else "airflow.models.variable").Variable
