"""The only file that asks which Airflow this is: 2.11, or 3.0 to 3.3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from airflow import __version__ as _airflow_version

AIRFLOW_VERSION: tuple[int, ...] = tuple(int(part) for part in _airflow_version.split(".")[:2])
AIRFLOW_3 = AIRFLOW_VERSION >= (3, 0)

if TYPE_CHECKING:
    from airflow.sdk import BaseHook, BaseOperator, BaseOperatorLink, BaseSensorOperator, PokeReturnValue
    from airflow.sdk.definitions.context import Context
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
    )
elif AIRFLOW_3:
    from airflow.sdk import BaseOperator, BaseOperatorLink, BaseSensorOperator, PokeReturnValue
    from airflow.sdk.definitions.context import Context

    if AIRFLOW_VERSION >= (3, 2):
        from airflow.sdk.exceptions import (
            AirflowFailException,
            AirflowNotFoundException,
            AirflowSensorTimeout,
            AirflowSkipException,
        )
    else:
        from airflow.exceptions import (
            AirflowFailException,
            AirflowNotFoundException,
            AirflowSensorTimeout,
            AirflowSkipException,
        )
else:
    from airflow.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
    )
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
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "BaseHook",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "Context",
    "PokeReturnValue",
    "RetryStore",
    "airflow_version",
    "base_event_trigger",
    "connection_of",
    "default_deferrable",
    "delete_variable",
    "forget_of_task",
    "has_trigger_on_kill",
    "hides_value_of",
    "is_ended",
    "mask_secret",
    "object_storage_path",
    "quota_share",
    "retry_store",
    "set_variable",
    "variable_value",
    "xcom_value",
]


def __getattr__(name: str) -> Any:
    # Only a hook needs its base, and no DAG file should pay for it.
    if name == "BaseHook":
        return import_module("airflow.sdk" if AIRFLOW_VERSION >= (3, 1) else "airflow.hooks.base").BaseHook
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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


def default_deferrable() -> bool:
    """Airflow's own default for ``deferrable``."""
    conf = import_module("airflow.configuration").conf
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def object_storage_path(url: str) -> Any:
    """A path in any storage that fsspec knows, by Airflow's own ``ObjectStoragePath``."""
    return import_module("airflow.sdk" if AIRFLOW_3 else "airflow.io.path").ObjectStoragePath(url)


def quota_share() -> float:
    """The share of the Hub's quota that waiting may use, ``[hf_spaces] quota_share``."""
    conf = import_module("airflow.configuration").conf
    return float(conf.getfloat("hf_spaces", "quota_share", fallback=0.5))


async def connection_of(conn_id: str) -> Any:
    """A connection, without holding the event loop up.

    :raises AirflowNotFoundException: if there is none.
    """
    hook = __getattr__("BaseHook")
    if hasattr(hook, "aget_connection"):
        return await hook.aget_connection(conn_id)
    return await _in_thread(hook.get_connection, conn_id)


def base_event_trigger() -> Any:
    """The base of triggers that start DAGs; Airflow 2.11 has none, and never runs one."""
    module = import_module("airflow.triggers.base")
    return getattr(module, "BaseEventTrigger", module.BaseTrigger)


def has_trigger_on_kill() -> bool:
    """Whether Airflow tells a trigger that a user has killed its task, as it does from 3.3 on."""
    return hasattr(import_module("airflow.triggers.base").BaseTrigger, "on_kill")


_FINAL = frozenset({"failed", "success", "skipped", "upstream_failed", "removed"})


async def is_ended(task_instance: Any) -> bool:
    """Whether a deferred task instance has been ended by somebody.

    A trigger that is only moved to another process finds it still deferred, and one whose task was
    cleared finds it scheduled anew.
    """
    find = _state_now if AIRFLOW_3 else _state_in_database
    return str(await _in_thread(find, task_instance)) in _FINAL


async def _in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call what would hold the event loop up.

    Airflow 3's triggerer finds its way back from a thread to the loop, over which it talks to its
    supervisor, in none but asgiref's threads.
    """
    return await import_module("asgiref.sync").sync_to_async(function)(*arguments)


def _state_now(ti: Any) -> str | None:
    runner = import_module("airflow.sdk.execution_time.task_runner").RuntimeTaskInstance
    map_index = ti.map_index if ti.map_index is not None and ti.map_index >= 0 else None
    states = runner.get_task_states(
        dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=map_index
    )
    return next(iter(states.get(ti.run_id, {}).values()), None)


def _state_in_database(ti: Any) -> str | None:
    model = import_module("airflow.models.taskinstance").TaskInstance
    with import_module("airflow.utils.session").create_session() as session:
        found = session.query(model.state).filter(
            model.dag_id == ti.dag_id,
            model.task_id == ti.task_id,
            model.run_id == ti.run_id,
            model.map_index == ti.map_index,
        )
        state: str | None = found.scalar()
        return state


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


def variable_value(name: str) -> Any:
    """What an Airflow Variable holds, read as JSON; ``None`` if there is none."""
    fallback = "default" if AIRFLOW_3 else "default_var"
    return _variable().get(name, deserialize_json=True, **{fallback: None})


def set_variable(name: str, value: Any, description: str) -> None:
    """Write an Airflow Variable as JSON."""
    _variable().set(name, value, description=description, serialize_json=True)


def delete_variable(name: str) -> None:
    """Delete an Airflow Variable; no error if there is none."""
    _variable().delete(name)


def _variable() -> Any:
    return import_module("airflow.sdk" if AIRFLOW_3 else "airflow.models.variable").Variable
