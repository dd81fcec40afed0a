"""How a wait judges each runtime that it reads, and the texts of its errors."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.errors import (
    SpaceNotStarted,
    SpaceWaitFailed,
    error_from_dict,
    error_to_dict,
)
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.waiting.goal import Failed, Goal, Pending, Reached
from airflow_provider_hfspaces.hub.waiting.wait import Wait

SPACE = "acme/whisper"
GPU = Goal(hardware="t4-small")


def runtime(
    stage: str, current: str | None = None, requested: str | None = "t4-small", error: str | None = None
) -> SpaceRuntime:
    return SpaceRuntime(stage=stage, hardware=current, requested_hardware=requested, error_message=error)


def wait(goal: Goal | None = None, **options: Any) -> Wait:
    return Wait(SPACE, goal or Goal(), **{"timeout": 1800, **options})


class TestAfterARequest:
    def test_the_old_failing_stage_is_ignored_during_the_grace_time(self) -> None:
        late = wait(before=runtime("PAUSED"))
        assert isinstance(late.judge(runtime("PAUSED"), 5), Pending)
        assert isinstance(late.judge(runtime("PAUSED"), 31), Failed)

    def test_a_new_failing_stage_is_not_ignored(self) -> None:
        assert isinstance(wait(before=runtime("PAUSED")).judge(runtime("BUILD_ERROR"), 1), Failed)

    def test_the_old_failing_stage_counts_after_another_stage_was_seen(self) -> None:
        restart = wait(before=runtime("RUNTIME_ERROR"))
        assert isinstance(restart.judge(runtime("BUILDING"), 1), Pending)
        assert isinstance(restart.judge(runtime("RUNTIME_ERROR"), 2), Failed)

    def test_running_as_before_does_not_prove_that_a_restart_is_done(self) -> None:
        before = runtime("RUNNING", "t4-small")
        restart = wait(before=before)
        assert isinstance(restart.judge(before, 1), Pending)
        assert isinstance(restart.judge(runtime("RUNNING_BUILDING", "t4-small"), 3), Pending)
        assert restart.judge(before, 6) == Reached()

    def test_running_counts_after_the_grace_time_if_the_restart_was_too_quick_to_be_seen(self) -> None:
        before = runtime("RUNNING", "t4-small")
        assert wait(before=before).judge(before, 31) == Reached()

    def test_new_hardware_counts_at_once(self) -> None:
        upgrade = wait(GPU, before=runtime("RUNNING", "cpu-basic", "cpu-basic"))
        assert upgrade.judge(runtime("RUNNING", "t4-small"), 0) == Reached()

    def test_hardware_that_another_request_set_ends_the_wait(self) -> None:
        upgrade = wait(GPU, before=runtime("RUNNING", "cpu-basic", "cpu-basic"))
        assert isinstance(upgrade.judge(runtime("RUNNING", "cpu-basic", "cpu-basic"), 2), Pending)
        assert isinstance(upgrade.judge(runtime("RUNNING_BUILDING", "cpu-basic"), 9), Pending)
        verdict = upgrade.judge(runtime("RUNNING_BUILDING", "cpu-basic", "cpu-upgrade"), 40)
        assert isinstance(verdict, Failed)
        assert verdict.reason == "another request set it to cpu-upgrade in the meantime"

    def test_hardware_that_another_request_set_before_the_first_look_ends_the_wait(self) -> None:
        upgrade = wait(
            GPU, before=runtime("RUNNING", "cpu-basic", "cpu-basic"), answer=runtime("RUNNING", "cpu-basic")
        )
        verdict = upgrade.judge(runtime("RUNNING_BUILDING", "cpu-basic", requested="l4x1"), 31)
        assert isinstance(verdict, Failed)
        assert "l4x1" in verdict.reason

    def test_the_grace_time_is_at_most_half_of_the_timeout(self) -> None:
        assert isinstance(wait(before=runtime("PAUSED"), timeout=10).judge(runtime("PAUSED"), 5), Failed)


def test_without_a_request_there_is_no_grace_time() -> None:
    assert isinstance(wait().judge(runtime("PAUSED"), 0), Failed)


def test_an_error_begins_with_space_and_cause_then_says_the_remedy_then_the_hubs_words() -> None:
    with pytest.raises(SpaceWaitFailed) as excinfo:
        wait(GPU).observe(runtime("BUILD_ERROR", error="Job failed with exit code: 137. Reason: …"), 9)
    assert str(excinfo.value) == (
        "Space acme/whisper did not reach RUNNING on t4-small: its build failed (BUILD_ERROR). Read the "
        "build log, fix the build and restart the Space. The Hub reports: Job failed with exit code: 137. "
        "Reason: …."
    )


def test_a_timeout_error_begins_with_cause_and_remedy() -> None:
    late = wait(GPU)
    late.observe(runtime("RUNNING_BUILDING", "cpu-basic"), 1800)
    assert str(late.timed_out("https://huggingface.co")) == (
        "Space acme/whisper did not reach RUNNING on t4-small in 1800 seconds: stage RUNNING_BUILDING. Raise "
        "timeout, or read the Space's log: https://huggingface.co/spaces/acme/whisper?logs=build"
    )


def test_a_timeout_error_names_the_stage_even_if_only_a_list_reported_it() -> None:
    late = wait(GPU)
    assert late.glance(runtime("BUILDING"), 5) is False
    assert "seconds: stage BUILDING." in str(late.timed_out("https://hub"))


def test_a_timeout_error_contains_the_error_of_the_last_request() -> None:
    late = wait()
    late.not_answered(RuntimeError("The Hub is down."))
    assert "the last request failed: The Hub is down. Raise timeout" in str(late.timed_out("https://hub"))


@pytest.mark.parametrize("stage", ["RUNNING", "BUILD_ERROR"])
def test_a_result_that_may_be_out_of_date_is_confirmed_before_the_wait_ends(stage: str) -> None:
    late = wait()
    assert late.glance(runtime(stage), 0) is True
    assert f"the Hub's list shows {stage}, which the Hub has not confirmed" in str(
        late.timed_out("https://hub")
    )


def test_the_error_for_a_space_that_stopped_after_the_request_does_not_suggest_another_restart() -> None:
    restart = wait(before=runtime("RUNNING", "t4-small"))
    with pytest.raises(
        SpaceWaitFailed, match=r"The Space was stopped after the request.*Flagged as abusive"
    ) as excinfo:
        restart.observe(runtime("PAUSED", error="Flagged as abusive"), 9)
    assert "Restart the Space" not in str(excinfo.value)


class TestStartTimeout:
    """A wait that gives the start of a Space only so many seconds, once it is built."""

    def test_the_start_timeout_counts_from_the_end_of_the_build(self) -> None:
        start = wait(GPU, start_timeout=60)
        for elapsed, stage in ((0, "RUNNING"), (30, "BUILDING"), (500, "BUILDING"), (510, "APP_STARTING")):
            assert start.observe(runtime(stage), elapsed) is None
        assert start.observe(runtime("APP_STARTING"), 569) is None
        with pytest.raises(
            SpaceNotStarted, match="did not reach RUNNING on t4-small: it did not start"
        ) as excinfo:
            start.observe(runtime("APP_STARTING"), 570)
        assert excinfo.value.reason == "it did not start within 60 seconds: stage APP_STARTING"
        assert not excinfo.value.permanent

    def test_a_space_that_stays_on_its_old_hardware_has_not_started(self) -> None:
        start = wait(GPU, start_timeout=60)
        assert start.observe(runtime("RUNNING", "cpu-basic"), 5) is None
        with pytest.raises(SpaceNotStarted, match="still on cpu-basic"):
            start.observe(runtime("RUNNING", "cpu-basic"), 65)

    def test_a_space_that_runs_at_the_last_moment_has_started(self) -> None:
        start = wait(GPU, start_timeout=60)
        assert start.observe(runtime("APP_STARTING"), 0) is None
        assert start.observe(runtime("RUNNING", "t4-small"), 90) is not None

    def test_a_list_that_may_be_out_of_date_does_not_end_the_start(self) -> None:
        start = wait(GPU, start_timeout=60)
        assert start.glance(runtime("APP_STARTING"), 0) is False
        assert start.glance(runtime("BUILDING"), 100) is False
        assert start.glance(runtime("APP_STARTING"), 130) is False
        assert start.glance(runtime("APP_STARTING"), 190) is True

    def test_the_error_survives_the_way_from_the_triggerer(self) -> None:
        start = wait(GPU, start_timeout=1)
        start.observe(runtime("APP_STARTING"), 0)
        with pytest.raises(SpaceNotStarted) as excinfo:
            start.observe(runtime("APP_STARTING"), 2)
        again = error_from_dict(json.loads(json.dumps(error_to_dict(excinfo.value))))
        assert isinstance(again, SpaceNotStarted)
        assert (again.reason, str(again)) == (excinfo.value.reason, str(excinfo.value))

    @pytest.mark.parametrize("value", [0, -1, "soon"])
    def test_a_value_that_is_not_valid_is_refused(self, value: Any) -> None:
        with pytest.raises(InvalidInput, match="start_timeout must be a number of seconds"):
            wait(GPU, start_timeout=value)


def test_each_new_state_is_reported_once() -> None:
    states: list[tuple[str, float]] = []
    upgrade = wait(GPU, on_change=lambda now, elapsed: states.append((now.stage, elapsed)))
    for elapsed, stage in enumerate(("BUILDING", "BUILDING", "APP_STARTING", "APP_STARTING")):
        upgrade.observe(runtime(stage), elapsed)
    assert states == [("BUILDING", 0), ("APP_STARTING", 2)]


@pytest.mark.parametrize("seconds", [90, 90.0, "90", " 90 ", "9e1", timedelta(seconds=90)])
def test_a_duration_is_a_number_or_its_text_or_a_timedelta(seconds: Any) -> None:
    assert wait(timeout=seconds).timeout == 90.0


@pytest.mark.parametrize(
    "seconds",
    [None, "", "ten", "1_0", "nan", float("nan"), float("inf"), -1, True, [], {}, 10**400, "1e9", object()],
)
@pytest.mark.parametrize("name", ["timeout", "grace"])
def test_any_other_duration_is_refused_by_name(name: str, seconds: Any) -> None:
    with pytest.raises(InvalidInput, match=f"^{name} must be a number of seconds"):
        wait(**{name: seconds})


def test_a_goal_of_another_type_is_refused() -> None:
    with pytest.raises(InvalidInput, match="goal must be a Goal"):
        Wait(SPACE, "RUNNING", timeout=10)  # type: ignore[arg-type]
