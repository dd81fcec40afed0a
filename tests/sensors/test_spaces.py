"""Sensors look at a Space until it reaches a goal, and end clearly if it cannot."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AirflowFailException, AirflowSkipException
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.sensors.spaces import SpaceRunningSensor, SpaceStageSensor
from tests.airflow_tools import FakeTaskInstance, connection
from tests.conftest import TaskLog

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task

SPACE = "acme/whisper"


def context() -> Any:
    return {"ti": FakeTaskInstance("sense")}


def test_a_sensor_waits_while_the_space_runs_on_the_old_hardware(hub: HubEmulator) -> None:
    hub.world.clock.speed = 0
    space = hub.add_space(SPACE)
    hub.world.space(SPACE).request_hardware("t4-small", None)
    sensor = SpaceRunningSensor(task_id="sense", repo_id=SPACE, hardware="t4-small")
    ctx = context()
    for _ in range(8):
        look = sensor.poke(ctx)
        assert bool(look) is (space.stage == "RUNNING" and space.hardware == "t4-small")
        hub.advance(25)
    assert look.xcom_value["hardware"] == "t4-small"
    assert ctx["ti"].xcoms["sense", "hf_space_link"] == f"{hub.url}/spaces/{SPACE}"


@pytest.mark.parametrize("stages", ["PAUSED", ["PAUSED", "STOPPED"], {"PAUSED"}])
def test_a_sensor_waits_for_any_of_its_stages(hub: HubEmulator, stages: Any) -> None:
    hub.add_space(SPACE, stage="PAUSED")
    assert SpaceStageSensor(task_id="sense", repo_id=SPACE, stages=stages).poke(context())


def test_a_failed_build_fails_the_sensor_with_the_end_of_its_log(hub: HubEmulator, task_log: TaskLog) -> None:
    hub.add_space(SPACE, stage="BUILD_ERROR", error_message="Job failed with exit code: 137")
    with pytest.raises(AirflowFailException, match="exit code: 137"):
        SpaceRunningSensor(task_id="sense", repo_id=SPACE).poke(context())
    assert "The last lines of the build log" in task_log.text


def test_without_failed_stages_a_sensor_waits_through_every_stage(hub: HubEmulator) -> None:
    hub.add_space(SPACE, stage="PAUSED")
    assert not SpaceRunningSensor(task_id="sense", repo_id=SPACE, failed_stages=()).poke(context())
    with pytest.raises(AirflowFailException, match="is paused"):
        SpaceRunningSensor(task_id="sense", repo_id=SPACE).poke(context())


def test_poke_mode_waits_until_the_goal_is_reached(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    hub.world.space(SPACE).request_hardware("t4-small", None)
    sensor = SpaceRunningSensor(task_id="sense", repo_id=SPACE, hardware="t4-small", poke_interval=0.05)
    result = sensor.execute(context())
    assert result["hardware"] == "t4-small"


def test_a_look_is_one_request(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    SpaceRunningSensor(task_id="sense", repo_id=SPACE).poke(context())
    assert [(request.method, request.path) for request in hub.requests] == [
        ("GET", f"/api/spaces/{SPACE}/runtime")
    ]


def test_a_missing_space_fails_the_sensor_at_once(hub: HubEmulator) -> None:
    with pytest.raises(AirflowFailException, match="Space acme/whisper was not found"):
        SpaceRunningSensor(task_id="sense", repo_id=SPACE).poke(context())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": ["RUNING"]}, "stage 'RUNING' is not valid. Did you mean 'RUNNING'"),
        ({"stages": []}, "stages must not be empty"),
        ({"stages": "running"}, "Did you mean 'RUNNING'"),
        ({"stages": ["RUNNING"], "hardware": "t4-smal"}, "Did you mean 't4-small'"),
        ({"stages": ["RUNNING"], "failed_stages": "PAUSD"}, "Did you mean 'PAUSED'"),
        ({"stages": ["RUNNING"], "sha": "main"}, "'main' is not a commit"),
        ({"stages": "{{ ['RUNNING'"}, "is not valid"),
    ],
)
def test_a_goal_that_no_space_ever_reaches_is_refused_before_any_request(
    hub: HubEmulator, options: dict[str, Any], message: str
) -> None:
    hub.add_space(SPACE)
    with pytest.raises(AirflowFailException, match=message):
        SpaceStageSensor(task_id="sense", repo_id=SPACE, **options).poke(context())
    assert [request.path for request in hub.requests if not request.path.endswith("/hardware")] == []


def test_a_single_failed_stage_needs_no_list(hub: HubEmulator) -> None:
    hub.add_space(SPACE, stage="PAUSED")
    sensor = SpaceRunningSensor(task_id="sense", repo_id=SPACE, failed_stages="PAUSED")
    with pytest.raises(AirflowFailException, match="is paused"):
        sensor.poke(context())


def running(**options: Any) -> SpaceRunningSensor:
    return SpaceRunningSensor(**{"task_id": "sense", "repo_id": SPACE, "poke_interval": 0.02, **options})


class TestCommits:
    def test_a_sensor_waits_until_the_commit_runs(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE)
        old = space.runtime().sha
        assert running(sha=old).poke(context())
        assert not running(sha="0123456789" * 4).poke(context())

    def test_a_commit_that_the_hub_does_not_report_is_not_reached(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from tests.stub import RUNTIME, Say, StubHub

        with StubHub(otherwise=Say(200, RUNTIME)) as stub:
            monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(stub.url, "hf_stubstubstub"))
            assert not running(sha="a" * 40).poke(context())
            assert running().poke(context())


class TestSoftFail:
    """It skips what a wait may end with. Everything else fails: it would be skipped for ever."""

    @pytest.mark.parametrize("deferrable", [False, True])
    @pytest.mark.parametrize("mode", ["poke", "reschedule"])
    def test_a_stage_that_the_space_does_not_leave_skips(
        self, hub: HubEmulator, mode: str, deferrable: bool
    ) -> None:
        hub.add_space(SPACE, stage="PAUSED")
        sensor = running(soft_fail=True, deferrable=deferrable)
        with pytest.raises(AirflowSkipException, match="it is paused"):
            sensor.execute(context())

    def test_a_timeout_skips(self, hub: HubEmulator) -> None:
        hub.settings.change({"timings": {"build": 10**6}})
        hub.add_space(SPACE, stage="BUILDING")
        with pytest.raises(AirflowSkipException, match="timed out"):
            running(soft_fail=True, timeout=0).execute(context())

    @pytest.mark.parametrize("deferrable", [False, True])
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"repo_id": "acme/misspelt"}, "Space acme/misspelt was not found"),
            ({"repo_id": "no owner"}, "names no owner"),
            ({"hardware": "t5-small"}, "hardware 't5-small' is not a flavor that the Hub offers"),
            ({"hf_spaces_conn_id": "nowhere"}, "Connection 'nowhere' does not exist"),
            ({"hf_spaces_conn_id": "revoked"}, "does not accept the token"),
            ({"sha": "main"}, "is not a commit"),
        ],
        ids=["wrong Space", "no owner", "unknown flavor", "no connection", "revoked token", "no commit"],
    )
    def test_everything_else_fails(
        self,
        hub: HubEmulator,
        airflow_db: None,
        monkeypatch: pytest.MonkeyPatch,
        deferrable: bool,
        options: dict[str, Any],
        message: str,
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_REVOKED", connection(hub, "hf_revokedrevoked"))
        hub.add_space(SPACE, private=True)
        with pytest.raises(AirflowFailException, match=message):
            running(soft_fail=True, deferrable=deferrable, **options).execute(context())

    def test_never_fail_skips_whatever_happens(self, hub: HubEmulator) -> None:
        with pytest.raises(AirflowSkipException):
            running(never_fail=True, repo_id="acme/misspelt").execute(context())


class TestTemplates:
    @pytest.mark.parametrize("name", ["stages", "failed_stages", "hardware", "sha"])
    def test_the_output_of_a_task_is_a_dependency(self, name: str) -> None:
        with DAG("sensing", schedule=None, start_date=datetime(2026, 1, 1)):

            @task
            def choose() -> list[str]:
                return ["RUNNING"]

            sensor = SpaceStageSensor(
                task_id="sense", repo_id=SPACE, **{"stages": ["RUNNING"], name: choose()}
            )
        assert sensor.upstream_task_ids == {"choose"}

    @pytest.mark.parametrize("stages", ["['PAUSED', 'STOPPED']", '["PAUSED"]', ["PAUSED"], ("PAUSED",)])
    def test_stages_that_a_template_rendered_as_text_are_understood(
        self, hub: HubEmulator, stages: Any
    ) -> None:
        hub.add_space(SPACE, stage="PAUSED")
        sensor = SpaceStageSensor(task_id="sense", repo_id=SPACE, stages="{{ stages }}")
        sensor.stages = stages
        assert sensor.poke(context())


@pytest.mark.parametrize("seconds", ["5", 5, 5.0, timedelta(seconds=5)])
def test_durations_may_be_text_or_a_timedelta(seconds: Any) -> None:
    sensor = running(poke_interval=seconds, timeout=seconds)
    assert (sensor.poke_interval, sensor.timeout) == (5.0, 5.0)


def test_durations_may_come_from_default_args() -> None:
    defaults = {"poke_interval": "5", "timeout": "90"}
    with DAG("sensing", schedule=None, start_date=datetime(2026, 1, 1), default_args=defaults):
        sensor = SpaceRunningSensor(task_id="sense", repo_id=SPACE)
    assert (sensor.poke_interval, sensor.timeout) == (5.0, 90.0)


@pytest.mark.parametrize("seconds", [None, "five", "", float("nan"), float("inf"), -1, [], True])
@pytest.mark.parametrize("name", ["poke_interval", "timeout"])
def test_any_other_duration_is_refused_by_name(name: str, seconds: Any) -> None:
    if (name, seconds) == ("poke_interval", None):
        assert running(poke_interval=None).poke_interval == 60
        return
    with pytest.raises(ValueError, match=f"{name} of task 'sense' must be a number of seconds"):
        running(**{name: seconds})
