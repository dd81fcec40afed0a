"""The only file that asks which Airflow this is: 2.11, or 3.0 to 3.3."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from airflow import __version__ as _airflow_version

AIRFLOW_VERSION: tuple[int, ...] = tuple(int(part) for part in _airflow_version.split(".")[:2])
AIRFLOW_3 = AIRFLOW_VERSION >= (3, 0)

if TYPE_CHECKING:
    from airflow.sdk import (
        BaseHook,
        BaseNotifier,
        BaseOperator,
        BaseOperatorLink,
        BaseSensorOperator,
        PokeReturnValue,
        TaskGroup,
    )
    from airflow.sdk.definitions.context import Context
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
    )
elif AIRFLOW_3:
    from airflow.sdk import BaseOperator, BaseOperatorLink, TaskGroup
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
    from airflow.utils.context import Context
    from airflow.utils.task_group import TaskGroup

_log = logging.getLogger(__name__)

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
    "BaseNotifier",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "Context",
    "PokeReturnValue",
    "RetryStore",
    "TaskGroup",
    "airflow_version",
    "base_event_trigger",
    "callback_may_read_xcoms",
    "callback_xcom",
    "connection_in_server",
    "connection_of",
    "connections_of_config",
    "default_deferrable",
    "delete_variable",
    "empty_operator",
    "fleet_page_url",
    "forget_of_task",
    "get_variable",
    "has_external_views",
    "has_trigger_on_kill",
    "hides_value_of",
    "in_thread",
    "is_ended",
    "is_run_over",
    "lease_settle",
    "mask_secret",
    "object_storage_path",
    "quota_share",
    "retry_store",
    "set_variable",
    "team_of_connection",
    "trigger_at",
    "xcom_value",
]


def __getattr__(name: str) -> Any:
    # Only hooks, notifiers and sensors need their bases, and no other DAG file should pay for them.
    if name == "BaseHook":
        return import_module("airflow.sdk" if AIRFLOW_VERSION >= (3, 1) else "airflow.hooks.base").BaseHook
    if name == "BaseNotifier":
        return import_module(
            "airflow.sdk" if AIRFLOW_3 else "airflow.notifications.basenotifier"
        ).BaseNotifier
    if name in ("BaseSensorOperator", "PokeReturnValue"):
        return getattr(import_module("airflow.sdk" if AIRFLOW_3 else "airflow.sensors.base"), name)
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


def has_external_views() -> bool:
    """Whether the UI takes pages of plugins (Airflow 3.1), and ``[hf_spaces] fleet_page`` allows ours."""
    conf = import_module("airflow.configuration").conf
    return AIRFLOW_VERSION >= (3, 1) and bool(conf.getboolean("hf_spaces", "fleet_page", fallback=True))


def fleet_page_url(prefix: str) -> str:
    """The path of a page of ours, where Airflow's own pages may have a path before theirs."""
    conf = import_module("airflow.configuration").conf
    root = urlsplit(conf.get("api", "base_url", fallback="") or "").path
    return root.rstrip("/") + prefix


def connections_of_config() -> list[str]:
    """The connections that ``[hf_spaces] fleet_connections`` names for the fleet page."""
    conf = import_module("airflow.configuration").conf
    named = conf.get("hf_spaces", "fleet_connections", fallback="") or ""
    return [each.strip() for each in named.split(",") if each.strip()]


def team_of_connection(conn_id: str) -> str | None:
    """The team whose connection this is, where Airflow has teams (3.2)."""
    conf = import_module("airflow.configuration").conf
    if not conf.getboolean("core", "multi_team", fallback=False):
        return None
    team: str | None = import_module("airflow.models.connection").Connection.get_team_name(conn_id)
    return team


def connection_in_server(conn_id: str) -> Any:
    """A connection as Airflow's API server finds it: in a secrets backend, the environment, the database.

    :raises AirflowNotFoundException: if there is none.
    """
    team = team_of_connection(conn_id)
    more = {"team_name": team} if team else {}
    # Connection.get_connection_from_secrets warns each time of the underscore in our type.
    for backend in import_module("airflow.configuration").ensure_secrets_loaded():
        try:
            connection = backend.get_connection(conn_id=conn_id, **more)
        except PermissionError:
            raise
        except Exception as error:
            _log.debug("The secrets backend %s has failed: %s", type(backend).__name__, type(error).__name__)
            continue
        if connection:
            return connection
    raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")


async def connection_of(conn_id: str) -> Any:
    """A connection, without holding the event loop up.

    :raises AirflowNotFoundException: if there is none.
    """
    hook = __getattr__("BaseHook")
    if hasattr(hook, "aget_connection"):
        return await hook.aget_connection(conn_id)
    return await in_thread(hook.get_connection, conn_id)


def base_event_trigger() -> Any:
    """The base of triggers that start DAGs; Airflow 2.11 has none, and never runs one."""
    module = import_module("airflow.triggers.base")
    return getattr(module, "BaseEventTrigger", module.BaseTrigger)


