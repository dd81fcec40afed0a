"""When a wait is over. The first test is the race that naive waiters lose."""

from __future__ import annotations

import json
import logging

import pytest

from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.waiting import goal as goal_module
from airflow_provider_hfspaces.hub.waiting.goal import Failed, Goal, Pending, Reached, Wait


def runtime(
    stage: str,
    current: str | None = None,
    requested: str | None = "t4-small",
    error: str | None = None,
    sha: str | None = None,
) -> SpaceRuntime:
    return SpaceRuntime(
        stage=stage, hardware=current, requested_hardware=requested, error_message=error, sha=sha
    )


def test_running_on_the_old_hardware_is_not_there() -> None:
    verdict = Goal(hardware="t4-small").judge(runtime("RUNNING", "cpu-basic"))
    assert verdict == Pending("RUNNING, still on cpu-basic")


def test_running_on_the_hardware_asked_for_is() -> None:
    assert Goal(hardware="t4-small").judge(runtime("RUNNING", "t4-small")) == Reached()


@pytest.mark.parametrize("stage", ["RUNNING_BUILDING", "RUNNING_APP_STARTING", "BUILDING", "APP_STARTING"])
@pytest.mark.parametrize("hardware", [None, "t4-small"])
def test_serving_the_old_version_is_not_running(stage: str, hardware: str | None) -> None:
    assert isinstance(Goal(hardware=hardware).judge(runtime(stage, "t4-small")), Pending)


@pytest.mark.parametrize(
    ("stage", "said", "permanent"),
    [
        ("BUILD_ERROR", "BUILD_ERROR: exit code: 137", False),
        ("RUNTIME_ERROR", "RUNTIME_ERROR: exit code: 137", False),
        ("CONFIG_ERROR", "CONFIG_ERROR: exit code: 137", True),
        ("NO_APP_FILE", "NO_APP_FILE: exit code: 137", True),
        ("DELETING", "being deleted", True),
        ("PAUSED", "until its owner restarts it: exit code: 137", False),
        ("STOPPED", "sleeps", False),
        ("SLEEPING", "sleeps", False),
    ],
)
def test_a_stage_that_nothing_leaves_by_itself_fails_at_once(stage: str, said: str, permanent: bool) -> None:
    verdict = Goal().judge(runtime(stage, error="exit code: 137"))
    assert isinstance(verdict, Failed)
    assert said in verdict.reason
    assert verdict.permanent is permanent


@pytest.mark.parametrize("stage", ["PAUSED", "BUILD_ERROR"])
def test_unless_it_is_what_is_waited_for(stage: str) -> None:
    assert Goal(stages=frozenset({stage})).judge(runtime(stage)) == Reached()


@pytest.mark.parametrize("wanted", ["STOPPED", "SLEEPING"])
@pytest.mark.parametrize("seen", ["STOPPED", "SLEEPING"])
def test_stopped_and_sleeping_are_one_thing(wanted: str, seen: str) -> None:
    assert Goal(stages=frozenset({wanted})).judge(runtime(seen)) == Reached()
    assert isinstance(Goal(failed_stages=frozenset({wanted})).judge(runtime(seen)), Failed)


def test_the_stages_that_fail_can_be_chosen() -> None:
    patient = Goal(failed_stages=frozenset())
    assert isinstance(patient.judge(runtime("PAUSED")), Pending)
    picky = Goal(failed_stages=frozenset({"BUILDING"}))
    assert isinstance(picky.judge(runtime("BUILDING")), Failed)


def test_a_static_space_never_gets_hardware() -> None:
    verdict = Goal(hardware="t4-small").judge(runtime("RUNNING", None, None))
    assert verdict == Failed("a static Space runs on no hardware at all", permanent=True)
    assert Goal().judge(runtime("RUNNING", None, None)) == Reached()


def test_a_commit_can_be_asked_for_where_the_hub_shows_one() -> None:
    wanted = Goal(sha="a" * 40)
    assert wanted.judge(runtime("RUNNING", sha="b" * 40)) == Pending("RUNNING, still at commit bbbbbbb")
    assert wanted.judge(runtime("RUNNING", sha="a" * 40)) == Reached()
    assert wanted.judge(runtime("RUNNING", sha=None)) == Reached()


