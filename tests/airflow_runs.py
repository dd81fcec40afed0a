"""What Airflow tells tasks about runs and DAGs, without a server: the class and the session that they ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AIRFLOW_3

__all__ = ["AirflowRuns"]


class AirflowRuns:
    """Runs, tasks and DAGs, in place of what Airflow's own class, or its database in 2.11, knows about them.

    :ivar over: ids of the runs that have ended; all others run.
    :ivar succeeded: names of the tasks that have succeeded in each run, without the prefix of their group.
    :ivar restored: the states of the tasks that restore a Space, by task id.
    :ivar paused: ids of the DAGs that are paused.
    :ivar working: whether a task of each run is running.
    :ivar on_question: called with the id of a run before Airflow says whether it has ended; may raise.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.over: set[str] = set()
        self.succeeded = {"upgrade"}
        self.restored: dict[str, str] = {}
        self.paused: set[str] = set()
        self.working = False
        self.on_question: Callable[[str], object] = lambda run_id: None
        if not AIRFLOW_3:
            monkeypatch.setattr("airflow.utils.session.create_session", self._session)
            return
        monkeypatch.delenv("_AIRFLOW_PROCESS_CONTEXT", raising=False)
        runner = import_module("airflow.sdk.execution_time.task_runner").RuntimeTaskInstance
        for answer in (self.get_dagrun_state, self.get_task_states, self.get_dag):
            monkeypatch.setattr(runner, answer.__name__, answer, raising=False)

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        """The state of a run, as Airflow's ``RuntimeTaskInstance`` returns it."""
        self.on_question(run_id)
        return "failed" if run_id in self.over else "running"

    def get_task_states(
        self,
        dag_id: str,
        run_ids: list[str],
        task_ids: list[str] | None = None,
        map_index: int | None = None,
    ) -> dict[str, dict[str, str]]:
        """The states of some tasks, or of all tasks, of a run, as ``RuntimeTaskInstance`` returns them."""
        if task_ids is None:
            states = {**self.restored, **({"batch": "running"} if self.working else {})}
        else:
            successes = [each for each in task_ids if each.rpartition(".")[2] in self.succeeded]
            states = {**dict.fromkeys(successes, "success"), **self.restored}
        suffix = "" if map_index is None else f"_{map_index}"
        state_of = {f"{task_id}{suffix}": state for task_id, state in states.items()}
        return {run_id: dict(state_of) for run_id in run_ids}

    def get_dag(self, dag_id: str) -> SimpleNamespace:
        """A DAG, as ``RuntimeTaskInstance`` returns it."""
        return SimpleNamespace(is_paused=dag_id in self.paused)

    @contextmanager
    def _session(self) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(query=lambda *columns: _Query(self, columns))


class _Query:
    """A query of Airflow 2.11 for the state of a run, the states of its tasks, or a DAG."""

    def __init__(self, runs: AirflowRuns, columns: tuple[Any, ...]) -> None:
        self._runs, self._columns = runs, columns
        self._conditions: dict[str, Any] = {}

    def filter(self, *conditions: Any) -> _Query:
        for each in conditions:
            self._conditions[each.left.key] = each.right.value
        return self

    def scalar(self) -> str:
        return self._runs.get_dagrun_state(self._conditions["dag_id"], self._conditions["run_id"])

    def first(self) -> tuple[bool, bool]:
        return bool(self._runs.get_dag(self._conditions["dag_id"]).is_paused), True

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        run_id, task_ids = self._conditions["run_id"], self._conditions.get("task_id")
        states = self._runs.get_task_states(self._conditions["dag_id"], [run_id], task_ids)[run_id]
        for task_id, state in states.items():
            yield (task_id, state)[-len(self._columns) :]
