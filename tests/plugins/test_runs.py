"""The DAG runs that the fleet page shows beside a Space."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run
from tests.plugins.conftest import Page


@pytest.fixture
def ran(hub: HubEmulator, airflow_db: None) -> HubEmulator:
    """A run of a DAG with tasks mapped over two Spaces; runs of other tests are deleted."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(DagRun))
    hub.add_space("acme/a", hardware="cpu-upgrade")
    hub.add_space("acme/b")
    assert run(dag_file("mapped_windows").dag)["dag"] == "success"
    return hub


def runs(page: Page) -> list[dict[str, Any]]:
    answer = page.get("api/runs")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["runs"])


def test_a_run_is_shown_beside_each_space_that_its_mapped_tasks_worked_on(
    ran: HubEmulator, page: Page
) -> None:
    window_runs = [each for each in runs(page) if each["dag_id"] == "mapped_windows"]
    assert {each["repo_id"] for each in window_runs} == {"acme/a", "acme/b"}
    assert {each["state"] for each in window_runs} == {"success"}
    assert {each["endpoint"] for each in window_runs} == {ran.url}
    assert all(each["run_id"] for each in window_runs)
    assert all(datetime.fromisoformat(each["at"]) for each in window_runs)


def test_runs_that_the_user_may_not_read_are_left_out(
    ran: HubEmulator, page: Page, store_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    def other_only(self: Any, *, method: str, user: Any, details: Any = None) -> bool:
        return details.conn_id in (None, "other")

    store_connection("other", ran)
    assert runs(page)
    with monkeypatch.context() as without_dags:
        without_dags.setattr(SimpleAuthManager, "is_authorized_dag", lambda self, **details: False)
        assert runs(page) == []
    monkeypatch.setattr(SimpleAuthManager, "is_authorized_connection", other_only)
    assert runs(page) == []


def test_a_dag_that_has_not_run_yet_is_shown_without_a_run() -> None:
    from airflow_provider_hfspaces.plugins.connections import KnownConnection
    from airflow_provider_hfspaces.plugins.runs import SpaceTask, runs_of

    connections = [KnownConnection("hub", "https://huggingface.co", "acme")]
    tasks = [SpaceTask("new", "upgrade", "hub", ("whisper",)), SpaceTask("new", "lost", "gone", ("acme/x",))]
    runs_by_space = runs_of(tasks, connections, {"new"})
    assert [(each["repo_id"], each["dag_id"], each["run_id"]) for each in runs_by_space] == [
        ("acme/whisper", "new", None)
    ]


def test_tasks_are_recognized_by_module_or_link_and_templates_are_no_spaces() -> None:
    from airflow_provider_hfspaces.plugins.runs import tasks_in

    ours = {
        "task_id": "ours",
        "_task_module": "airflow_provider_hfspaces.operators.hardware",
        "repo_id": "acme/whisper",
        "hf_spaces_conn_id": "hub",
    }
    subclass_task = {
        "task_id": "derived",
        "_task_module": "their.operators",
        "_operator_extra_links": {"Open Space": "hf_space_link"},
        "repo_id": "{{ params.space }}",
    }
    mapped_task = {
        **ours,
        "task_id": "mapped",
        "repo_id": None,
        "partial_kwargs": {"hf_spaces_conn_id": "other"},
    }
    mapped_task.pop("hf_spaces_conn_id")
    strange = {"task_id": "strange", "_task_module": "airflow.providers.standard.operators.empty"}
    tasks = [{"__var": each, "__type": "operator"} for each in (ours, subclass_task, mapped_task, strange)]
    task_of = {each.task_id: each for each in tasks_in("dag", {"dag": {"tasks": tasks}})}
    assert set(task_of) == {"ours", "derived", "mapped"}
    assert (task_of["ours"].conn_id, task_of["ours"].repo_ids) == ("hub", ("acme/whisper",))
    assert task_of["derived"].repo_ids == ()
    assert task_of["mapped"].conn_id == "other"
