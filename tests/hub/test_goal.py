"""When a Space has reached a goal, can still reach it, or has failed."""

from __future__ import annotations

import json
import logging
import uuid

import pytest

from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.waiting.goal import Failed, Goal, Pending, Reached


def runtime(
    stage: str,
    current: str | None = None,
    requested: str | None = "t4-small",
    sha: str | None = None,
) -> SpaceRuntime:
    return SpaceRuntime(stage=stage, hardware=current, requested_hardware=requested, sha=sha)


def test_running_on_the_old_hardware_does_not_reach_the_goal() -> None:
    verdict = Goal(hardware="t4-small").judge(runtime("RUNNING", "cpu-basic"))
    assert verdict == Pending("RUNNING, still on cpu-basic")


def test_running_on_the_requested_hardware_reaches_the_goal() -> None:
    assert Goal(hardware="t4-small").judge(runtime("RUNNING", "t4-small")) == Reached()


def test_running_there_but_about_to_leave_does_not_reach_the_goal() -> None:
    leaving = runtime("RUNNING", "t4-small", requested="cpu-basic")
    assert Goal(hardware="t4-small").judge(leaving) == Pending("RUNNING, about to move to cpu-basic")


@pytest.mark.parametrize("stage", ["RUNNING_BUILDING", "RUNNING_APP_STARTING", "BUILDING", "APP_STARTING"])
@pytest.mark.parametrize("hardware", [None, "t4-small"])
def test_serving_the_old_version_does_not_reach_running(stage: str, hardware: str | None) -> None:
    assert isinstance(Goal(hardware=hardware).judge(runtime(stage, "t4-small")), Pending)


@pytest.mark.parametrize(
    ("stage", "reason", "remedy", "permanent"),
    [
        ("BUILD_ERROR", "its build failed (BUILD_ERROR)", "build log", False),
        ("RUNTIME_ERROR", "its app failed (RUNTIME_ERROR)", "Read the log", False),
        ("CONFIG_ERROR", "its configuration is not valid (CONFIG_ERROR)", "README.md", True),
        ("NO_APP_FILE", "it has no app file (NO_APP_FILE)", "Add an app file", True),
        ("DELETING", "it is being deleted (DELETING)", "", True),
        ("PAUSED", "it is paused (PAUSED)", "Restart the Space", False),
        ("STOPPED", "it sleeps (STOPPED)", "Restart the Space", False),
        ("SLEEPING", "it sleeps (SLEEPING)", "Restart the Space", False),
    ],
)
def test_a_stage_that_a_space_does_not_leave_by_itself_fails_with_a_remedy(
    stage: str, reason: str, remedy: str, permanent: bool
) -> None:
    verdict = Goal().judge(runtime(stage))
    assert isinstance(verdict, Failed)
    assert (verdict.reason, verdict.permanent) == (reason, permanent)
    assert remedy in verdict.remedy


@pytest.mark.parametrize("stage", ["PAUSED", "BUILD_ERROR"])
def test_a_failing_stage_does_not_fail_the_wait_for_that_stage(stage: str) -> None:
    assert Goal(stages=frozenset({stage})).judge(runtime(stage)) == Reached()


@pytest.mark.parametrize("stage", ["STOPPED", "SLEEPING"])
@pytest.mark.parametrize("reported", ["STOPPED", "SLEEPING"])
def test_stopped_and_sleeping_count_as_one_stage(stage: str, reported: str) -> None:
    assert Goal(stages=frozenset({stage})).judge(runtime(reported)) == Reached()
    assert isinstance(Goal(failed_stages=frozenset({stage})).judge(runtime(reported)), Failed)


def test_the_stages_that_fail_can_be_chosen() -> None:
    patient = Goal(failed_stages=frozenset())
    assert isinstance(patient.judge(runtime("PAUSED")), Pending)
    strict = Goal(failed_stages=frozenset({"BUILDING"}))
    assert isinstance(strict.judge(runtime("BUILDING")), Failed)


def test_a_static_space_never_reaches_hardware() -> None:
    verdict = Goal(hardware="t4-small").judge(runtime("RUNNING", None, None))
    assert isinstance(verdict, Failed)
    assert (verdict.reason, verdict.permanent) == ("a static Space runs on no hardware", True)
    assert Goal().judge(runtime("RUNNING", None, None)) == Reached()


@pytest.mark.parametrize("commit", ["a" * 40, "a" * 7, "A" * 10])
def test_a_commit_is_reached_only_when_the_hub_reports_it(commit: str) -> None:
    goal = Goal(sha=commit)
    assert goal.judge(runtime("RUNNING", sha="b" * 40)) == Pending("RUNNING, still at commit bbbbbbb")
    assert goal.judge(runtime("RUNNING", sha="a" * 40)) == Reached()
    unknown = runtime("RUNNING", sha=None)
    assert goal.judge(unknown) == Pending("RUNNING, at a commit that the Hub does not report")


def test_an_unknown_stage_is_pending_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    stage = f"DREAMING_{uuid.uuid4().hex}"
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert isinstance(Goal().judge(runtime(stage)), Pending)
    assert caplog.text.count(stage) == 1


def test_a_goal_without_stages_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one stage"):
        Goal(stages=frozenset())


@pytest.mark.parametrize(
    "goal",
    [Goal(), Goal(frozenset({"PAUSED", "SLEEPING"}), "t4-small", "a" * 40, frozenset({"BUILD_ERROR"}))],
)
def test_a_goal_survives_json(goal: Goal) -> None:
    assert Goal.from_dict(json.loads(json.dumps(goal.to_dict()))) == goal


@pytest.mark.parametrize(
    ("stage", "hardware", "or_asleep", "expected"),
    [
        ("RUNNING", "t4-small", False, True),
        ("RUNNING", "cpu-basic", True, False),
        ("SLEEPING", "t4-small", False, False),
        ("SLEEPING", "t4-small", True, True),
        ("STOPPED", None, True, True),
        ("SLEEPING", "cpu-basic", True, False),
        ("PAUSED", "t4-small", True, False),
    ],
)
def test_a_space_that_sleeps_on_the_hardware_counts_only_where_a_visitor_wakes_it(
    stage: str, hardware: str | None, or_asleep: bool, expected: bool
) -> None:
    current = "t4-small" if stage == "RUNNING" else None
    runtime = SpaceRuntime(stage, current, "t4-small")
    assert Goal(hardware=hardware).is_reached_by(runtime, or_asleep=or_asleep) is expected
