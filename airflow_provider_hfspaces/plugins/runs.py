"""Which DAG runs touch which Space: from what their tasks were rendered with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from sqlalchemy import Text, and_, cast, func, or_, select

from airflow_provider_hfspaces.hub.checks import InvalidInput, checked_repo_id
from airflow_provider_hfspaces.plugins.connections import Known

__all__ = ["SpaceTask", "TaskFinder", "runs_of"]

_PACKAGE = "airflow_provider_hfspaces."
_LINK = "hf_space_link"
"""The key of the link that all operators of this package have, and all that are made from them."""

_FIELDS = ("repo_id", "from_id", "to_id", "repo_ids")
_MOST_INSTANCES = 5000
_MOST_RUNS = 5


@dataclass(frozen=True)
class SpaceTask:
    """A task of a DAG that is about Spaces.

    :ivar conn_id: its connection, as the DAG has it.
    :ivar given: the Spaces, as the DAG has them.
    """

    dag_id: str
    task_id: str
    conn_id: str | None
    given: tuple[str, ...]


class TaskFinder:
    """Finds the tasks of this package in the DAGs that Airflow has stored; reads each DAG once.

    Safe for threads, but for a DAG that is then read twice.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[SpaceTask, ...]] = {}

    def tasks(self) -> list[SpaceTask]:
        """Of the newest version of each DAG."""
        stored: Any = SerializedDagModel
        newest = (
            select(stored.dag_id, func.max(stored.created_at).label("created_at"))
            .group_by(stored.dag_id)
            .subquery()
        )
        text = cast(stored._data, Text)
        compressed = stored._data_compressed.is_not(None)  # which cannot be searched where it is
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
                    found = session.scalars(select(stored).where(stored.id == row_id)).first()
                    if found is not None:
                        self._known[key] = tuple(_tasks_in(found.dag_id, found.data))
        for key in [key for key in self._known if key not in current]:
            self._known.pop(key, None)
        return [task for key in current for task in self._known.get(key, ())]


def _tasks_in(dag_id: str, data: Any) -> Iterable[SpaceTask]:
    if isinstance(data, str):
        data = json.loads(data)
    for stored in (data or {}).get("dag", {}).get("tasks", ()):
        task = stored.get("__var", stored)
        if not _is_ours(task):
            continue
        said = {**(task.get("partial_kwargs") or {}), **task}
        conn_id = _plain(said.get("hf_spaces_conn_id"))
        given = tuple(each for name in _FIELDS for each in _texts(_plain(said.get(name))))
        yield SpaceTask(dag_id, str(task["task_id"]), conn_id if _is_text(conn_id) else None, given)


def _is_ours(task: Mapping[str, Any]) -> bool:
    links = task.get("_operator_extra_links") or task.get("operator_extra_links") or ()
    return str(task.get("_task_module", "")).startswith(_PACKAGE) or _LINK in json.dumps(links, default=str)


def _plain(value: Any) -> Any:
    """What Airflow has wrapped to remember its type."""
    return value["__var"] if isinstance(value, Mapping) and "__var" in value else value


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, (list, tuple)) else [value]
    return [each for each in values if _is_text(each)]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and "{{" not in value and "{%" not in value


def runs_of(
    tasks: Iterable[SpaceTask], connections: Iterable[Known], readable_dags: set[str]
) -> list[dict[str, Any]]:
    """The newest runs that touch each Space, newest first, and DAGs that will but have not run yet.

    From the rendered fields of task instances, of which Airflow keeps the last 30 or so of each task.

    :param connections: those that the user may read; tasks with others are left out.
    :param readable_dags: ids of the DAGs that the user may read; others are left out.
    :return: ``{"endpoint", "repo_id", "dag_id", "run_id", "state", "task_id", "map_index"}`` each, with
        the Space's id in lower case; a DAG that has not run has ``None`` for its run.
    """
    known = {each.conn_id: each for each in connections if each.endpoint}
    wanted = [task for task in tasks if task.dag_id in readable_dags]
    found: dict[tuple[str, str], dict[tuple[str, str | None], dict[str, Any]]] = {}

    def touch(conn_id: str | None, given: str, **what: Any) -> None:
        connection = known.get(conn_id or "")
        if connection is None:
            return
        try:
            repo_id = checked_repo_id(given, namespace=connection.namespace, endpoint=connection.endpoint)
        except InvalidInput:
            return
        runs = found.setdefault((str(connection.endpoint), repo_id.lower()), {})
        key = (what["dag_id"], what["run_id"])
        if key not in runs and len(runs) < _MOST_RUNS:
            runs[key] = {"endpoint": connection.endpoint, "repo_id": repo_id.lower(), **what}

    ran = set()
    for row, task in _instances(wanted):
        fields = row.rendered_fields if isinstance(row.rendered_fields, Mapping) else {}
        conn_id = fields.get("hf_spaces_conn_id") or task.conn_id
        for given in [each for name in _FIELDS for each in _texts(fields.get(name))]:
            ran.add(task.dag_id)
            touch(
                conn_id,
                given,
                dag_id=row.dag_id,
                run_id=row.run_id,
                state=str(getattr(row.state, "value", row.state) or "") or None,
                task_id=row.task_id,
                map_index=row.map_index,
            )
    for task in wanted:
        if task.dag_id not in ran:
            for given in task.given:
                touch(
                    task.conn_id,
                    given,
                    dag_id=task.dag_id,
                    run_id=None,
                    state=None,
                    task_id=task.task_id,
                    map_index=-1,
                )
    return [run for runs in found.values() for run in runs.values()]


def _instances(tasks: list[SpaceTask]) -> list[tuple[Any, SpaceTask]]:
    """The last task instances with what they were rendered with, newest run first."""
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
            )
            .join(instance, and_(*same))
            .join(run, and_(run.dag_id == rendered.dag_id, run.run_id == rendered.run_id))
            .where(rendered.dag_id.in_({dag_id for dag_id, _ in by_name}))
            .where(rendered.task_id.in_({task_id for _, task_id in by_name}))
            .order_by(run.id.desc())
            .limit(_MOST_INSTANCES)
        ).all()
    return [(row, by_name[row.dag_id, row.task_id]) for row in rows if (row.dag_id, row.task_id) in by_name]
