"""Reads the context of a callback: which run it belongs to, and why Airflow called it.

Come here when a kind of callback gets another context: tasks, DAGs and deadline alerts each have their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["describe_occasion", "is_deadline", "run_of", "with_run_id"]


def is_deadline(context: Mapping[str, Any]) -> bool:
    """Return whether a deadline alert called the callback: its context has no task instance."""
    return "deadline" in context and "ti" not in context


def with_run_id(context: Mapping[str, Any]) -> Any:
    """Return the context with ``run_id``, which deadline alerts have under another name.

    Airflow 3.1 to 3.3 describe the run as their API does, where ``run_id`` is ``dag_run_id``.
    """
    run = context.get("dag_run")
    if not isinstance(run, Mapping):
        return context
    run_id = run.get("run_id") or run.get("dag_run_id")
    return {"run_id": run_id, **context, "dag_run": {**run, "run_id": run_id}}


def run_of(context: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the ids of the DAG and of the run, as far as the context has them."""
    for name in ("ti", "dag_run", "dag"):
        source = context.get(name)
        if source is not None:
            run_id = _value(source, "run_id") or _value(source, "dag_run_id")
            return _value(source, "dag_id"), run_id or context.get("run_id")
    return None, context.get("run_id")


def describe_occasion(context: Mapping[str, Any]) -> str:
    """Return why the callback was called, for logs: ``task 'batch' of DAG 'gpu' failed``."""
    dag_id, run_id = run_of(context)
    if is_deadline(context):
        due = _value(context["deadline"], "deadline_time")
        return f"run {run_id!r} of DAG {dag_id!r} has missed its deadline, {due}"
    if context.get("reason"):
        return f"run {run_id!r} of DAG {dag_id!r} has ended: {context['reason']}"
    ti = context.get("ti")
    if ti is None:
        return f"a callback of DAG {dag_id!r} was called"
    task = f"task {ti.task_id!r} of DAG {dag_id!r}"
    state = getattr(ti, "state", None)
    state = str(getattr(state, "value", state))
    if state == "up_for_retry":
        return f"{task} failed and will be retried"
    if context.get("exception") is not None or state == "failed":
        return f"{task} failed"
    return f"a callback of {task} was called"


def _value(source: Any, name: str) -> Any:
    """Return a value of an object, or of a mapping, which deadline alerts have instead."""
    return source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
