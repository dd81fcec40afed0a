"""Airflow's ``Variable`` without a server: the class that tasks use, with Variables kept in memory."""

from __future__ import annotations

import json
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AIRFLOW_3

__all__ = ["AirflowVariables"]


class AirflowVariables(dict[str, str]):
    """The Variables as JSON text by name, in place of Airflow's class of this name.

    :ivar lookups: the names that were looked up, in order.
    :ivar error: raised instead of an answer; by default none.
    :ivar is_silent: whether Airflow has stopped answering.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.lookups: list[str] = []
        self.error: BaseException | None = None
        self.is_silent = False
        self._monkeypatch = monkeypatch
        module = import_module("airflow.sdk" if AIRFLOW_3 else "airflow.models.variable")
        monkeypatch.setattr(module, "Variable", _Variable(self))
        if not AIRFLOW_3:
            backend = import_module("airflow.secrets.metastore").MetastoreBackend
            monkeypatch.setattr(backend, "get_variable", lambda _, key: self._in_database(key))

    def stop_answering(self) -> None:
        """Let Airflow behave as with an error of its API or database: a Variable seems to be missing."""
        self.is_silent = True
        if AIRFLOW_3:
            from airflow.sdk.exceptions import ErrorType
            from airflow.sdk.execution_time import task_runner
            from airflow.sdk.execution_time.comms import ErrorResponse

            answer = ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 500})
            comms = SimpleNamespace(send=lambda question: answer)
            self._monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)

    def _in_database(self, key: str) -> str | None:
        if self.is_silent:
            raise RuntimeError("the database does not answer")
        return self.get(key)

    def value(self, name: str) -> Any:
        """The value of a Variable that exists."""
        return json.loads(self[name])


class _Variable:
    """The part of Airflow's interface that this package uses; Airflow 2.11 has other names for defaults."""

    def __init__(self, variables: AirflowVariables) -> None:
        self._variables = variables

    def get(self, key: str, **default: Any) -> Any:
        self._variables.lookups.append(key)
        if self._variables.error is not None:
            raise self._variables.error
        if key in self._variables and not self._variables.is_silent:
            return self._variables[key]
        (fallback,) = default.values()
        return fallback

    def set(self, key: str, value: Any, description: str, serialize_json: bool) -> None:
        # Before it writes, Airflow looks whether a secrets backend has a Variable of this name.
        self._variables.lookups.append(key)
        self._variables[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self._variables.pop(key, None)
