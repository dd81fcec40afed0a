"""What Airflow knows about other runs: whether they have ended, and the states of their tasks.

Each function works in tasks, triggers, the API server and commands, and blocks until Airflow answers. If a
request fails, the function raises Airflow's own exception. Where Airflow would never answer, the function
raises :class:`NotAnswered` and sends no request.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from airflow_provider_hfspaces.compat.processes import has_database

__all__ = [
    "FINAL_STATES",
    "NotAnswered",
    "has_answer",
    "is_dag_paused",
    "is_run_over",
    "is_run_working",
    "task_states",
]

FINAL_STATES = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
"""States in which a task instance stays until a user clears it."""

_WORKING_STATES = frozenset({"running", "queued", "restarting"})

_WAITING_STATES = frozenset({"deferred"})

_FINAL_RUN_STATES = frozenset({"success", "failed"})


class NotAnswered(Exception):
    """Airflow gives no answer, or would give none in this process, so that a request would wait for ever."""


def has_answer(answer: Mapping[str, Any]) -> bool:
    """Return whether Airflow answers a question in this process. The DAG processor answers only some.

    :param answer: an answer as the supervisor sends it. A supervisor that cannot answer does not know this
        type of message either.
    """
    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    decoder = getattr(getattr(runner, "SUPERVISOR_COMMS", None), "body_decoder", None)
    if decoder is None:
        return True
    try:
        decoder.validate_python(answer)
    except ValueError:
        return False
    return True


def is_run_over(dag_id: str, run_id: str) -> bool:
    """Return whether a DAG run has ended or been deleted.

    Only Airflow's own answer that the run does not exist means that it was deleted. A 404 from a proxy
    between this process and Airflow says nothing about the run.

    :raises Exception: Airflow's own, if Airflow does not answer.
    """
    if has_database():
        model = import_module("airflow.models.dagrun").DagRun
        with import_module("airflow.utils.session").create_session() as session:
            rows = session.query(model.state).filter(model.dag_id == dag_id, model.run_id == run_id)
            state = rows.scalar()
        return state is None or _text(state) in _FINAL_RUN_STATES
    _require_answer({"type": "DagRunStateResult", "state": "running"})
    try:
        state = _runner().get_dagrun_state(dag_id, run_id)
    except Exception as error:
        if _is_not_found(error):
            return True
        raise
    return _text(state) in _FINAL_RUN_STATES


def task_states(dag_id: str, run_id: str, task_ids: Iterable[str], map_index: int = -1) -> dict[str, str]:
    """Return the states of some tasks of a run, by task id; tasks without an instance are missing.

    :param map_index: of the task instances; -1 for tasks that are not mapped.
    :raises Exception: Airflow's own, if Airflow does not answer.
    """
    wanted = list(task_ids)
    if has_database():
        model = import_module("airflow.models.taskinstance").TaskInstance
        with import_module("airflow.utils.session").create_session() as session:
            rows = session.query(model.task_id, model.state).filter(
                model.dag_id == dag_id,
                model.run_id == run_id,
                model.task_id.in_(wanted),
                model.map_index == map_index,
            )
            return {task_id: _text(state) for task_id, state in rows}
    _require_answer({"type": "TaskStatesResult", "task_states": {}})
    states = _runner().get_task_states(
        dag_id=dag_id,
        task_ids=wanted,
        run_ids=[run_id],
        map_index=map_index if map_index >= 0 else None,
    )
    suffix = f"_{map_index}" if map_index >= 0 else ""
    of_run = states.get(run_id, {})
    return {each: _text(of_run[f"{each}{suffix}"]) for each in wanted if f"{each}{suffix}" in of_run}


def is_run_working(dag_id: str, run_id: str, *, or_waits: bool = False) -> bool:
    """Return whether a task of the run is running or about to run, also while its DAG is paused.

    :param or_waits: whether a task that waits in the triggerer counts too.
    :raises Exception: Airflow's own, if Airflow does not answer.
    """
    if has_database():
        model = import_module("airflow.models.taskinstance").TaskInstance
        with import_module("airflow.utils.session").create_session() as session:
            rows = session.query(model.state).filter(model.dag_id == dag_id, model.run_id == run_id)
            states = {_text(state) for (state,) in rows}
    else:
        _require_answer({"type": "TaskStatesResult", "task_states": {}})
        of_run = _runner().get_task_states(dag_id=dag_id, run_ids=[run_id]).get(run_id, {})
        states = {_text(state) for state in of_run.values()}
    return bool(states & (_WORKING_STATES | (_WAITING_STATES if or_waits else frozenset())))


def is_dag_paused(dag_id: str) -> bool | None:
    """Return whether a DAG is paused; True for a DAG that Airflow does not know any more.

    Do not call it in triggers and callbacks: the triggerer and the DAG processor never answer the request, so
    that it would wait for ever.

    :returns: ``None`` if Airflow does not answer. Airflow 3.0 to 3.2 never tell tasks.
    """
    if has_database():
        model = import_module("airflow.models.dag").DagModel
        with import_module("airflow.utils.session").create_session() as session:
            is_listed = model.is_active if hasattr(model, "is_active") else ~model.is_stale
            row = session.query(model.is_paused, is_listed).filter(model.dag_id == dag_id).first()
        return row is None or bool(row[0]) or not row[1]
    get_dag = getattr(_runner(), "get_dag", None)
    if get_dag is None:
        return None
    try:
        return bool(get_dag(dag_id).is_paused)
    except Exception as error:
        return True if _is_not_found(error) else None


def _require_answer(answer: Mapping[str, Any]) -> None:
    if not has_answer(answer):
        raise NotAnswered(f"Airflow sends no {answer['type']} to this process.")


def _runner() -> Any:
    return import_module("airflow.sdk.execution_time.task_runner").RuntimeTaskInstance


def _text(state: Any) -> str:
    return str(getattr(state, "value", state))


def _is_not_found(error: Exception) -> bool:
    answers = [getattr(getattr(error, "error", None), "detail", None), getattr(error, "detail", None)]
    response = getattr(error, "response", None)
    if getattr(response, "status_code", None) == 404:
        try:
            answers.append(response.json())  # type: ignore[union-attr]
        except ValueError:
            return False
    return any(_gives_reason(answer) for answer in answers)


def _gives_reason(answer: Any) -> bool:
    """Return whether a response body says, as Airflow's API does, that something does not exist."""
    if not isinstance(answer, Mapping):
        return False
    return answer.get("reason") == "not_found" or _gives_reason(answer.get("detail"))
