"""Sensors: one look at a time, and a clear end."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.sensors.spaces import SpaceRunningSensor, SpaceStageSensor
from tests.airflow_tools import FakeTaskInstance
from tests.conftest import TaskLog

SPACE = "acme/whisper"


def context() -> Any:
    return {"ti": FakeTaskInstance("sense")}


def test_is_not_done_on_the_old_hardware(hub: HubEmulator) -> None:
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
def test_waits_for_any_stage(hub: HubEmulator, stages: Any) -> None:
    hub.add_space(SPACE, stage="PAUSED")
    assert SpaceStageSensor(task_id="sense", repo_id=SPACE, stages=stages).poke(context())


def test_fails_at_once_where_waiting_would_not_help(hub: HubEmulator, task_log: TaskLog) -> None:
    hub.add_space(SPACE, stage="BUILD_ERROR", error_message="Job failed with exit code: 137")
    with pytest.raises(AirflowFailException, match="exit code: 137"):
        SpaceRunningSensor(task_id="sense", repo_id=SPACE).poke(context())
    assert "The last lines of the build log" in task_log.text


def test_unless_told_to_be_patient(hub: HubEmulator) -> None:
    hub.add_space(SPACE, stage="PAUSED")
    assert not SpaceRunningSensor(task_id="sense", repo_id=SPACE, failed_stages=()).poke(context())
    with pytest.raises(AirflowFailException, match="is paused"):
        SpaceRunningSensor(task_id="sense", repo_id=SPACE).poke(context())


def test_poke_mode_waits_to_the_end(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    hub.world.space(SPACE).request_hardware("t4-small", None)
    sensor = SpaceRunningSensor(task_id="sense", repo_id=SPACE, hardware="t4-small", poke_interval=0.05)
    result = sensor.execute(context())
    assert result["hardware"] == "t4-small"


def test_asks_for_one_thing_only(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    SpaceRunningSensor(task_id="sense", repo_id=SPACE).poke(context())
    assert [(request.method, request.path) for request in hub.requests] == [
        ("GET", f"/api/spaces/{SPACE}/runtime")
    ]


def test_a_missing_space_fails_at_once(hub: HubEmulator) -> None:
    with pytest.raises(AirflowFailException, match="does not find Space acme/whisper"):
        SpaceRunningSensor(task_id="sense", repo_id=SPACE).poke(context())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"stages": ["RUNING"]}, "no stage 'RUNING'. Did you mean 'RUNNING'"),
        ({"stages": []}, "At least one stage is needed"),
        ({"stages": "running"}, "Did you mean 'RUNNING'"),
        ({"stages": ["RUNNING"], "hardware": "t4-smal"}, "Did you mean 't4-small'"),
        ({"stages": ["RUNNING"], "failed_stages": "PAUSD"}, "Did you mean 'PAUSED'"),
    ],
)
def test_refuses_what_no_space_ever_gets_to(hub: HubEmulator, options: dict[str, Any], said: str) -> None:
    hub.add_space(SPACE)
    with pytest.raises(AirflowFailException, match=said):
        SpaceStageSensor(task_id="sense", repo_id=SPACE, **options).poke(context())
    assert [request.path for request in hub.requests if not request.path.endswith("/hardware")] == []


def test_one_failed_stage_may_be_given_as_it_is(hub: HubEmulator) -> None:
    hub.add_space(SPACE, stage="PAUSED")
    sensor = SpaceRunningSensor(task_id="sense", repo_id=SPACE, failed_stages="PAUSED")
    with pytest.raises(AirflowFailException, match="is paused"):
        sensor.poke(context())
