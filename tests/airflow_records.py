"""Rows in Airflow's database for tests that need no scheduler: runs, task instances and Variables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib import import_module
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AIRFLOW_3
from airflow_provider_hfspaces.compat.processes import use_database

__all__ = ["AirflowRecords", "airflow_records", "as_server"]

_BUNDLE = "records-of-tests"
"""The bundle of DAG files that the rows name: Airflow 3 requires one."""


class AirflowRecords:
    """Adds rows to the database of the tests."""

    def run(self, dag_id: str, run_id: str, state: str) -> None:
        """Add a run of a DAG, in any state."""
        from airflow.models.dagrun import DagRun

        now = datetime.now(timezone.utc)
        row = DagRun(dag_id=dag_id, run_id=run_id, run_type="manual")
        row.state = state
        for name in ("execution_date", "logical_date", "run_after", "start_date", "queued_at"):
            if name in DagRun.__table__.columns:
                setattr(row, name, now)
        self._add(row)

    def dag(self, dag_id: str) -> None:
        """Add a DAG that Airflow knows and that is not paused."""
        from airflow.models.dag import DagModel

        model: Any = DagModel
        row = model(dag_id=dag_id, is_paused=False, fileloc=f"/dags/{dag_id}.py")
        for name, value in {"is_active": True, "is_stale": False, "bundle_name": _BUNDLE}.items():
            if name in DagModel.__table__.columns:
                setattr(row, name, value)
        if AIRFLOW_3:
            model = import_module("airflow.models.dagbundle").DagBundleModel
            with _session() as session:
                session.merge(model(name=_BUNDLE))
        self._add(row)

    def variable(self, key: str, value: Any) -> None:
        """Add a Variable with a value as JSON, or replace the Variable of this name."""
        from airflow.models.variable import Variable

        with _session() as session:
            session.query(Variable).filter(Variable.key == key).delete()
        model: Any = Variable
        self._add(model(key=key, val=json.dumps(value)))

    def clear(self) -> None:
        """Delete all DAGs, runs and Variables."""
        from airflow.models.dag import DagModel
        from airflow.models.dagrun import DagRun
        from airflow.models.variable import Variable

        with _session() as session:
            for model in (DagRun, DagModel, Variable):
                session.query(model).delete()

    def _add(self, row: Any) -> None:
        with _session() as session:
            session.add(row)


def _session() -> Any:
    from airflow.utils.session import create_session

    return create_session()


@pytest.fixture
def airflow_records(airflow_db: None) -> Iterator[AirflowRecords]:
    """An Airflow database without DAGs, runs and Variables, to add some."""
    records = AirflowRecords()
    records.clear()
    yield records
    records.clear()


@pytest.fixture
def as_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process reads Airflow's database, as the API server and commands do."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "")
    use_database()
    if AIRFLOW_3:
        # A DAG run of another test in this process may have left its supervisor.
        runner = import_module("airflow.sdk.execution_time.task_runner")
        monkeypatch.delattr(runner, "SUPERVISOR_COMMS", raising=False)
