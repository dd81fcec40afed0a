"""Lists of hardware: the first flavor that is available is used, and never two of them at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.emulator import Fault, HubEmulator
from airflow_provider_hfspaces.hardware import any_hardware
from airflow_provider_hfspaces.hub.errors import (
    HardwareUnavailable,
    SpaceWaitFailed,
    SpaceWaitTimeout,
)
from airflow_provider_hfspaces.operators.duplicate import DuplicateSpaceOperator
from airflow_provider_hfspaces.operators.hardware import RequestHardwareOperator
from airflow_provider_hfspaces.operators.hardware.moments import moment_after
from airflow_provider_hfspaces.triggers.pauses import PauseTrigger
from tests.airflow_tools import FakeStore, Try, first_event, reload_trigger
from tests.conftest import TaskLog

SPACE = "acme/whisper"
LIST = ["l4x1", "a10g-small", "t4-small"]
IN_WORKER_AND_TRIGGERER = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])


class WorkerDied(BaseException):
    """The end of a worker process, which no code of the task sees."""


@contextmanager
def pushing(tries: Try, act: Callable[[str, Any], None]) -> Iterator[None]:
    """Call ``act`` before each XCom that the task pushes."""
    push = tries.ti.xcom_push

    def act_and_push(key: str, value: Any) -> None:
        act(key, value)
        push(key, value)

    tries.ti.xcom_push = act_and_push  # type: ignore[method-assign]
    try:
        yield
    finally:
        tries.ti.xcom_push = push  # type: ignore[method-assign]


def upgrade(**options: Any) -> RequestHardwareOperator:
    defaults = {"task_id": "upgrade", "repo_id": SPACE, "hardware": LIST, "poll_interval": 0.02}
    return RequestHardwareOperator(**{**defaults, **options})


def run(tries: Try | None = None, **options: Any) -> Any:
    return (tries or Try()).run_to_end(lambda: upgrade(**options))


def requested(hub: HubEmulator) -> list[str]:
    """The flavors that were requested, in this order."""
    return [each.json["flavor"] for each in hub.requests if each.path.endswith(f"{SPACE}/hardware")]


def price_lists(hub: HubEmulator) -> int:
    return sum(request.path == "/api/spaces/hardware" for request in hub.requests)


@IN_WORKER_AND_TRIGGERER
@pytest.mark.parametrize("missing", range(len(LIST)))
def test_the_first_flavor_that_is_available_is_used(
    hub: HubEmulator, task_log: TaskLog, missing: int, deferrable: bool
) -> None:
    space = hub.add_space(SPACE)
    space.no_capacity(*LIST[:missing])
    tries = Try()
    runtime = run(tries, deferrable=deferrable)
    assert (runtime["stage"], runtime["hardware"]) == ("RUNNING", LIST[missing])
    assert (space.stage, space.hardware) == ("RUNNING", LIST[missing])
    assert requested(hub) == LIST[: missing + 1]
    assert tries.xcom("upgrade", "requested") == LIST[missing]
    assert tries.xcom("upgrade", "hf_space_hardware_link").endswith(f"/{SPACE}/settings#{LIST[missing]}")
    assert [each["hardware"] for each in tries.xcom("upgrade", "tried")] == LIST[: missing + 1]
    assert tries.store.values == {}
    assert price_lists(hub) == 1
    if missing == 1:
        assert "no l4x1 available; using a10g-small at $1.00/h" in task_log.text
    if missing == 2:
        assert "no l4x1 or a10g-small available; using t4-small at $0.40/h" in task_log.text


@IN_WORKER_AND_TRIGGERER
def test_after_the_last_flavor_the_space_is_restored_and_the_error_lists_what_was_tried(
    hub: HubEmulator, deferrable: bool
) -> None:
    space = hub.add_space(SPACE)
    space.no_capacity(*LIST)
    tries = Try()
    with pytest.raises(HardwareUnavailable) as excinfo:
        run(tries, deferrable=deferrable)
    message = str(excinfo.value)
    assert message.startswith(f"Space {SPACE}: none of its hardware is available: l4x1 (Scheduling failure")
    assert [name for name in LIST if f"{name} (Scheduling failure: not enough" in message] == LIST
    assert "The Space is restored to cpu-basic. Add flavors to hardware" in message
    assert requested(hub) == [*LIST, "cpu-basic"]
    assert space.requested_hardware == "cpu-basic"
    assert tries.store.values == {}


def test_a_quota_that_is_used_up_counts_as_missing_capacity_although_it_pauses_the_space(
    hub: HubEmulator, task_log: TaskLog
) -> None:
    hub.add_space(SPACE).over_quota("l4x1")
    assert run()["hardware"] == "a10g-small"
    assert "l4x1 is not available: You've reached your hardware quota limit" in task_log.text


def test_a_setting_adds_reports_that_count_as_missing_capacity(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = hub.add_space(SPACE)
    space.fail_next_start("No nodes of this kind in us-east")
    with pytest.raises(SpaceWaitFailed, match="No nodes of this kind"):
        run()
    monkeypatch.setenv("AIRFLOW__HF_SPACES__CAPACITY_ERRORS", "out of stock | no nodes of this kind")
    space.fail_next_start("No nodes of this kind in us-east")
    assert run()["hardware"] == "a10g-small"


@pytest.mark.parametrize(
    ("status", "message"),
    [(400, '"flavor" is not a valid hardware flavor'), (403, "l4x1 is only for Enterprise organizations")],
)
def test_a_flavor_that_the_hub_refuses_is_left_for_the_next(
    hub: HubEmulator, task_log: TaskLog, status: int, message: str
) -> None:
    hub.add_space(SPACE)
    hub.faults.add(Fault("status", status=status, message=message, method="POST", path="/hardware$", times=1))
    assert run()["hardware"] == "a10g-small"
    assert f"l4x1 is not available: the Hub answered {status}: {message}" in task_log.text


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (402, "You have no credits left"),
        (403, "You must add a payment method to your account to upgrade your space's hardware."),
        (403, "You may not change the settings of this Space"),
    ],
)
def test_a_missing_payment_or_permission_ends_the_task_without_another_request(
    hub: HubEmulator, status: int, message: str
) -> None:
    space = hub.add_space(SPACE)
    hub.faults.add(Fault("status", status=status, message=message, method="POST", path="/hardware$"))
    with pytest.raises(AirflowFailException, match="whisper"):
        run()
    assert requested(hub) == ["l4x1"]
    assert space.requested_hardware == "cpu-basic"


@IN_WORKER_AND_TRIGGERER
def test_a_crash_of_the_app_ends_the_task_and_a_retry_continues_with_its_flavor(
    hub: HubEmulator, deferrable: bool, task_log: TaskLog
) -> None:
    space = hub.add_space(SPACE)
    space.no_capacity("l4x1")
    space.fail_next_start("Exit code: 1", ["ModuleNotFoundError: torch"])
    tries = Try()
    with pytest.raises(SpaceWaitFailed, match="Exit code: 1"):
        run(tries, deferrable=deferrable)
    assert requested(hub) == ["l4x1", "a10g-small"]
    assert "ModuleNotFoundError: torch" in task_log.text
    assert "a10g-small stays requested" in task_log.text
    assert run(tries, deferrable=deferrable)["hardware"] == "a10g-small"
    assert requested(hub) == ["l4x1", "a10g-small"]
    assert tries.store.values == {}


def test_a_failed_build_ends_the_task(hub: HubEmulator) -> None:
    hub.add_space(SPACE).fail_next_build("Job failed with exit code: 137")
    with pytest.raises(SpaceWaitFailed, match="exit code: 137"):
        run()
    assert requested(hub) == ["l4x1"]


class TestCapacityTimeout:
    @IN_WORKER_AND_TRIGGERER
    def test_a_flavor_without_a_start_is_left_and_capacity_that_arrives_after_the_move_changes_nothing(
        self, hub: HubEmulator, task_log: TaskLog, deferrable: bool
    ) -> None:
        space = hub.add_space(SPACE)
        space.no_capacity("l4x1", waits=True)
        tries = Try()

        def arrive(key: str, value: Any) -> None:
            if (key, value) == ("requested", "a10g-small"):
                space.no_capacity()  # An L4 has become available, and the Space begins to start on it.

        with pushing(tries, arrive):
            runtime = run(tries, deferrable=deferrable, capacity_timeout=0.1)
        assert runtime["hardware"] == "a10g-small"
        assert requested(hub) == ["l4x1", "a10g-small"]
        assert "l4x1 is not available: it did not start within 0 seconds" in task_log.text
        hub.advance(3600)
        assert (space.stage, space.hardware) == ("RUNNING", "a10g-small")
        assert "l4x1" not in {moment.hardware for moment in space.history}

    def test_a_flavor_that_starts_right_before_the_move_is_kept(
        self, hub: HubEmulator, task_log: TaskLog
    ) -> None:
        # Looks at 20 and 40 seconds show the start; the one before the next request shows it running.
        hub.settings.change({"timings": {"lag": 0, "build": 8, "start": 45}})
        space = hub.add_space(SPACE)
        assert run(capacity_timeout=0.001)["hardware"] == "l4x1"
        assert requested(hub) == ["l4x1"]
        assert "runs on l4x1 after all" in task_log.text
        assert space.hardware == "l4x1"

    def test_a_long_build_does_not_count_as_missing_capacity(self, hub: HubEmulator) -> None:
        hub.settings.change({"timings": {"lag": 0, "build": 300, "start": 10}})
        hub.add_space(SPACE)
        assert run(capacity_timeout=0.05)["hardware"] == "l4x1"
        assert requested(hub) == ["l4x1"]

    def test_without_a_capacity_timeout_only_timeout_ends_the_wait_and_the_flavor_stays_requested(
        self, hub: HubEmulator
    ) -> None:
        hub.settings.change({"timings": {"launch_timeout": 10**6}})
        space = hub.add_space(SPACE)
        space.no_capacity("l4x1", waits=True)
        tries = Try()
        with pytest.raises(SpaceWaitTimeout):
            run(tries, capacity_timeout=None, timeout=0.5)
        assert requested(hub) == ["l4x1"]
        space.no_capacity()
        assert run(tries)["hardware"] == "l4x1"
        assert requested(hub) == ["l4x1"]


class TestCrashBetweenTwoFlavors:
    @pytest.mark.parametrize("moment", ["before it is kept", "before it is sent"])
    def test_a_retry_continues_with_the_flavor_whose_request_the_last_try_did_not_send(
        self, hub: HubEmulator, moment: str
    ) -> None:
        space = hub.add_space(SPACE)
        space.no_capacity("l4x1")
        tries = Try()

        def die(key: str, value: Any) -> None:
            if key == ("requested" if moment == "before it is kept" else "tried") and "a10g-small" in str(
                value
            ):
                raise WorkerDied

        with pytest.raises(WorkerDied), pushing(tries, die):
            run(tries)
        assert requested(hub) == ["l4x1"]
        assert run(tries)["hardware"] == "a10g-small"
        assert requested(hub) == ["l4x1", "a10g-small"]
        assert tries.store.values == {}

    def test_a_retry_leaves_a_flavor_that_failed_while_nobody_looked(
        self, hub: HubEmulator, task_log: TaskLog
    ) -> None:
        space = hub.add_space(SPACE)
        space.no_capacity("l4x1")
        tries = Try()
        tries.deferral(upgrade(deferrable=True))
        assert requested(hub) == ["l4x1"]
        hub.advance(3600)  # The worker and the triggerer are gone.
        assert space.stage == "RUNTIME_ERROR"
        assert run(tries, deferrable=True)["hardware"] == "a10g-small"
        assert requested(hub) == ["l4x1", "a10g-small"]
        assert "continues where the last try ended, with l4x1" in task_log.text

    def test_a_retry_attaches_to_a_flavor_that_has_started_meanwhile(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        tries = Try()
        tries.deferral(upgrade(deferrable=True))
        hub.advance(3600)
        assert run(tries, deferrable=True)["hardware"] == "l4x1"
        assert requested(hub) == ["l4x1"]

    def test_a_task_that_is_cleared_after_its_space_was_restored_begins_with_the_first_flavor(
        self, hub: HubEmulator
    ) -> None:
        space = hub.add_space(SPACE)
        space.no_capacity("l4x1")
        space.fail_next_start("Exit code: 1")
        tries = Try()
        with pytest.raises(SpaceWaitFailed):
            run(tries)
        space.no_capacity()
        search = tries.store.values["hardware_search"]
        tries.store = FakeStore()
        tries.store.set("hardware_search", search)
        assert run(tries)["hardware"] == "l4x1"
        assert requested(hub) == ["l4x1", "a10g-small", "l4x1"]


class TestPrice:
    def test_a_flavor_above_the_limit_is_not_requested(self, hub: HubEmulator, task_log: TaskLog) -> None:
        hub.add_space(SPACE)
        assert run(hardware=["l40sx1", "l4x1"], max_hourly_cost=1)["hardware"] == "l4x1"
        assert requested(hub) == ["l4x1"]
        assert (
            "l40sx1 is not available: costs $1.80 an hour, which is above max_hourly_cost=1" in task_log.text
        )

    @IN_WORKER_AND_TRIGGERER
    def test_a_price_that_rises_above_the_limit_in_between_is_noticed_before_the_move(
        self, hub: HubEmulator, task_log: TaskLog, deferrable: bool
    ) -> None:
        space = hub.add_space(SPACE)
        space.no_capacity("l4x1")
        tries = Try()

        def rise(key: str, value: Any) -> None:
            if (key, value) == ("requested", "l4x1"):
                hub.settings.change({"prices": {"a10g-small": 1.01}})

        with pushing(tries, rise):
            runtime = run(tries, deferrable=deferrable, max_hourly_cost=1)
        assert runtime["hardware"] == "t4-small"
        assert requested(hub) == ["l4x1", "t4-small"]
        assert "a10g-small is not available: costs $1.01 an hour, which is above" in task_log.text

    def test_the_limit_holds_for_all_replicas_together(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE, hardware="cpu-upgrade")
        hub.world.space(SPACE).replicas = 3
        assert run(max_hourly_cost=1.20)["hardware"] == "t4-small"
        assert requested(hub) == ["t4-small"]

    def test_if_every_flavor_costs_too_much_nothing_is_requested_and_no_retry_helps(
        self, hub: HubEmulator
    ) -> None:
        hub.add_space(SPACE)
        with pytest.raises(AirflowFailException, match=r"l4x1 \(costs \$0.80 an hour.*Nothing was requested"):
            run(max_hourly_cost=0.10)
        assert requested(hub) == []


class TestAnyHardware:
    def test_the_hubs_list_becomes_the_list_of_flavors_with_one_request(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE).no_capacity("l4x1")
        assert run(hardware=any_hardware(vram_gb=24))["hardware"] == "a10g-small"
        assert requested(hub) == ["l4x1", "a10g-small"]
        assert price_lists(hub) == 1

    def test_the_limit_of_any_hardware_holds_for_prices_that_rise(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE).no_capacity("l4x1")
        tries = Try()
        hardware = any_hardware(vram_gb=24, max_hourly_cost=2.0)
        with pushing(tries, lambda *_: hub.settings.change({"prices": {"a10g-small": 2.01}})):
            assert run(tries, hardware=hardware)["hardware"] == "a10g-large"
        assert requested(hub) == ["l4x1", "a10g-large"]

    def test_the_task_fails_before_any_request_if_no_flavor_fits(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        with pytest.raises(
            AirflowFailException, match=r"^hardware: the Hub offers no flavor with 1 GPU and 999"
        ):
            run(hardware=any_hardware(vram_gb=999))
        assert all(request.method == "GET" for request in hub.requests)


class TestRetryCapacity:
    @IN_WORKER_AND_TRIGGERER
    def test_the_list_starts_again_after_a_pause_in_which_the_space_is_restored(
        self, hub: HubEmulator, task_log: TaskLog, deferrable: bool
    ) -> None:
        space = hub.add_space(SPACE)
        space.no_capacity(*LIST, times=3)
        tries = Try()
        runtime = run(tries, deferrable=deferrable, retry_capacity_after=0.05)
        assert runtime["hardware"] == "l4x1"
        assert requested(hub) == [*LIST, "cpu-basic", "l4x1"]
        assert "The Space is restored to cpu-basic. The list is started again in 0 seconds" in task_log.text
        assert tries.xcom("upgrade", "previous")["hardware"] == "cpu-basic"
        assert tries.store.values == {}

    def test_no_worker_waits_in_the_pause(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE).no_capacity("l4x1")
        options = {"hardware": "l4x1", "deferrable": True, "retry_capacity_after": 60, "timeout": 600}
        tries = Try()
        waiting = tries.deferral(upgrade(**options))
        before = time.time()
        event = first_event(reload_trigger(waiting.trigger))
        trigger = reload_trigger(tries.deferral_after(upgrade(**options), "execute_complete", event).trigger)
        assert isinstance(trigger, PauseTrigger)
        assert trigger.until >= before + 60
        assert requested(hub) == ["l4x1", "cpu-basic"]
        # A retry after a crash of everything waits for the rest of the pause.
        again = tries.deferral(upgrade(**options))
        assert isinstance(again.trigger, PauseTrigger)
        assert again.trigger.until == trigger.until

    def test_after_the_moment_in_the_argument_the_list_is_not_started_again(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE).no_capacity("l4x1")
        options = {"hardware": "l4x1", "retry_capacity_after": 60, "retry_capacity_until": "2026-01-01T03:00"}
        with pytest.raises(HardwareUnavailable, match="Add flavors to hardware, or retry for longer"):
            run(**options)
        assert requested(hub) == ["l4x1", "cpu-basic"]

    def test_a_time_of_day_is_the_first_one_after_the_run_has_begun(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE).no_capacity("l4x1")
        yesterday = datetime.now(timezone.utc) - timedelta(hours=25)
        began = SimpleNamespace(start_date=yesterday)
        tries, options = Try(), {"hardware": "l4x1", "retry_capacity_after": 60}
        # A retry, or a task that has waited for a lease, does not search for another day.
        with pytest.raises(HardwareUnavailable):
            tries.run(upgrade(**options, retry_capacity_until=f"{yesterday:%H:%M}"), dag_run=began)
        assert requested(hub) == ["l4x1", "cpu-basic"]

    @pytest.mark.parametrize(
        ("until", "expected"),
        [
            ("03:00", "2026-11-28T03:00+01:00"),
            ("23:30", "2026-11-27T23:30+01:00"),
            ("2026-11-28T03:00:00Z", "2026-11-28T03:00+00:00"),
            ("2026-11-28T03:00", "2026-11-28T03:00+01:00"),
            (datetime(2026, 11, 28, 3, tzinfo=timezone.utc), "2026-11-28T03:00+00:00"),
        ],
    )
    def test_a_moment_is_read_in_the_time_zone_of_the_dag(self, until: Any, expected: str) -> None:
        zone = timezone(timedelta(hours=1))
        began = datetime(2026, 11, 27, 22, tzinfo=zone)
        context: Any = {"dag": SimpleNamespace(timezone=zone), "dag_run": SimpleNamespace(start_date=began)}
        assert moment_after(until, 0.0, context) == datetime.fromisoformat(expected).timestamp()

    def test_the_search_ends_with_timeout_if_no_moment_is_set(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE).no_capacity("l4x1")
        with pytest.raises(HardwareUnavailable, match="none of its hardware is available: l4x1"):
            run(hardware="l4x1", retry_capacity_after=60, timeout=30)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"hardware": []}, "Task 'upgrade': hardware must be a flavor"),
            ({"hardware": [3]}, "hardware must be a flavor"),
            ({"capacity_timeout": 0}, "capacity_timeout of task 'upgrade' must be a number of seconds"),
            ({"retry_capacity_after": "soon"}, "retry_capacity_after of task 'upgrade'"),
            ({"retry_capacity_until": "03:00"}, "retry_capacity_until of task 'upgrade' needs"),
            ({"retry_capacity_after": 60, "retry_capacity_until": "25:00"}, "must be a time of day such as"),
        ],
    )
    def test_a_value_that_is_not_valid_is_refused_when_the_dag_is_parsed(
        self, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            upgrade(**options)


def test_hardware_that_a_template_renders_to_text_is_read_as_a_list(hub: HubEmulator) -> None:
    hub.add_space(SPACE).no_capacity("l4x1")
    assert run(hardware="['l4x1', 't4-small']")["hardware"] == "t4-small"
    with pytest.raises(AirflowFailException, match="hardware must be a flavor"):
        run(hardware="[l4x1, t4-small")


def test_without_a_wait_only_a_refusal_moves_on(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    space.no_capacity("a10g-small")
    hub.faults.add(Fault("status", status=400, method="POST", path="/hardware$", times=1))
    run(wait=False)
    assert requested(hub) == ["l4x1", "a10g-small"]


def test_a_kill_during_the_search_restores_the_space(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    space.no_capacity("l4x1")
    tries, operator = Try(), upgrade()

    def kill(key: str, value: Any) -> None:
        if key == "tried" and value[-1]["hardware"] == "a10g-small":
            operator.on_kill()

    with pytest.raises(AirflowFailException, match="the task was killed"), pushing(tries, kill):
        tries.run(operator)
    assert space.requested_hardware == "cpu-basic"
    assert "a10g-small" not in requested(hub)


class TestCopy:
    """DuplicateSpaceOperator with a list of hardware."""

    COPY = "acme/whisper-copy"

    def copy(self, **options: Any) -> DuplicateSpaceOperator:
        defaults = {"task_id": "copy", "from_id": SPACE, "to_id": self.COPY, "hardware": LIST, "wait": True}
        return DuplicateSpaceOperator(**{**defaults, "poll_interval": 0.02, "deferrable": True, **options})

    def flavors(self, hub: HubEmulator) -> list[str]:
        """The hardware of the copies that were requested, and the one that was requested for the copy."""
        return [
            each.json.get("hardware") or each.json.get("flavor")
            for each in hub.requests
            if each.method == "POST" and each.path.endswith(("/duplicate", "-copy/hardware"))
        ]

    def test_moves_to_the_next_flavor_in_the_same_copy(self, hub: HubEmulator, task_log: TaskLog) -> None:
        hub.add_space(SPACE)
        tries = Try()
        result = tries.run_to_end(
            lambda: self.copy(sleep_time=600), lambda: hub.space(self.COPY).no_capacity("l4x1")
        )
        assert (result["repo_id"], result["created"]) == (self.COPY, True)
        assert self.flavors(hub) == ["l4x1", "a10g-small"]
        assert (hub.space(self.COPY).hardware, hub.space(self.COPY).sleep_time) == ("a10g-small", 600)
        assert "no l4x1 available; using a10g-small at $1.00/h" in task_log.text
        assert tries.store.values == {}

    def test_a_refused_flavor_makes_no_copy(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        hub.faults.add(Fault("status", status=400, method="POST", path="/duplicate$", times=1))
        Try().run(self.copy(wait=False))
        assert self.flavors(hub) == ["l4x1", "a10g-small"]
        assert hub.space(self.COPY).requested_hardware == "a10g-small"

    def test_after_the_last_flavor_the_copy_is_on_free_cpu_and_a_retry_starts_the_list_again(
        self, hub: HubEmulator
    ) -> None:
        hub.add_space(SPACE)
        tries = Try()
        with pytest.raises(HardwareUnavailable, match="The copy stays, on cpu-basic"):
            tries.run_to_end(
                lambda: self.copy(hardware=["l4x1", "t4-small"]),
                lambda: hub.space(self.COPY).no_capacity("l4x1", "t4-small"),
            )
        assert self.flavors(hub) == ["l4x1", "t4-small", "cpu-basic"]
        hub.space(self.COPY).no_capacity()
        result = tries.run_to_end(lambda: self.copy(hardware=["l4x1", "t4-small"]))
        assert result["created"]
        assert self.flavors(hub) == ["l4x1", "t4-small", "cpu-basic", "l4x1"]

    def test_a_flavor_above_the_limit_is_not_requested(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        Try().run(self.copy(max_hourly_cost=0.5, deferrable=False))
        assert self.flavors(hub) == ["t4-small"]
        with pytest.raises(AirflowFailException, match=r"costs \$0\.80.*No copy was made"):
            Try().run(self.copy(to_id="acme/other", hardware="l4x1", max_hourly_cost=0.5))
        assert self.flavors(hub) == ["t4-small"]

    def test_a_retry_after_the_worker_died_continues_in_the_copy(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        tries = Try()
        tries.deferral(self.copy())
        hub.space(self.COPY).no_capacity("l4x1")
        hub.advance(3600)  # The worker and the triggerer are gone.
        result = tries.run_to_end(self.copy)
        assert (result["created"], hub.space(self.COPY).hardware) == (True, "a10g-small")
        assert self.flavors(hub) == ["l4x1", "a10g-small"]