def test_an_unknown_stage_is_pending_and_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(goal_module, "_logged_stages", set())
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert isinstance(Goal().judge(runtime("DREAMING")), Pending)
    assert len([record for record in caplog.records if "DREAMING" in record.message]) == 1


@pytest.mark.parametrize(
    "goal",
    [Goal(), Goal(frozenset({"PAUSED", "SLEEPING"}), "t4-small", "a" * 40, frozenset({"BUILD_ERROR"}))],
)
def test_a_goal_survives_json(goal: Goal) -> None:
    assert Goal.from_dict(json.loads(json.dumps(goal.to_dict()))) == goal


class TestAfterAnAction:
    def test_the_old_failing_stage_is_ignored_for_a_grace_time(self) -> None:
        wait = Wait(Goal(), before=runtime("PAUSED"), grace=30)
        assert isinstance(wait.look(runtime("PAUSED"), 5), Pending)
        assert isinstance(wait.look(runtime("PAUSED"), 31), Failed)

    def test_a_new_failing_stage_is_not(self) -> None:
        wait = Wait(Goal(), before=runtime("PAUSED"), grace=30)
        assert isinstance(wait.look(runtime("BUILD_ERROR"), 1), Failed)

    def test_nor_is_the_old_one_once_something_else_was_seen(self) -> None:
        wait = Wait(Goal(), before=runtime("RUNTIME_ERROR"), grace=30)
        assert isinstance(wait.look(runtime("BUILDING"), 1), Pending)
        assert isinstance(wait.look(runtime("RUNTIME_ERROR"), 2), Failed)

    def test_running_as_before_a_restart_proves_nothing(self) -> None:
        before = runtime("RUNNING", "t4-small")
        wait = Wait(Goal(), before=before, grace=30)
        assert isinstance(wait.look(before, 1), Pending)
        assert isinstance(wait.look(runtime("RUNNING_BUILDING", "t4-small"), 3), Pending)
        assert wait.look(before, 6) == Reached()

    def test_but_counts_when_the_restart_was_too_quick_to_be_seen(self) -> None:
        before = runtime("RUNNING", "t4-small")
        assert Wait(Goal(), before=before, grace=30).look(before, 31) == Reached()

    def test_new_hardware_counts_at_once(self) -> None:
        wait = Wait(Goal(hardware="t4-small"), before=runtime("RUNNING", "cpu-basic", "cpu-basic"))
        assert wait.look(runtime("RUNNING", "t4-small"), 0) == Reached()

    def test_hardware_that_somebody_else_asked_for_meanwhile_ends_the_wait(self) -> None:
        wait = Wait(Goal(hardware="t4-small"), before=runtime("RUNNING", "cpu-basic", "cpu-basic"), grace=30)
        assert isinstance(wait.look(runtime("RUNNING", "cpu-basic", "cpu-basic"), 2), Pending)
        assert isinstance(wait.look(runtime("RUNNING_BUILDING", "cpu-basic", "t4-small"), 9), Pending)
        verdict = wait.look(runtime("RUNNING_BUILDING", "cpu-basic", "cpu-upgrade"), 40)
        assert verdict == Failed("somebody else has asked for cpu-upgrade meanwhile")

    def test_without_an_action_there_is_no_grace(self) -> None:
        assert isinstance(Wait(Goal()).look(runtime("PAUSED"), 0), Failed)


def test_running_there_but_about_to_leave_is_not_there() -> None:
    leaving = runtime("RUNNING", "t4-small", requested="cpu-basic")
    assert Goal(hardware="t4-small").judge(leaving) == Pending("RUNNING, but about to go to cpu-basic")


def test_a_change_by_somebody_else_before_the_first_look_is_noticed() -> None:
    before, answer = runtime("RUNNING", "cpu-basic", "cpu-basic"), runtime("RUNNING", "cpu-basic")
    wait = Wait(Goal(hardware="t4-small"), before=before, answer=answer, grace=30)
    verdict = wait.look(runtime("RUNNING_BUILDING", "cpu-basic", requested="l4x1"), 31)
    assert verdict == Failed("somebody else has asked for l4x1 meanwhile")