def has_trigger_on_kill() -> bool:
    """Whether Airflow tells a trigger that a user has killed its task, as it does from 3.3 on."""
    return hasattr(import_module("airflow.triggers.base").BaseTrigger, "on_kill")


def is_run_over(dag_id: str, run_id: str) -> bool:
    """Whether a DAG run has ended or been deleted.

    :raises Exception: Airflow's own, where it cannot say.
    """
    if AIRFLOW_3:
        runner = import_module("airflow.sdk.execution_time.task_runner").RuntimeTaskInstance
        try:
            state = runner.get_dagrun_state(dag_id, run_id)
        except Exception as error:
            if _is_not_found(error):
                return True
            raise
    else:
        model = import_module("airflow.models.dagrun").DagRun
        with import_module("airflow.utils.session").create_session() as session:
            found = session.query(model.state).filter(model.dag_id == dag_id, model.run_id == run_id)
            state = found.scalar()
    return state is None or str(getattr(state, "value", state)) in ("success", "failed")


def _is_not_found(error: Exception) -> bool:
    detail = getattr(getattr(error, "error", None), "detail", None) or {}
    status = detail.get("status_code") if isinstance(detail, dict) else None
    # ``dag.test()`` raises what the API's client raised.
    direct = getattr(getattr(error, "response", None), "status_code", None)
    return 404 in (status, direct) or "not_found" in str(error).lower() or "404" in str(detail)


def lease_settle() -> float:
    """Seconds, ``[hf_spaces] lease_settle``."""
    conf = import_module("airflow.configuration").conf
    return float(conf.getfloat("hf_spaces", "lease_settle", fallback=5.0))


def trigger_at(moment: datetime) -> Any:
    """A trigger that fires at a moment, and needs nothing for it."""
    module = "airflow.providers.standard.triggers.temporal" if AIRFLOW_3 else "airflow.triggers.temporal"
    return import_module(module).DateTimeTrigger(moment=moment)


def empty_operator() -> Any:
    """The operator that does nothing, and needs no worker for it."""
    module = "airflow.providers.standard.operators.empty" if AIRFLOW_3 else "airflow.operators.empty"
    return import_module(module).EmptyOperator


_FINAL = frozenset({"failed", "success", "skipped", "upstream_failed", "removed"})


async def is_ended(task_instance: Any) -> bool:
    """Whether a deferred task instance has been ended by somebody.

    A trigger that is only moved to another process finds it still deferred, and one whose task was
    cleared finds it scheduled anew.
    """
    find = _state_now if AIRFLOW_3 else _state_in_database
    return str(await in_thread(find, task_instance)) in _FINAL


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
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


def callback_may_read_xcoms(context: Mapping[str, Any], *, in_triggerer: bool) -> bool:
    """Whether Airflow answers a callback that asks for an XCom; where not, it may leave it hanging for ever.

    Not from the executor, where deadlines' ``SyncCallback`` runs, nor from the DAG processor of 3.0.
    """
    if not AIRFLOW_3 or in_triggerer:
        return True
    if "deadline" in context and "ti" not in context:
        return False
    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    decoder = getattr(getattr(runner, "SUPERVISOR_COMMS", None), "body_decoder", None)
    if decoder is None:
        return True
    try:
        # What the other side could not answer, it would not understand.
        decoder.validate_python({"type": "XComResult", "key": "key", "value": None})
    except ValueError:
        return False
    return True


def callback_xcom(
    context: Mapping[str, Any], run: tuple[str | None, str | None], task_id: str, key: str, map_index: int
) -> Any:
    """An XCom of the run that a callback is about; ``None`` if there is none."""
    ti = context.get("ti")
    if ti is not None:
        return ti.xcom_pull(task_ids=task_id, key=key, map_indexes=map_index)
    module = import_module("airflow.sdk.execution_time.xcom" if AIRFLOW_3 else "airflow.models.xcom")
    return module.XCom.get_one(dag_id=run[0], run_id=run[1], task_id=task_id, key=key, map_index=map_index)


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


def get_variable(name: str) -> Any:
    """What an Airflow Variable holds as JSON, or as text that is none; ``None`` if there is none."""
    default = "default" if AIRFLOW_3 else "default_var"
    text = _variable().get(_short(name), **{default: None})
    # What is no JSON some versions of Airflow take for an error, and some for no Variable.
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


def set_variable(name: str, value: Any, description: str) -> None:
    """Write JSON into an Airflow Variable."""
    _variable().set(_short(name), value, description=description, serialize_json=True)


def delete_variable(name: str) -> None:
    """Delete an Airflow Variable; no error if there is none."""
    _variable().delete(_short(name))


def _short(name: str) -> str:
    if len(name) <= _LONGEST_VARIABLE:
        return name
    digest = sha256(name.encode()).hexdigest()[:16]
    return f"{name[: _LONGEST_VARIABLE - 17]}:{digest}"


def _variable() -> Any:
    return import_module("airflow.sdk" if AIRFLOW_3 else "airflow.models.variable").Variable
