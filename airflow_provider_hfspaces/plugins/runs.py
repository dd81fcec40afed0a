"""The DAG runs that work on each Space, from the rendered fields of their tasks.

Come here to change how the fleet page finds the tasks of this package, and which runs it shows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Text, and_, cast, func, or_, select

from airflow_provider_hfspaces.compat.database import (
    DagRun,
    RenderedTaskInstanceFields,
    SerializedDagModel,
    TaskInstance,
    create_session,
)
from airflow_provider_hfspaces.hub.checks import InvalidInput, checked_repo_id
from airflow_provider_hfspaces.plugins.connections import KnownConnection

__all__ = ["SpaceTask", "TaskFinder", "runs_of", "tasks_in"]

_PACKAGE = "airflow_provider_hfspaces."
_LINK = "hf_space_link"
"""The XCom key of the link that all operators of this package and their subclasses have."""

_FIELDS = ("repo_id", "from_id", "to_id", "repo_ids")
_MAX_INSTANCES = 5000
_MAX_RUNS = 10
"""Runs that the page shows of one Space."""


@dataclass(frozen=True)
class SpaceTask:
    """A task of a DAG that works on Spaces.

    :ivar conn_id: its connection as the DAG names it; ``None`` for a template.
    :ivar repo_ids: the Spaces as the DAG names them; templates are left out.
    """

    dag_id: str
    task_id: str
    conn_id: str | None
    repo_ids: tuple[str, ...]


class TaskFinder:
    """Finds the tasks of this package in the DAGs that Airflow has stored. Reads each version of a DAG once.

    Safe for threads; two threads at once may read a DAG twice.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[SpaceTask, ...]] = {}

    def tasks(self) -> list[SpaceTask]:
        """Return the tasks of the newest version of each DAG."""
        stored: Any = SerializedDagModel
        newest = (
            select(stored.dag_id, func.max(stored.created_at).label("created_at"))
            .group_by(stored.dag_id)
            .subquery()
        )
        text = cast(stored._data, Text)
        compressed = stored._data_compressed.is_not(None)  # the database cannot search these
        with create_session() as session:
            rows = session.execute(
                select(stored.id, stored.dag_id, stored.dag_hash)
                .join(
                    newest,
                    and_(stored.dag_id == newest.c.dag_id, stored.created_at == newest.c.created_at),
                )
                .where(or_(text.contains(_PACKAGE), text.contains(_LINK), compressed))
            ).all()
            current = {(row.dag_id, row.dag_hash): row.id for row in rows}
            for key, row_id in current.items():
                if key not in self._known:
                    dag = session.scalars(select(stored).where(stored.id == row_id)).first()
                    if dag is not None:
                        self._known[key] = tuple(tasks_in(dag.dag_id, dag.data))
        for outdated in [key for key in self._known if key not in current]:
            self._known.pop(outdated, None)
        return [task for key in current for task in self._known.get(key, ())]


def tasks_in(dag_id: str, data: Any) -> Iterable[SpaceTask]:
    """Yield the tasks of this package in a serialized DAG.

    :param data: the DAG as Airflow stores it, as JSON text or parsed.
    """
    if isinstance(data, str):
        data = json.loads(data)
    for stored in (data or {}).get("dag", {}).get("tasks", ()):
        task = stored.get("__var", stored)
        if not _is_ours(task):
            continue
        fields = {**(task.get("partial_kwargs") or {}), **task}
        conn_id = _plain(fields.get("hf_spaces_conn_id"))
        repo_ids = tuple(each for name in _FIELDS for each in _texts(_plain(fields.get(name))))
        yield SpaceTask(dag_id, str(task["task_id"]), conn_id if _is_text(conn_id) else None, repo_ids)


def _is_ours(task: Mapping[str, Any]) -> bool:
    links = task.get("_operator_extra_links") or task.get("operator_extra_links") or ()
    return str(task.get("_task_module", "")).startswith(_PACKAGE) or _LINK in json.dumps(links, default=str)


def _plain(value: Any) -> Any:
    """Return a value without the wrapper in which Airflow remembers its type."""
    return value["__var"] if isinstance(value, Mapping) and "__var" in value else value


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, (list, tuple)) else [value]
    return [each for each in values if _is_text(each)]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and "{{" not in value and "{%" not in value


