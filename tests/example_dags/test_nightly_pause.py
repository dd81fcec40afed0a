"""A fleet sleeps at night, one mapped task per Space."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")

SPACES = ("acme/whisper", "acme/diffusion", "acme/demo-api")


def test_evening_and_morning(hub: HubEmulator) -> None:
    spaces = [hub.add_space(repo_id, hardware="t4-small") for repo_id in SPACES]
    module = dag_file("nightly_pause")
    assert run(module.evening)["dag"] == "success"
    assert {space.stage for space in spaces} == {"PAUSED"}
    assert not hub.bill().running
    assert run(module.morning)["dag"] == "success"
    assert {(space.stage, space.hardware) for space in spaces} == {("RUNNING", "t4-small")}


def test_one_that_fails_does_not_keep_the_others_awake(hub: HubEmulator) -> None:
    whisper = hub.add_space(SPACES[0], hardware="t4-small")
    api = hub.add_space(SPACES[2], hardware="t4-small")
    states = run(dag_file("nightly_pause").evening)
    assert states == {"pause[0]": "success", "pause[1]": "failed", "pause[2]": "success", "dag": "failed"}
    assert {whisper.stage, api.stage} == {"PAUSED"}


def test_run_by_cron() -> None:
    module = dag_file("nightly_pause")
    timetables = [dag.timetable for dag in (module.evening, module.morning)]
    cron = [getattr(timetable, "expression", None) or timetable.summary for timetable in timetables]
    assert cron == ["0 20 * * *", "0 7 * * *"]
