"""Which answers mean that a run is over or a Variable missing: only Airflow's own, and no proxy's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AIRFLOW_3
from airflow_provider_hfspaces.compat.runs import NotAnswered, is_run_over, is_run_working
from airflow_provider_hfspaces.compat.server import get_variable

pytestmark = pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2.11 asks its database")


class ServerError(Exception):
    """An error as Airflow's supervisor passes it on to a task."""

    def __init__(self, detail: Any) -> None:
        super().__init__("API_SERVER_ERROR")
        self.error = SimpleNamespace(detail={"status_code": 404, "message": "404", "detail": detail})


def answer_with(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    def get_dagrun_state(dag_id: str, run_id: str) -> str:
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    monkeypatch.setattr(RuntimeTaskInstance, "get_dagrun_state", staticmethod(get_dagrun_state))


def test_a_run_that_airflow_does_not_find_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, ServerError({"detail": {"reason": "not_found", "message": "no such run"}}))
    assert is_run_over("dag", "run")


@pytest.mark.parametrize("detail", [None, "Not Found", {"detail": "Not Found"}, {"error": "404"}])
def test_a_404_of_a_proxy_says_nothing_about_the_run(monkeypatch: pytest.MonkeyPatch, detail: Any) -> None:
    answer_with(monkeypatch, ServerError(detail))
    with pytest.raises(ServerError):
        is_run_over("dag", "run")


@pytest.mark.parametrize(("state", "over"), [("success", True), ("failed", True), ("running", False)])
def test_a_run_is_over_when_it_has_ended(monkeypatch: pytest.MonkeyPatch, state: str, over: bool) -> None:
    answer_with(monkeypatch, state)
    assert is_run_over("dag", "run") is over


def test_the_dag_processor_is_not_asked_whether_a_run_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs the callbacks of DAGs, does not know the question, and would let them wait without an end."""
    from airflow.dag_processing.processor import ToDagProcessor
    from airflow.sdk.execution_time import task_runner
    from pydantic import TypeAdapter

    comms = SimpleNamespace(body_decoder=TypeAdapter(ToDagProcessor))
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)
    answer_with(monkeypatch, AssertionError("the DAG processor was asked"))
    with pytest.raises(NotAnswered, match="DagRunStateResult"):
        is_run_over("dag", "run")


def test_a_triggerer_is_asked_whether_a_run_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.jobs.triggerer_job_runner import ToTriggerRunner
    from airflow.sdk.execution_time import task_runner
    from pydantic import TypeAdapter

    comms = SimpleNamespace(body_decoder=TypeAdapter(ToTriggerRunner))
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)
    answer_with(monkeypatch, "success")
    assert is_run_over("dag", "run")


@pytest.mark.parametrize(
    ("state", "works", "works_or_waits"),
    [("running", True, True), ("queued", True, True), ("deferred", False, True), ("scheduled", False, False)],
)
def test_a_run_works_while_a_task_runs_and_waits_while_one_is_deferred(
    monkeypatch: pytest.MonkeyPatch, state: str, works: bool, works_or_waits: bool
) -> None:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    def get_task_states(dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str]]:
        return {run_ids[0]: {"done_before": "success", "batch": state}}

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(get_task_states))
    assert is_run_working("dag", "run") is works
    assert is_run_working("dag", "run", or_waits=True) is works_or_waits


@pytest.mark.parametrize("is_raised", [True, False])
@pytest.mark.parametrize("error", ["VARIABLE_NOT_FOUND", "API_SERVER_ERROR"])
def test_a_variable_is_missing_only_if_airflow_says_so(
    monkeypatch: pytest.MonkeyPatch, error: str, is_raised: bool
) -> None:
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import ErrorResponse

    answer = ErrorResponse(error=ErrorType[error], detail={"message": error})

    def send(question: Any) -> Any:
        if is_raised:
            raise AirflowRuntimeError(answer)
        return answer

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", SimpleNamespace(send=send), raising=False)
    if error == "VARIABLE_NOT_FOUND":
        assert get_variable("name") is None
    else:
        with pytest.raises((NotAnswered, AirflowRuntimeError)):
            get_variable("name")