def runs_of(
    tasks: Iterable[SpaceTask], connections: Iterable[KnownConnection], readable_dags: set[str]
) -> list[dict[str, Any]]:
    """Return the newest runs that work on each Space, newest first, and DAGs that have not run yet.

    Airflow keeps the rendered fields of the last 30 or so instances of each task; older runs are not found.

    :param tasks: the tasks of all DAGs.
    :param connections: the connections that the user may read; tasks with other connections are left out.
    :param readable_dags: ids of the DAGs that the user may read; other DAGs are left out.
    :returns: ``{"endpoint", "repo_id", "dag_id", "run_id", "state", "at", "task_id", "map_index"}`` for each
        run, with the Space's id in lower case and the time of the run's start in ISO format. ``run_id``,
        ``state`` and ``at`` of a DAG that has not run are ``None``.
    """
    known = {each.conn_id: each for each in connections if each.endpoint}
    wanted = [task for task in tasks if task.dag_id in readable_dags]
    by_space: dict[tuple[str, str], dict[tuple[str, str | None], dict[str, Any]]] = {}

    def add(conn_id: str | None, repo_id: str, **run: Any) -> None:
        connection = known.get(conn_id or "")
        if connection is None:
            return
        try:
            repo_id = checked_repo_id(repo_id, namespace=connection.namespace, endpoint=connection.endpoint)
        except InvalidInput:
            return
        runs = by_space.setdefault((str(connection.endpoint), repo_id.lower()), {})
        key = (run["dag_id"], run["run_id"])
        if key not in runs and len(runs) < _MAX_RUNS:
            runs[key] = {"endpoint": connection.endpoint, "repo_id": repo_id.lower(), **run}

    ran = set()
    for row, task in _instances(wanted):
        fields = row.rendered_fields if isinstance(row.rendered_fields, Mapping) else {}
        conn_id = fields.get("hf_spaces_conn_id") or task.conn_id
        for repo_id in [each for name in _FIELDS for each in _texts(fields.get(name))]:
            ran.add(task.dag_id)
            add(
                conn_id,
                repo_id,
                dag_id=row.dag_id,
                run_id=row.run_id,
                state=str(getattr(row.state, "value", row.state) or "") or None,
                at=row.at.isoformat() if row.at else None,
                task_id=row.task_id,
                map_index=row.map_index,
            )
    for task in wanted:
        if task.dag_id not in ran:
            for repo_id in task.repo_ids:
                add(
                    task.conn_id,
                    repo_id,
                    dag_id=task.dag_id,
                    run_id=None,
                    state=None,
                    at=None,
                    task_id=task.task_id,
                    map_index=-1,
                )
    return [run for runs in by_space.values() for run in runs.values()]


def _instances(tasks: list[SpaceTask]) -> list[tuple[Any, SpaceTask]]:
    """Return the rendered fields of the last task instances, newest run first."""
    by_name = {(task.dag_id, task.task_id): task for task in tasks}
    if not by_name:
        return []
    rendered, instance, run = RenderedTaskInstanceFields, TaskInstance, DagRun
    same = [
        getattr(rendered, name) == getattr(instance, name)
        for name in ("dag_id", "task_id", "run_id", "map_index")
    ]
    with create_session() as session:
        rows = session.execute(
            select(
                rendered.dag_id,
                rendered.task_id,
                rendered.run_id,
                rendered.map_index,
                rendered.rendered_fields,
                run.state,
                func.coalesce(run.start_date, run.queued_at).label("at"),
            )
            .join(instance, and_(*same))
            .join(run, and_(run.dag_id == rendered.dag_id, run.run_id == rendered.run_id))
            .where(rendered.dag_id.in_({dag_id for dag_id, _ in by_name}))
            .where(rendered.task_id.in_({task_id for _, task_id in by_name}))
            .order_by(run.id.desc())
            .limit(_MAX_INSTANCES)
        ).all()
    return [(row, by_name[row.dag_id, row.task_id]) for row in rows if (row.dag_id, row.task_id) in by_name]
