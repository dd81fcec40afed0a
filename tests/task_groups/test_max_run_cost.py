"""A group with ``max_run_cost`` restores its Space and fails its run when the run has cost that much."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.cost.runs import Sighting
from airflow_provider_hfspaces.operators.hardware.limit import LimitRunCostOperator
from airflow_provider_hfspaces.triggers import costs
from airflow_provider_hfspaces.triggers.costs import RunCostTrigger
from tests.airflow_tools import Try, dag_file, first_event, reload_trigger, run
from tests.conftest import TaskLog
from tests.lease_tools import SPACE, Window, holders


def group(**arguments: Any) -> Any:
    from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

    with type(dag_file("run_cost").enough)("other"):
        return SpaceHardwareTaskGroup("gpu", SPACE, "t4-small", **arguments)


@pytest.mark.usefixtures("airflow_db")
class TestRuns:
    def test_a_run_below_the_limit_succeeds(self, hub: HubEmulator, task_log: TaskLog) -> None:
        space = hub.add_space(SPACE)
        states = run(dag_file("run_cost").enough)
        assert states["dag"] == "success"
        assert (states["gpu.limit"], states["gpu.work"], states["after"]) == ("success",) * 3
        assert space.requested_hardware == "cpu-basic"
        assert "no triggerer watches this run" in task_log.text

    def test_a_run_that_reaches_the_limit_is_restored_and_fails(
        self, hub: HubEmulator, task_log: TaskLog
    ) -> None:
        space = hub.add_space(SPACE)
        states = run(dag_file("run_cost").too_much)
        assert (states["gpu.limit"], states["gpu.outcome"], states["dag"]) == (
            "failed",
            "upstream_failed",
            "failed",
        )
        assert states["after"] == "upstream_failed"
        assert space.requested_hardware == "cpu-basic"
        assert holders() == ()
        assert "Space acme/whisper: 1 min of t4-small, about $0.0067." in task_log.text


class TestGroup:
    def test_without_a_limit_there_is_no_task_for_it(self) -> None:
        assert "gpu.limit" not in dag_file("leases").lease.task_ids

    @pytest.mark.parametrize("limit", [0, -1, True, float("nan"), float("inf"), [5], "0", "nan", "inf", "$5"])
    def test_a_limit_that_is_not_an_amount_is_refused_when_the_dag_is_parsed(self, limit: Any) -> None:
        with pytest.raises(ValueError, match="max_run_cost of task group 'gpu' must be a positive number"):
            group(max_run_cost=limit)

    def test_clearing_the_work_clears_the_task_that_watches_its_cost(self) -> None:
        dag = dag_file("run_cost").enough
        task_ids = {
            task.task_id for task in dag.get_task("gpu.work").get_upstreams_only_setups_and_teardowns()
        }
        assert task_ids >= {"gpu.upgrade", "gpu.limit", "gpu.restore"}


class CostWatch:
    """A window whose run is watched by the task ``limit``."""

    def __init__(self, hub: HubEmulator, max_run_cost: Any) -> None:
        self.hub = hub
        self.window = Window()
        self.limit = LimitRunCostOperator(
            task_id="limit",
            repo_id=SPACE,
            from_task="snapshot",
            closing_task="restore",
            max_run_cost=max_run_cost,
        )
        tasks = (self.window.snapshot, self.window.upgrade, self.limit, self.window.restore)
        self.window.tasks = Try(*tasks)
        for task in tasks:
            task.hook = HfSpacesHook(clock=lambda: datetime.fromtimestamp(hub.now(), timezone.utc))

    def begin(self) -> Any:
        """Upgrade the Space, and return the trigger of the task that watches the cost."""
        self.window.run("snapshot", "upgrade")
        return self.window.tasks.deferral(self.limit)


@pytest.mark.usefixtures("airflow")
class TestTask:
    def test_waits_in_the_triggerer_while_the_run_costs_less(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        deferred = CostWatch(hub, 5).begin()
        trigger = reload_trigger(deferred.trigger)
        assert (trigger.max_run_cost, trigger.requested, trigger.closing_task) == (5, ["t4-small"], "restore")
        # $5 are 750 minutes of a t4-small. Without a triggerer, Airflow itself ends the wait soon after that.
        assert 45_000 < deferred.timeout.total_seconds() < 47_000

    def test_restores_the_space_and_fails_for_good_when_the_limit_is_reached(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE)
        watch = CostWatch(hub, 0.05)
        watch.begin()
        hub.advance(600)
        with pytest.raises(Exception, match=r"reaches max_run_cost=0\.05") as excinfo:
            watch.limit.look_again(
                watch.window.tasks.context(watch.limit),
                {"status": "reached", "repo_id": SPACE, "cost_usd": 0.06, "changes": []},
            )
        assert type(excinfo.value).__name__ == "AirflowFailException"
        assert space.requested_hardware == "cpu-basic"
        assert holders() == ()
        assert watch.window.tasks.xcom("limit", "cost")["cost_usd"] >= 0.05

    def test_the_restore_after_it_finds_the_space_restored(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        watch = CostWatch(hub, 0.001)
        watch.window.run("snapshot", "upgrade")
        with pytest.raises(Exception, match="reaches max_run_cost"):
            watch.window.tasks.run(watch.limit)
        changes = len([request for request in hub.requests if request.method == "POST"])
        watch.window.run("restore")
        assert len([request for request in hub.requests if request.method == "POST"]) == changes
        assert watch.window.tasks.xcom("restore", "cost") is None, "limit has reported the cost"

    @pytest.mark.parametrize("max_run_cost", [0.05, 5])
    def test_reads_the_price_list_once(self, hub: HubEmulator, max_run_cost: float) -> None:
        """For the cost so far, and then for the end of the wait or for the cost after the restore."""
        space = hub.add_space(SPACE)
        watch = CostWatch(hub, max_run_cost)
        watch.window.run("snapshot", "upgrade")
        hub.advance(600)
        before = [each.path for each in hub.requests].count("/api/spaces/hardware")
        if max_run_cost < 1:
            with pytest.raises(Exception, match=r"reaches max_run_cost=0\.05"):
                watch.window.tasks.run(watch.limit)
            assert space.requested_hardware == "cpu-basic"
        else:
            watch.window.tasks.deferral(watch.limit)
        assert [each.path for each in hub.requests].count("/api/spaces/hardware") == before + 1

    def test_ends_with_the_run(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        watch = CostWatch(hub, 5)
        watch.begin()
        event = {"status": "over", "repo_id": SPACE, "cost_usd": 0.1, "changes": []}
        assert watch.limit.look_again(watch.window.tasks.context(watch.limit), event) is None

    def test_looks_again_if_airflow_ends_the_wait_because_no_triggerer_watches(
        self, hub: HubEmulator
    ) -> None:
        space = hub.add_space(SPACE)
        watch = CostWatch(hub, 0.05)
        watch.begin()
        hub.advance(600)
        with pytest.raises(Exception, match="reaches max_run_cost"):
            watch.limit.resume_execution(
                "__fail__",
                {"error": "Trigger timeout"},
                watch.window.tasks.context(watch.limit),
            )
        assert space.requested_hardware == "cpu-basic"

    @pytest.mark.parametrize("limit", ["nan", "0", "-1", "inf", "five", [5], True])
    def test_restores_the_space_if_a_template_rendered_no_valid_limit(
        self, hub: HubEmulator, limit: Any
    ) -> None:
        space = hub.add_space(SPACE)
        watch = CostWatch(hub, "{{ var.value.limit }}")
        watch.window.run("snapshot", "upgrade")
        watch.limit.max_run_cost = limit
        with pytest.raises(Exception, match="max_run_cost must be a positive number of USD; got") as excinfo:
            watch.window.tasks.run(watch.limit)
        assert type(excinfo.value).__name__ == "AirflowFailException"
        assert space.requested_hardware == "cpu-basic"
        assert holders() == ()

    def test_a_price_list_that_cannot_be_read_does_not_end_the_run(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE)
        watch = CostWatch(hub, 5)
        watch.window.run("snapshot", "upgrade")
        hub.advance(60)
        hub.faults.add(kind="status", status=403, path="/api/spaces/hardware")
        with pytest.raises(Exception, match="GET /api/spaces/hardware; the Hub answered 403"):
            watch.window.tasks.run(watch.limit)
        assert space.requested_hardware == "t4-small"

    def test_an_empty_limit_means_no_limit(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        watch = CostWatch(hub, " ")
        watch.window.run("snapshot", "upgrade")
        assert watch.window.tasks.run(watch.limit) is None


class TestTrigger:
    def trigger(self, *, minutes_ago: float, limit: float, trigger_id: int | None = 1) -> RunCostTrigger:
        since = datetime.now(timezone.utc) - timedelta(minutes=minutes_ago)
        trigger = RunCostTrigger(
            repo_id=SPACE,
            max_run_cost=limit,
            requested=["t4-small"],
            sightings=[Sighting(since, "t4-small").to_dict()],
            dag_id="dag",
            run_id="run",
            closing_task="restore",
            poll_interval=0.05,
        )
        trigger.trigger_id = trigger_id
        return trigger

    @pytest.fixture
    def restore_is(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The states of the task that restores the Space, one for each question; the last one stays."""
        states = ["success"]

        def answer(dag_id: str, run_id: str, task_ids: Sequence[str], map_index: int) -> dict[str, str]:
            state = states.pop(0) if len(states) > 1 else states[0]
            return dict.fromkeys(task_ids, state)

        monkeypatch.setattr(costs, "task_states", answer)
        return states

    def test_fires_when_the_cost_reaches_the_limit(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        event = first_event(self.trigger(minutes_ago=60, limit=0.3))
        assert (event["status"], event["repo_id"]) == ("reached", SPACE)
        assert event["cost_usd"] == pytest.approx(0.4, abs=0.01)
        assert [each["hardware"] for each in event["changes"]] == ["t4-small"]

    def test_fires_for_hardware_without_a_list_price(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE, hardware="h200")
        trigger = self.trigger(minutes_ago=10, limit=500)
        trigger.requested = ["t4-small", "h200"]
        event = first_event(trigger)
        assert (event["status"], event["cost_usd"]) == ("reached", None)

    def test_ends_when_the_space_has_been_given_back(self, hub: HubEmulator, restore_is: list[str]) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        restore_is[:] = ["None", "running", "success"]
        event = first_event(self.trigger(minutes_ago=10, limit=0.3))
        assert (event["status"], event["cost_usd"]) == ("over", pytest.approx(0.07, abs=0.01))

    def test_does_not_count_the_time_asleep(self, hub: HubEmulator, restore_is: list[str]) -> None:
        hub.add_space(SPACE, hardware="t4-small", stage="SLEEPING")
        restore_is[:] = ["None", "None", "success"]
        event = first_event(self.trigger(minutes_ago=10, limit=0.3))
        assert event["status"] == "over"
        assert [each["hardware"] for each in event["changes"]] == [None, None]

    def test_continues_after_errors_of_the_hub(
        self, hub: HubEmulator, restore_is: list[str], task_log: TaskLog
    ) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        hub.faults.add(kind="status", status=403, path="/runtime", times=1)
        restore_is[:] = ["None"]
        assert first_event(self.trigger(minutes_ago=10, limit=0.05))["status"] == "reached"
        assert "The cost of this run is checked again later." in task_log.text

    def test_does_not_hold_up_dag_test_which_runs_triggers_one_after_the_other(
        self, hub: HubEmulator
    ) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        assert first_event(self.trigger(minutes_ago=60, limit=0.3, trigger_id=None))["status"] == "unwatched"
        assert hub.requests == []
