"""Plans that move a Space: what they send, and what happens if the Hub rejects it or an answer is lost.

Each test runs with both clients.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub.checks import InvalidHardware, InvalidInput
from airflow_provider_hfspaces.hub.desired import (
    NEVER_SLEEP,
    Activity,
    DesiredState,
    RestoreRejected,
    plan_move,
    plan_pause,
    plan_restart,
    plan_restore,
    restored_state,
)
from airflow_provider_hfspaces.hub.errors import HubError, HubUnavailable
from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from airflow_provider_hfspaces.hub.http.sequence import Steps, aexecute, execute
from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
from tests.stub import RESET, RUNTIME, Say, StubHub

SPACE = "acme/whisper"
TOKEN = "hf_abcdefgh"
QUOTA = "You have reached your CPU-basic quota limit: pause your previous Spaces"
IMPATIENT = RetryPolicy(total=0)


class Executor:
    """Executes plans with one of the clients and notes the delays instead of waiting."""

    def __init__(self, is_async: bool) -> None:
        self.is_async = is_async
        self.delays: list[float] = []

    def __call__(self, steps: Steps[Any], url: str, token: str = TOKEN) -> Any:
        if self.is_async:
            return asyncio.run(self._arun(steps, url, token))
        with HubClient(token, url, retry=IMPATIENT) as client:
            return execute(steps, client.send, sleep=self.delays.append)

    async def _arun(self, steps: Steps[Any], url: str, token: str) -> Any:
        async def sleep(seconds: float) -> None:
            self.delays.append(seconds)

        async with AsyncHubClient(token, url, retry=IMPATIENT) as client:
            return await aexecute(steps, client.send, sleep=sleep)


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Executor:
    return Executor(request.param)


def on(hub: HubEmulator, run: Executor) -> Callable[[Steps[Any]], Any]:
    return lambda steps: run(steps, hub.url, hub.token)


def changes(hub: HubEmulator) -> list[tuple[str, Any]]:
    return [
        (request.path.rpartition("/")[2], request.json) for request in hub.requests if request.method != "GET"
    ]


def runtime_answer(
    stage: str = "RUNNING", current: str | None = "cpu-basic", requested: str = "cpu-basic"
) -> Say:
    return Say(200, {**RUNTIME, "stage": stage, "hardware": {"current": current, "requested": requested}})


SNAPSHOT = SpaceSnapshot(SPACE, "RUNNING", "cpu-basic", 172800)


class TestMove:
    def test_requests_hardware_and_sleep_time_together(self, hub: HubEmulator, run: Executor) -> None:
        hub.add_space(SPACE)
        on(hub, run)(plan_move(DesiredState(SPACE, "t4-small", sleep_time=3600)))
        assert changes(hub) == [("hardware", {"flavor": "t4-small", "sleepTimeSeconds": 3600})]

    def test_sends_nothing_if_the_space_is_as_desired(self, hub: HubEmulator, run: Executor) -> None:
        hub.add_space(SPACE, hardware="t4-small", sleep_time=3600)
        on(hub, run)(plan_move(DesiredState(SPACE, "t4-small", 3600, 1, Activity.RUNNING)))
        assert changes(hub) == []

    def test_starts_a_paused_space_only_if_it_should_run(self, hub: HubEmulator, run: Executor) -> None:
        space = hub.add_space(SPACE, stage="PAUSED")
        on(hub, run)(plan_move(DesiredState(SPACE, "t4-small")))
        assert space.stage == "PAUSED"
        on(hub, run)(plan_move(DesiredState(SPACE, "t4-small", activity=Activity.RUNNING)))
        assert space.stage != "PAUSED"

    def test_leaves_a_static_space_alone(self, hub: HubEmulator, run: Executor) -> None:
        hub.add_space(SPACE, sdk="static")
        assert on(hub, run)(plan_move(DesiredState(SPACE, "t4-small"))).is_static
        assert changes(hub) == []

    def test_lets_a_billed_space_fall_asleep_and_keeps_its_sleep_time(
        self, hub: HubEmulator, run: Executor
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small", sleep_time=172800)
        runtime = on(hub, run)(plan_move(DesiredState(SPACE, activity=Activity.ASLEEP)))
        assert runtime.stage in ("SLEEPING", "STOPPED")
        assert space.sleep_time == 172800

    def test_pauses_a_space_that_does_not_fall_asleep(self, run: Executor) -> None:
        awake = runtime_answer(current="t4-small", requested="t4-small")
        answer = runtime_answer("PAUSED", None, "t4-small")
        with StubHub(*[awake] * 123, otherwise=answer) as stub:
            run(plan_move(DesiredState(SPACE, activity=Activity.ASLEEP)), stub.url)
            assert [
                request.path.rpartition("/")[2] for request in stub.requests if request.method == "POST"
            ] == [
                "sleeptime",
                "sleeptime",
                "pause",
            ]


@pytest.mark.parametrize("stage", ["SLEEPING", "RUNTIME_ERROR"])
@pytest.mark.parametrize("hardware", ["l4x1", "t4-small"])
def test_a_way_back_does_not_start_what_cost_nothing(
    hub: HubEmulator, run: Executor, stage: str, hardware: str
) -> None:
    space = hub.add_space(SPACE, hardware=hardware, stage="SLEEPING")
    snapshot = SpaceSnapshot(SPACE, stage, "t4-small", 172800)
    on(hub, run)(plan_restore(restored_state(snapshot)))
    assert space.requested_hardware == "t4-small"
    assert space.stage == ("SLEEPING" if hardware == "t4-small" else "PAUSED")
    assert not hub.bill(SPACE).running


@pytest.mark.parametrize(
    ("restore_dormant", "stages"),
    [(Activity.PAUSED, {"PAUSED"}), (Activity.ASLEEP, {"SLEEPING"}), (Activity.UNCHANGED, {"BUILDING"})],
)
@pytest.mark.parametrize("hub_time", [{"speed": 0, "seconds_per_request": 30}])
def test_a_restore_that_would_start_a_bill_pauses_the_space_or_lets_it_sleep_or_run(
    hub: HubEmulator, run: Executor, restore_dormant: Activity, stages: set[str]
) -> None:
    space = hub.add_space(SPACE, hardware="l4x1", stage="SLEEPING")
    snapshot = SpaceSnapshot(SPACE, "SLEEPING", "t4-small", 172800)
    on(hub, run)(plan_restore(restored_state(snapshot, restore_dormant=restore_dormant)))
    assert (space.requested_hardware, space.sleep_time) == ("t4-small", 172800)
    assert space.stage in stages


class TestLostAnswers:
    """A lost answer is settled by reading the runtime."""

    @pytest.mark.parametrize("took_effect", [True, False])
    def test_a_hardware_request_takes_effect_once(
        self, hub: HubEmulator, run: Executor, took_effect: bool
    ) -> None:
        space = hub.add_space(SPACE)
        hub.faults.add(kind="reset", path="/hardware", times=1, after=took_effect)
        on(hub, run)(plan_move(DesiredState(SPACE, "t4-small", sleep_time=3600)))
        assert (space.requested_hardware, space.sleep_time) == ("t4-small", 3600)
        assert run.delays == ([0.0] if took_effect else [0.0, 1.0, 2.0, 4.0])

    def test_a_request_that_the_hub_reports_late_is_not_sent_again(self, run: Executor) -> None:
        script = [runtime_answer(), RESET, runtime_answer(), runtime_answer()]
        with StubHub(*script, otherwise=runtime_answer(requested="t4-small")) as stub:
            run(plan_move(DesiredState(SPACE, "t4-small")), stub.url)
            assert [request.method for request in stub.requests] == ["GET", "POST", "GET", "GET", "GET"]

    def test_a_pause_that_worked_is_a_success(self, hub: HubEmulator, run: Executor) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        hub.faults.add(kind="reset", path="/pause", times=1, after=True)
        assert on(hub, run)(plan_pause(SPACE)).stage == "PAUSED"
        assert space.stage == "PAUSED"

    def test_a_pause_that_did_not_work_is_an_error(self, hub: HubEmulator, run: Executor) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        hub.faults.add(kind="reset", path="/pause")
        with pytest.raises(HubUnavailable, match="/pause"):
            on(hub, run)(plan_pause(SPACE))

    @pytest.mark.parametrize(
        ("stage", "took_effect"),
        [(stage, took) for stage in ("PAUSED", "SLEEPING", "RUNTIME_ERROR") for took in (True, False)]
        + [("RUNNING", True)],
    )
    def test_a_restart_takes_effect_once(
        self, hub: HubEmulator, run: Executor, stage: str, took_effect: bool
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small", stage=stage)
        hub.faults.add(kind="reset", path="/restart", times=1, after=took_effect)
        starts = len(space.history)
        assert on(hub, run)(plan_restart(SPACE)).stage in ("BUILDING", "RUNNING_BUILDING")
        assert len(space.history) == starts + 1
        assert run.delays == ([0.0] if took_effect else [0.0, 1.0, 2.0, 4.0])

    def test_a_lost_restart_of_a_running_space_is_not_sent_again(
        self, hub: HubEmulator, run: Executor
    ) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        hub.faults.add(kind="reset", path="/restart", times=1)
        with pytest.raises(HubUnavailable, match="not known whether the request took effect"):
            on(hub, run)(plan_restart(SPACE))
        assert [each.path for each in hub.requests if each.method == "POST"] == [
            f"/api/spaces/{SPACE}/restart"
        ]

    @pytest.mark.parametrize("seconds_later", [0, 5])
    def test_a_move_under_way_is_not_taken_for_a_restart(
        self, hub: HubEmulator, run: Executor, seconds_later: int
    ) -> None:
        hub.add_space(SPACE, hardware="cpu-basic")
        hub.world.space(SPACE).request_hardware("t4-small", None)
        hub.advance(seconds_later)
        hub.faults.add(kind="reset", path="/restart", times=1)
        with pytest.raises(HubUnavailable, match="not known whether the request took effect"):
            on(hub, run)(plan_restart(SPACE))

    def test_the_outcome_of_a_repeated_request_stays_unknown(self, hub: HubEmulator, run: Executor) -> None:
        hub.add_space(SPACE, stage="PAUSED")
        hub.faults.add(kind="reset", path="/restart", times=1)
        hub.faults.add(kind="status", status=409, path="/restart")
        with pytest.raises(HubError) as caught:
            on(hub, run)(plan_restart(SPACE))
        assert (caught.value.status, caught.value.outcome_unknown) == (409, True)

    @pytest.mark.parametrize("body", ["runtime", "empty"])
    def test_replicas_that_were_set_are_not_an_error(
        self, hub: HubEmulator, run: Executor, body: str
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        hub.settings.change({"replicas_body": body})
        hub.faults.add(kind="reset", path="/replicas", times=1, after=True)
        assert on(hub, run)(plan_move(DesiredState(SPACE, replicas=2))).replicas.requested == 2
        assert on(hub, run)(plan_move(DesiredState(SPACE, replicas=3))).replicas.requested == 3
        assert space.replicas == 3

    def test_a_restart_that_worked_is_not_sent_again(self, hub: HubEmulator, run: Executor) -> None:
        space = hub.add_space(SPACE, stage="PAUSED")
        hub.faults.add(kind="reset", path="/restart", times=1, after=True)
        on(hub, run)(plan_move(DesiredState(SPACE, activity=Activity.RUNNING)))
        assert space.stage == "BUILDING"
        assert [name for name, _ in changes(hub)] == ["restart"]


class TestRestore:
    def test_replicas_are_restored(self, hub: HubEmulator, run: Executor) -> None:
        space = hub.add_space(SPACE, hardware="t4-small", replicas=3)
        before = on(hub, run)(plan_move(DesiredState(SPACE)))
        snapshot = SpaceSnapshot.from_dict(SpaceSnapshot.from_runtime(SPACE, before).to_dict())
        on(hub, run)(plan_move(DesiredState(SPACE, "cpu-basic")))
        assert space.replicas == 1
        on(hub, run)(plan_restore(restored_state(snapshot)))
        assert (space.requested_hardware, space.replicas) == ("t4-small", 3)

    def test_a_paused_space_is_paused_again_whatever_the_hub_rejects(
        self, hub: HubEmulator, run: Executor
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        hub.faults.add(kind="status", status=503, path="/hardware")
        with pytest.raises(HubUnavailable):
            on(hub, run)(plan_restore(restored_state(SpaceSnapshot(SPACE, "PAUSED", "cpu-basic"))))
        assert space.stage == "PAUSED"

    def test_a_rejection_that_may_pass_leaves_the_hardware_and_still_restores_the_pause(
        self, hub: HubEmulator, run: Executor
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        hub.faults.add(kind="status", status=403, path="/hardware")
        for stage in ("RUNNING", "PAUSED"):
            goal = restored_state(SpaceSnapshot(SPACE, stage, "cpu-basic"))
            with pytest.raises(HubError) as excinfo:
                on(hub, run)(plan_restore(goal, retried=frozenset({401, 403})))
            assert not excinfo.value.permanent
            assert space.stage == stage

    @pytest.mark.parametrize("status", [400, 401, 402, 403])
    def test_the_space_is_paused_if_the_hub_rejects_every_way_back(
        self, hub: HubEmulator, run: Executor, status: int
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        hub.faults.add(kind="status", status=status, path="/hardware", message=QUOTA)
        with pytest.raises(RestoreRejected) as excinfo:
            on(hub, run)(plan_restore(restored_state(SNAPSHOT)))
        assert space.stage == "PAUSED"
        assert not hub.bill().running
        assert excinfo.value.permanent
        assert excinfo.value.runtime is not None
        assert str(excinfo.value).startswith(
            "Space acme/whisper is paused and costs nothing, because the Hub rejected cpu-basic"
        )
        assert QUOTA in str(excinfo.value)

    def test_the_fallback_comes_before_the_pause(self, hub: HubEmulator, run: Executor) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        with pytest.raises(RestoreRejected, match="is on cpu-basic, because the Hub rejected h100"):
            on(hub, run)(plan_restore(DesiredState(SPACE, "h100")))
        assert (space.requested_hardware, space.stage) == ("cpu-basic", "RUNNING_BUILDING")

    def test_the_error_names_both_rejected_flavors(self, hub: HubEmulator, run: Executor) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        hub.faults.add(kind="status", status=402, path="/hardware", message=QUOTA)
        with pytest.raises(RestoreRejected, match="rejected cpu-upgrade and cpu-basic"):
            on(hub, run)(plan_restore(DesiredState(SPACE, "cpu-upgrade")))

    def test_a_transient_error_pauses_the_space_only_on_the_last_try(
        self, hub: HubEmulator, run: Executor
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        hub.faults.add(kind="status", status=503, path="/hardware")
        with pytest.raises(HubUnavailable):
            on(hub, run)(plan_restore(restored_state(SNAPSHOT)))
        assert space.stage == "RUNNING"
        with pytest.raises(RestoreRejected, match="is paused"):
            on(hub, run)(plan_restore(restored_state(SNAPSHOT), is_last_try=True))
        assert space.stage == "PAUSED"

    def test_a_pause_that_the_hub_rejects_too_leaves_the_first_error(
        self, hub: HubEmulator, run: Executor, caplog: pytest.LogCaptureFixture
    ) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        hub.faults.add(kind="status", status=402, path="/hardware", message=QUOTA)
        hub.faults.add(kind="status", status=403, path="/pause")
        with pytest.raises(HubError, match="CPU-basic quota"):
            on(hub, run)(plan_restore(restored_state(SNAPSHOT)))
        assert "may keep costing money" in caplog.text

    def test_a_fallback_that_the_hub_does_not_offer_is_refused_before_anything_changes(
        self, hub: HubEmulator, run: Executor
    ) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        with pytest.raises(InvalidHardware, match="cpu-bassic"):
            on(hub, run)(plan_restore(restored_state(SNAPSHOT), fallback="cpu-bassic"))
        assert changes(hub) == []

    def test_a_space_that_somebody_paused_stays_paused(self, hub: HubEmulator, run: Executor) -> None:
        space = hub.add_space(SPACE, hardware="t4-small", stage="PAUSED")
        on(hub, run)(plan_restore(restored_state(SNAPSHOT)))
        assert (space.stage, space.requested_hardware) == ("PAUSED", "cpu-basic")


class TestSnapshot:
    def test_a_snapshot_of_version_0_1_has_no_replicas(self) -> None:
        snapshot = SpaceSnapshot.from_dict(
            {"repo_id": SPACE, "stage": "RUNNING", "hardware": "t4-small", "sleep_time": None}
        )
        assert restored_state(snapshot) == DesiredState(SPACE, "t4-small", NEVER_SLEEP)

    def test_free_hardware_has_no_sleep_time_and_no_replicas_to_restore(self) -> None:
        snapshot = SpaceSnapshot(SPACE, "RUNNING", "cpu-basic", 172800, 1)
        assert restored_state(snapshot) == DesiredState(SPACE, "cpu-basic")

    def test_autoscaled_replicas_are_left_to_the_hub(self) -> None:
        snapshot = SpaceSnapshot(SPACE, "RUNNING", "t4-small", 3600, "auto")
        assert restored_state(snapshot).replicas is None

    @pytest.mark.parametrize(
        "change",
        [
            {"repo_id": None},
            {"stage": 3},
            {"hardware": ["t4-small"]},
            {"hardware": ""},
            {"sleep_time": "3600"},
            {"sleep_time": True},
            {"sleep_time": -5},
            {"replicas": 0},
            {"replicas": "many"},
            {"taken_at": 5},
        ],
    )
    def test_a_record_of_the_wrong_type_is_refused_by_name(self, change: dict[str, Any]) -> None:
        payload = {**SNAPSHOT.to_dict(), **change}
        with pytest.raises(InvalidInput, match=f"a {next(iter(change))} that is not valid"):
            SpaceSnapshot.from_dict(payload)

    @pytest.mark.parametrize("payload", [None, "cpu-basic", [], 3])
    def test_a_record_that_is_not_a_mapping_is_refused(self, payload: Any) -> None:
        with pytest.raises(InvalidInput, match="must be a mapping"):
            SpaceSnapshot.from_dict(payload)

    def test_a_record_without_hardware_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="a hardware that is not valid"):
            SpaceSnapshot.from_dict({"repo_id": SPACE, "stage": "RUNNING"})
