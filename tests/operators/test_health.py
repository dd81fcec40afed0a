"""Operators and sensors with a health check end when the app answers, in a worker and deferred."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AirflowFailException, AirflowSensorTimeout
from airflow_provider_hfspaces.emulator import HubEmulator, SpaceHandle
from airflow_provider_hfspaces.hub.errors import SpaceWaitTimeout
from airflow_provider_hfspaces.operators.duplicate import DuplicateSpaceOperator
from airflow_provider_hfspaces.operators.hardware import (
    RequestHardwareOperator,
    RestoreHardwareOperator,
    SnapshotSpaceOperator,
)
from airflow_provider_hfspaces.operators.lifecycle import RestartSpaceOperator
from airflow_provider_hfspaces.sensors.spaces import SpaceHealthySensor, SpaceRunningSensor
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup
from tests.airflow_tools import Try, connection
from tests.conftest import TaskLog

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

SPACE = "acme/whisper"
HEALTH = {"path": "/health", "json": {"ok": True}}


def add_space(hub: HubEmulator, **options: Any) -> SpaceHandle:
    """A Space whose app answers ``/health``."""
    return hub.add_space(SPACE, sdk="docker", **options)


def stop_serving(hub: HubEmulator, times: int | None) -> None:
    """Let the apps of all Spaces answer 503 although the Spaces run."""
    hub.faults.add(kind="status", app="acme/*", status=503, times=times)


def probes(hub: HubEmulator, repo_id: str = SPACE) -> int:
    """The number of health checks that have reached the app."""
    return sum(request.path == "/health" for request in hub.space(repo_id).app_requests)


def run_to_result(run: Try, operator: Any) -> Any:
    return run.run_deferred(operator) if operator.deferrable else run.run(operator)


OPERATORS: dict[str, Any] = {
    "upgrade": lambda **o: RequestHardwareOperator(repo_id=SPACE, hardware="t4-small", **o),
    "restart": lambda **o: RestartSpaceOperator(repo_id=SPACE, **o),
    "copy": lambda **o: DuplicateSpaceOperator(from_id=SPACE, to_id="acme/copy", wait=True, **o),
}


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_ends_when_the_app_answers(
    hub: HubEmulator, task_log: TaskLog, name: str, deferrable: bool
) -> None:
    add_space(hub)
    stop_serving(hub, times=2)
    operator = OPERATORS[name](task_id=name, health=HEALTH, poll_interval=0.02, deferrable=deferrable)
    assert run_to_result(Try(), operator)
    target = "acme/copy" if name == "copy" else SPACE
    assert probes(hub, target) == 1
    assert f"Space {target} runs. Its app does not answer GET /health as expected yet" in task_log.text


def test_an_app_that_does_not_answer_fails_the_task_with_the_end_of_its_log(
    hub: HubEmulator, task_log: TaskLog
) -> None:
    hub.settings.logs_end = "at_once"
    add_space(hub, hardware="t4-small")
    operator = OPERATORS["upgrade"](
        task_id="up",
        health={"path": "/health", "text": "loaded"},
        poll_interval=0.02,
        timeout=0.5,
    )
    with pytest.raises(SpaceWaitTimeout, match=r"did not answer GET /health as expected .* without 'loaded'"):
        Try().run(operator)
    assert "The last lines of the app log of Space acme/whisper" in task_log.text


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_space_that_is_already_there_needs_no_wait_if_its_app_answers(
    hub: HubEmulator, deferrable: bool
) -> None:
    add_space(hub, hardware="t4-small")
    operator = OPERATORS["upgrade"](task_id="up", health="/health", deferrable=deferrable)
    assert Try().run(operator)["hardware"] == "t4-small"
    assert probes(hub) == 1


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_restore_waits_for_the_app_too(hub: HubEmulator, deferrable: bool) -> None:
    add_space(hub)
    run = Try()
    run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
    run.run(RequestHardwareOperator(task_id="up", repo_id=SPACE, hardware="t4-small", poll_interval=0.02))
    back = RestoreHardwareOperator(
        task_id="back",
        repo_id=SPACE,
        from_task="snapshot",
        wait=True,
        health="/health",
        poll_interval=0.02,
        deferrable=deferrable,
    )
    assert run_to_result(run, back)["hardware"] == "cpu-basic"
    assert probes(hub) == 1


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    "sensor",
    [
        lambda **o: SpaceHealthySensor(path="/health", expect={"json": {"ok": True}}, **o),
        lambda **o: SpaceRunningSensor(health={"path": "/health", "text": "true"}, **o),
    ],
)
def test_a_sensor_waits_until_the_app_answers_as_expected(
    hub: HubEmulator, sensor: Any, deferrable: bool
) -> None:
    add_space(hub, stage="BUILDING")
    task = sensor(task_id="sense", repo_id=SPACE, poke_interval=0.02, deferrable=deferrable)
    assert run_to_result(Try(), task)["stage"] == "RUNNING"
    assert probes(hub) == 1


def test_a_sensor_sends_no_request_to_an_app_that_does_not_run(hub: HubEmulator) -> None:
    hub.settings.change({"timings": {"build": 10**6}})
    add_space(hub, stage="BUILDING")
    sensor = SpaceHealthySensor(task_id="sense", repo_id=SPACE, path="/health")
    assert not sensor.poke(Try().context(sensor))
    assert probes(hub) == 0


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_sensor_for_an_app_times_out_as_other_sensors_do(hub: HubEmulator, deferrable: bool) -> None:
    add_space(hub)
    sensor = SpaceHealthySensor(
        task_id="sense",
        repo_id=SPACE,
        path="/health",
        expect=418,
        poke_interval=0.05,
        timeout=0.2,
        deferrable=deferrable,
    )
    with pytest.raises(AirflowSensorTimeout):
        run_to_result(Try(), sensor)


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_static_space_and_a_private_space_of_somebody_else_fail_at_once(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    hub.add_space("acme/page", sdk="static")
    hub.add_space("acme/secret", private=True)
    monkeypatch.setenv("AIRFLOW_CONN_STRANGER", connection(hub, hub.add_token("stranger")))
    for repo_id, message in (
        ("acme/page", "is static: .* no app"),
        ("acme/secret", "Space acme/secret was not found"),
    ):
        sensor = SpaceHealthySensor(
            task_id="sense", repo_id=repo_id, hf_spaces_conn_id="stranger", deferrable=deferrable
        )
        with pytest.raises(AirflowFailException, match=message):
            Try().run(sensor)


@pytest.mark.parametrize(
    "bad", ["health", 5, {"url": "/x"}, {"status": 9}, "https://evil.test/", ["/a"], {"path": "//evil.test"}]
)
def test_a_health_check_that_is_not_valid_is_refused_when_the_dag_is_parsed(bad: Any) -> None:
    for build in OPERATORS.values():
        with pytest.raises(ValueError, match="Task 'bad': health"):
            build(task_id="bad", health=bad)
    with pytest.raises(ValueError, match="Task 'bad': health"):
        SpaceRunningSensor(task_id="bad", repo_id=SPACE, health=bad)
    with (
        pytest.raises(ValueError, match=r"Task group 'gpu': health"),
        DAG("bad", schedule=None, start_date=datetime(2026, 1, 1)),
        SpaceHardwareTaskGroup("gpu", SPACE, "t4-small", health=bad),
    ):
        pass


@pytest.mark.parametrize(
    "options", [{"path": "health"}, {"expect": 99}, {"expect": {"path": "/"}}, {"health": "/x"}]
)
def test_a_sensor_refuses_a_path_or_an_answer_that_is_not_valid_when_the_dag_is_parsed(
    options: dict[str, Any],
) -> None:
    with pytest.raises(ValueError, match=r"health|expect"):
        SpaceHealthySensor(task_id="sense", repo_id=SPACE, **options)


def test_a_templated_health_check_is_refused_before_any_request(hub: HubEmulator) -> None:
    add_space(hub)
    operator = OPERATORS["upgrade"](task_id="up", health="{{ params.health }}")
    operator.health = "not a path"
    with pytest.raises(AirflowFailException, match="health must be"):
        Try().run(operator)
    assert hub.requests == []


@pytest.mark.parametrize("text", ["True", "/health", '{"path": "/health"}', "{'path': '/health'}"])
def test_a_template_may_render_to_any_form_of_a_health_check(hub: HubEmulator, text: str) -> None:
    add_space(hub, hardware="t4-small")
    operator = OPERATORS["upgrade"](task_id="up", health="{{ params.health }}")
    operator.health = text
    assert Try().run(operator)["stage"] == "RUNNING"


def test_health_without_a_wait_is_refused_unless_it_is_a_default_of_the_dag() -> None:
    with pytest.raises(ValueError, match="health of task 'up' has no effect with wait=False"):
        OPERATORS["upgrade"](task_id="up", health="/health", wait=False)
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1), default_args={"health": "/health"}):
        OPERATORS["upgrade"](task_id="up", wait=False)
        assert OPERATORS["restart"](task_id="restart").health == "/health"


def test_the_group_waits_for_the_app_before_its_work() -> None:
    with (
        DAG("d", schedule=None, start_date=datetime(2026, 1, 1)),
        SpaceHardwareTaskGroup("gpu", SPACE, "t4-small", health=HEALTH) as gpu,
    ):
        OPERATORS["restart"](task_id="work")
    assert gpu.upgrade.health == HEALTH


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_private_space_is_asked_with_a_token_that_its_app_does_not_see(
    hub: HubEmulator, deferrable: bool
) -> None:
    space = add_space(hub, private=True)
    stop_serving(hub, times=1)
    sensor = SpaceHealthySensor(
        task_id="sense", repo_id=SPACE, path="/headers", poke_interval=0.02, deferrable=deferrable
    )
    run_to_result(Try(), sensor)
    assert space.app_requests
    assert all(hub.token not in str(request.to_dict()) for request in space.app_requests)
