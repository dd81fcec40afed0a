"""Requests to Airflow itself, from tasks, triggers, callbacks, the API server and commands.

They read connections, states of tasks and runs, XComs and Variables.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import partial
from importlib import import_module
from typing import Any

from airflow_provider_hfspaces.compat.imports import AIRFLOW_3, AirflowNotFoundException
from airflow_provider_hfspaces.compat.processes import has_database
from airflow_provider_hfspaces.compat.runs import FINAL_STATES, NotAnswered, has_answer

_log = logging.getLogger(__name__)

__all__ = [
    "callback_may_read_xcoms",
    "callback_xcom",
    "connection_in_server",
    "connection_of",
    "delete_variable",
    "get_variable",
    "in_thread",
    "is_ended",
    "save_xcom",
    "saved_xcom",
    "seconds_since_due",
    "set_variable",
    "team_of_connection",
]


def team_of_connection(conn_id: str) -> str | None:
    """Return the team that owns a connection; ``None`` without ``[core] multi_team`` (Airflow 3.2)."""
    conf = import_module("airflow.configuration").conf
    if not conf.getboolean("core", "multi_team", fallback=False):
        return None
    team: str | None = import_module("airflow.models.connection").Connection.get_team_name(conn_id)
    return team


def connection_in_server(conn_id: str) -> Any:
    """Return a connection as the API server finds it: in a secrets backend, the environment or the database.

    :raises AirflowNotFoundException: if the connection does not exist.
    """
    team = team_of_connection(conn_id)
    more = {"team_name": team} if team else {}
    # Connection.get_connection_from_secrets warns at each call about the underscore in hf_spaces.
    for backend in import_module("airflow.configuration").ensure_secrets_loaded():
        try:
            connection = backend.get_connection(conn_id=conn_id, **more)
        except PermissionError:
            raise
        except Exception as error:
            _log.debug("The secrets backend %s failed: %s", type(backend).__name__, type(error).__name__)
            continue
        if connection:
            return connection
    raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")


async def connection_of(conn_id: str) -> Any:
    """Return a connection without blocking the event loop.

    :raises AirflowNotFoundException: if the connection does not exist.
    """
    from airflow_provider_hfspaces.compat.imports import BaseHook as hook

    if hasattr(hook, "aget_connection"):
        return await hook.aget_connection(conn_id)
    return await in_thread(hook.get_connection, conn_id)


_ON_SCHEDULE = frozenset({"scheduled", "backfill"})


def seconds_since_due(context: Mapping[str, Any]) -> float | None:
    """Return the seconds since a scheduled run was due; ``None`` for runs without a schedule.

    Airflow 3 has ``run_after``; on 2.11 a run is due at the end of its data interval.
    """
    dag_run = context.get("dag_run")
    run_type = getattr(dag_run, "run_type", None)
    if str(getattr(run_type, "value", run_type)) not in _ON_SCHEDULE:
        return None
    due = getattr(dag_run, "run_after", None) or getattr(dag_run, "data_interval_end", None)
    return None if due is None else (datetime.now(timezone.utc) - due).total_seconds()


async def is_ended(task_instance: Any) -> bool:
    """Return whether a user or the scheduler has ended a deferred task instance.

    The task instance is still deferred if only its trigger moved to another process, and scheduled again if
    the task was cleared.
    """
    find = _state_now if AIRFLOW_3 else _state_in_database
    return str(await in_thread(find, task_instance)) in FINAL_STATES


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a blocking function in a thread, and return its result.

    The thread is one of asgiref's: in other threads Airflow 3's triggerer cannot reach the event loop over
    which it talks to its supervisor.
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
        query = session.query(model.state).filter(
            model.dag_id == ti.dag_id,
            model.task_id == ti.task_id,
            model.run_id == ti.run_id,
            model.map_index == ti.map_index,
        )
        state: str | None = query.scalar()
        return state


def callback_may_read_xcoms(context: Mapping[str, Any], *, in_triggerer: bool) -> bool:
    """Return whether a callback can read XComs. If Airflow does not answer, the request would hang for ever.

    Airflow answers neither in the executor, where a deadline's ``SyncCallback`` runs, nor in the DAG
    processor of 3.0.
    """
    if not AIRFLOW_3 or in_triggerer:
        return True
    if "deadline" in context and "ti" not in context:
        return False
    return has_answer({"type": "XComResult", "key": "key", "value": None})


def callback_xcom(
    context: Mapping[str, Any], run: tuple[str | None, str | None], task_id: str, key: str, map_index: int
) -> Any:
    """Return an XCom of the run that a callback belongs to; ``None`` if it is missing."""
    ti = context.get("ti")
    if ti is not None:
        return ti.xcom_pull(task_ids=task_id, key=key, map_indexes=map_index)
    return _xcom_class().get_one(dag_id=run[0], run_id=run[1], task_id=task_id, key=key, map_index=map_index)


async def save_xcom(ti: Any, key: str, value: Any, may_begin: Callable[[], bool]) -> None:
    """Write an XCom of a deferred task instance, from its trigger.

    :param may_begin: called right before the XCom is written; if it returns False, nothing is written.
    """
    write = partial(_xcom_class().set, key, value, **_instance(ti), map_index=ti.map_index)
    await in_thread(lambda: may_begin() and write())


async def saved_xcom(ti: Any, key: str) -> Any:
    """Return an XCom of a deferred task instance, in its trigger; ``None`` if it is missing."""
    return await in_thread(partial(_xcom_class().get_one, key=key, **_instance(ti), map_index=ti.map_index))


def _instance(ti: Any) -> dict[str, Any]:
    return {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id}


def _xcom_class() -> Any:
    return import_module("airflow.sdk.execution_time.xcom" if AIRFLOW_3 else "airflow.models.xcom").XCom


def get_variable(name: str) -> Any:
    """Return the value of an Airflow Variable: as JSON if it parses, as text if not, ``None`` if missing.

    ``None`` means that Airflow itself reports the Variable as missing. ``Variable.get`` also returns its
    default if the database or, since 3.1, Airflow's API reports an error. A caller that then writes the
    Variable would overwrite a value that it has not seen.

    :raises NotAnswered: if Airflow does not report whether the Variable exists.
    """
    default = "default_var" if has_database() else "default"
    text = _variable().get(name, **{default: None})
    if text is None:
        text = _variable_in_database(name) if has_database() else _variable_of_supervisor(name)
    # Some versions of Airflow raise for text that is not JSON, and some report the Variable as missing.
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


def _variable_in_database(name: str) -> str | None:
    """Read the database alone. When Airflow reads all secrets backends, it only logs errors."""
    backend = import_module("airflow.secrets.metastore").MetastoreBackend()
    try:
        text: str | None = backend.get_variable(key=name)
    except Exception as error:
        raise _no_answer(name) from error
    return text


def _variable_of_supervisor(name: str) -> str | None:
    """Ask the supervisor of this process, which passes on the errors of Airflow's API."""
    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    send = getattr(getattr(runner, "SUPERVISOR_COMMS", None), "send", None)
    if send is None:
        return None
    question = import_module("airflow.sdk.execution_time.comms").GetVariable(key=name)
    try:
        answer = send(question)
    except import_module("airflow.sdk.exceptions").AirflowRuntimeError as error:
        answer = error.error
    kind = getattr(answer, "error", None)
    if kind is None and hasattr(answer, "value"):
        text: str | None = answer.value
        return text
    if getattr(kind, "value", kind) != "VARIABLE_NOT_FOUND":
        raise _no_answer(name)
    return None


def _no_answer(name: str) -> NotAnswered:
    return NotAnswered(
        f"Airflow does not say whether the Variable {name} exists: its API or its database reports an error. "
        f"Try again when Airflow answers."
    )


def set_variable(name: str, value: Any, description: str) -> None:
    """Write a value into an Airflow Variable, as JSON."""
    _variable().set(name, value, description=description, serialize_json=True)


def delete_variable(name: str) -> None:
    """Delete an Airflow Variable. A missing Variable is not an error."""
    _variable().delete(name)


def _variable() -> Any:
    return import_module("airflow.models.variable" if has_database() else "airflow.sdk").Variable
