"""What a callback is told, which differs from place to place: of which run, and why it was called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["filled", "is_deadline", "occasion", "run_of"]


def is_deadline(context: Mapping[str, Any]) -> bool:
    """Whether a deadline alert calls, which knows no task instance."""
    return "deadline" in context and "ti" not in context


def filled(context: Mapping[str, Any]) -> Any:
    """The context, with the ``run_id`` that a deadline alert gives under another name.

    Airflow 3.1 to 3.3 describe the run as their API does, where ``run_id`` is ``dag_run_id``.
    """
    run = context.get("dag_run")
    if not isinstance(run, Mapping):
        return context
    run_id = run.get("run_id") or run.get("dag_run_id")
    return {"run_id": run_id, **context, "dag_run": {**run, "run_id": run_id}}


def run_of(context: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The ids of the DAG and of the run, where the context tells them."""
    for name in ("ti", "dag_run", "dag"):
        said = context.get(name)
        if said is not None:
            dag_id, run_id = _said(said, "dag_id"), _said(said, "run_id") or _said(said, "dag_run_id")
            return dag_id, run_id or context.get("run_id")
    return None, context.get("run_id")


def occasion(context: Mapping[str, Any]) -> str:
    """Why the callback was called, for the log: ``task 'batch' of DAG 'gpu' failed``."""
    dag_id, run_id = run_of(context)
    if is_deadline(context):
        due = _said(context["deadline"], "deadline_time")
        return f"run {run_id!r} of DAG {dag_id!r} has missed its deadline, {due}"
    if context.get("reason"):
        return f"run {run_id!r} of DAG {dag_id!r} has ended: {context['reason']}"
    ti = context.get("ti")
    if ti is None:
        return f"a callback of DAG {dag_id!r} asked for it"
    task = f"task {ti.task_id!r} of DAG {dag_id!r}"
    state = getattr(ti, "state", None)
    state = str(getattr(state, "value", state))
    if state == "up_for_retry":
        return f"{task} failed and will be tried again"
    if context.get("exception") is not None or state == "failed":
        return f"{task} failed"
    return f"a callback of {task} asked for it"


def _said(of: Any, name: str) -> Any:
    return of.get(name) if isinstance(of, Mapping) else getattr(of, name, None)
