"""A copy is made once and deleted during or after its run; no other Space is ever deleted."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.checks import checked_repo_id
from airflow_provider_hfspaces.hub.errors import HardwareUnavailable, HubError
from airflow_provider_hfspaces.operators.copies import DeleteCopiesOperator
from airflow_provider_hfspaces.operators.duplicate import DuplicateSpaceOperator
from airflow_provider_hfspaces.state.copies import COPY_OF, CopyMark
from airflow_provider_hfspaces.state.run_costs import run_costs
from tests.airflow_tools import Try, reload_trigger
from tests.conftest import TaskLog
from tests.copy_tools import SPACE, CopyWindow, add_marked_copy, copies, remember, sweep
from tests.lease_tools import AirflowWithoutServer
from tests.operators.test_hardware import changes, lose_next_answer

pytestmark = pytest.mark.usefixtures("airflow")


@pytest.fixture(autouse=True)
def source(hub: HubEmulator) -> Any:
    return hub.add_space(SPACE)


def count_changes(hub: HubEmulator, name: str) -> int:
    return [each for each, _ in changes(hub)].count(name)


def recorded_costs() -> list[tuple[str, int]]:
    """The DAGs and minutes that the cost page counts."""
    since = datetime.now(timezone.utc).date() - timedelta(days=1)
    return [(each.dag_id, each.minutes) for each in run_costs(since=since)]


def run_variables(airflow: AirflowWithoutServer) -> list[str]:
    """The Variables that name the runs of copies."""
    return [name for name in airflow.variables if name.startswith("hf_spaces_lease")]


class TestNames:
    @pytest.mark.parametrize("name", ["a", "whisper", "x" * 96, "y" * 77 + "-z", "a.b" * 30, "demo_1"])
    def test_are_valid_bounded_and_different_each_time(self, name: str) -> None:
        marks = [CopyMark.new(SPACE, f"acme/{name}", 60) for _ in range(20)]
        assert len({mark.copy_id for mark in marks}) == 20
        for mark in marks:
            assert checked_repo_id(mark.copy_id) == mark.copy_id
            assert CopyMark.from_dict(json.loads(mark.to_variable())) == mark

    def test_belong_to_the_owner_and_begin_with_the_name_of_to_id(self) -> None:
        window = CopyWindow(to_id="acme/nightly-{{ 'batch' }}")
        window.reserve.to_id = "acme/nightly-batch"
        window.run("reserve")
        assert window.copy_id.startswith("acme/nightly-batch-copy-")


class TestReserve:
    def test_changes_nothing_on_the_hub_and_names_the_run_only_in_airflow(
        self, hub: HubEmulator, airflow: AirflowWithoutServer
    ) -> None:
        window = CopyWindow("secret-run")
        (mark,) = window.run("reserve")
        assert changes(hub) == []
        assert "secret-run" not in json.dumps(mark)
        assert airflow.variables.value(f"hf_spaces_lease_{mark['holder']}")["run_id"] == "secret-run"

    def test_keeps_the_name_of_a_copy_that_exists_across_tries_and_clears(self, hub: HubEmulator) -> None:
        window = CopyWindow()
        window.run("reserve", "create")
        first = window.copy_id
        window.run("reserve", "create")
        assert (window.copy_id, count_changes(hub, "duplicate")) == (first, 1)

    def test_takes_a_new_name_when_the_copy_is_deleted(self, hub: HubEmulator) -> None:
        window = CopyWindow()
        window.run("reserve", "create", "delete")
        first = window.copy_id
        window.run("reserve")
        assert window.copy_id != first


class TestCreate:
    @pytest.mark.parametrize("lost_message", ["answer", "request"])
    def test_makes_one_copy_although_the_answer_or_the_request_is_lost(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, lost_message: str
    ) -> None:
        window = CopyWindow()
        window.run("reserve")
        lose_next_answer(monkeypatch, "/duplicate", took_effect=lost_message == "answer")
        if lost_message == "request":
            with pytest.raises(HubError, match="not known whether the request took effect"):
                window.run("create")
        (result,) = window.run("create")
        assert (result["created"], result["hardware"]) == (True, "t4-small")
        assert copies(hub) == [window.copy_id]
        assert count_changes(hub, "duplicate") == 1

    def test_attaches_to_the_copy_of_a_worker_that_died_after_the_request(self, hub: HubEmulator) -> None:
        window = CopyWindow()
        window.run("reserve")
        mark = CopyMark.from_dict(window.tasks.xcom("reserve", "copy"))
        assert mark is not None
        variables = {COPY_OF: mark.to_variable()}
        HfSpacesHook().duplicate(SPACE, to_id=mark.copy_id, hardware="t4-small", variables=variables)
        window.run("create")
        assert count_changes(hub, "duplicate") == 1

    @pytest.mark.parametrize("variables", [{}, {COPY_OF: "another"}], ids=["no mark", "another mark"])
    def test_does_not_take_a_foreign_space_for_its_copy(
        self, hub: HubEmulator, variables: dict[str, str]
    ) -> None:
        window = CopyWindow()
        window.run("reserve")
        hub.add_space(window.copy_id, private=True, variables=variables)
        with pytest.raises(AirflowFailException, match="already exists, and was not made by this task"):
            window.run("create")
        with pytest.raises(AirflowFailException, match="is not deleted: it does not have the mark"):
            window.run("delete")
        assert hub.has_space(window.copy_id)

    @pytest.mark.parametrize("reason", ["failed", "other hardware"])
    def test_replaces_the_copy_of_an_earlier_try_that_cannot_be_used(
        self, hub: HubEmulator, reason: str
    ) -> None:
        window = CopyWindow()
        window.run("reserve", "create")
        if reason == "failed":
            hub.space(window.copy_id).crash()
        else:
            window.create.hardware = "cpu-upgrade"
        window.run("create")
        copy = hub.space(window.copy_id)
        assert (copy.stage, copy.hardware) == ("RUNNING", window.create.hardware)
        assert (count_changes(hub, "duplicate"), count_changes(hub, "delete")) == (2, 1)

    def test_waits_for_the_files_and_for_the_answer_of_the_app(self, hub: HubEmulator) -> None:
        hub.settings.files_copy_pending = 300
        window = CopyWindow(health=True)
        window.run("reserve", "create")
        copy = hub.space(window.copy_id)
        assert copy.history[0].stage == "NO_APP_FILE"
        assert [request.path for request in copy.app_requests] == ["/"]

    def test_finishes_in_the_triggerer(self, hub: HubEmulator) -> None:
        window = CopyWindow(deferrable=True)
        window.run("reserve")
        result = window.tasks.run_deferred(window.create)
        assert (result["repo_id"], result["hardware"]) == (window.copy_id, "t4-small")

    def test_makes_no_copy_that_no_task_would_delete(
        self, hub: HubEmulator, airflow: AirflowWithoutServer
    ) -> None:
        window = CopyWindow()
        window.run("reserve", "create", "delete")
        airflow.restored = {"delete": "success"}
        with pytest.raises(AirflowFailException, match="'delete' has already ended, so that no task would"):
            window.run("create")
        assert count_changes(hub, "duplicate") == 1
        assert copies(hub) == []

    def test_deletes_a_copy_at_once_that_was_requested_too_late(
        self, hub: HubEmulator, airflow: AirflowWithoutServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        window = CopyWindow()
        window.run("reserve")
        send = requests.Session.request

        def freeze(session: Any, method: str, url: str, **options: Any) -> Any:
            """Let the run end while the request is on its way."""
            if url.endswith("/duplicate"):
                airflow.restored = {"delete": "success"}
            return send(session, method, url, **options)

        monkeypatch.setattr(requests.Session, "request", freeze)
        with pytest.raises(AirflowFailException, match="has already ended"):
            window.run("create")
        assert count_changes(hub, "duplicate") == 1
        assert copies(hub) == []

    def test_refuses_to_copy_without_a_reservation(self, hub: HubEmulator) -> None:
        with pytest.raises(AirflowFailException, match=r"'reserve' has reserved no copy\. Clear that task"):
            CopyWindow().run("create")
        assert changes(hub) == []

    def test_makes_no_copy_once_the_monthly_budget_of_its_owner_is_spent(self, hub: HubEmulator) -> None:
        hub.add_space("acme/gpu", hardware="t4-small")
        hub.advance(10 * 3600)
        window = CopyWindow(monthly_budget=3)
        window.run("reserve")
        with pytest.raises(AirflowFailException, match=r"has spent .* of its monthly budget"):
            window.run("create")
        assert changes(hub) == []
        window.create.monthly_budget = 300
        window.run("create")
        assert count_changes(hub, "duplicate") == 1

    @pytest.mark.parametrize(("missing", "deferrable"), [(0, False), (1, True), (2, False), (3, True)])
    def test_takes_the_first_hardware_of_a_list_that_is_available(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, missing: int, deferrable: bool
    ) -> None:
        hardware = ["l4x1", "a10g-small", "t4-small"]
        window = CopyWindow()
        window.run("reserve")
        send = requests.Session.request

        def request(session: Any, method: str, url: str, **options: Any) -> Any:
            answer = send(session, method, url, **options)
            if url.endswith("/duplicate"):
                hub.space(window.copy_id).no_capacity(*hardware[:missing])
            return answer

        monkeypatch.setattr(requests.Session, "request", request)

        def create() -> Any:
            return CopyWindow(hardware=hardware, deferrable=deferrable).create

        if missing == len(hardware):
            with pytest.raises(HardwareUnavailable, match="none of its hardware is available: l4x1"):
                window.tasks.run_to_end(create)
            assert not hub.bill().running
        else:
            assert window.tasks.run_to_end(create)["hardware"] == hardware[missing]
        assert count_changes(hub, "duplicate") == 1
        window.run("delete")
        assert copies(hub) == []
        assert not hub.bill().running

    def test_refuses_a_variable_with_the_key_of_the_mark(self, hub: HubEmulator) -> None:
        window = CopyWindow(variables={COPY_OF: "mine"})
        window.run("reserve")
        with pytest.raises(AirflowFailException, match=r"which marks the copy\. Choose another key"):
            window.run("create")
        assert changes(hub) == []


class TestDelete:
    def test_ends_the_bill_and_forgets_the_run(self, hub: HubEmulator, airflow: AirflowWithoutServer) -> None:
        window = CopyWindow()
        window.run("reserve", "create")
        assert window.run("delete")[0]["deleted"] is True
        assert copies(hub) == []
        assert not hub.bill().running
        assert run_variables(airflow) == []

    def test_says_what_the_copy_cost_from_the_start_of_its_app_to_its_deletion(
        self, hub: HubEmulator, airflow: AirflowWithoutServer, task_log: TaskLog
    ) -> None:
        window = CopyWindow()
        window.run("reserve", "create")
        reservation, running = window.tasks.xcom("create", "sightings")
        now = datetime.fromisoformat(running["at"])
        reservation["at"] = (now - timedelta(minutes=30)).isoformat()
        running["since"] = (now - timedelta(minutes=12.5)).isoformat()
        (result,) = window.run("delete")
        assert (result["billed_seconds"], result["billed_hardware"]) == (13 * 60, "t4-small")
        assert result["cost_usd"] == pytest.approx(13 * 0.006667)
        assert f"Space {window.copy_id}: 13 min of t4-small, about $0.09." in task_log.text
        assert any(name.startswith("hf_spaces_run_costs") for name in airflow.variables)

    def test_deletes_the_copy_although_its_cost_cannot_be_reported(
        self, hub: HubEmulator, task_log: TaskLog
    ) -> None:
        window = CopyWindow()
        window.run("reserve", "create")
        push = window.tasks.ti.xcom_push

        def refuse(key: str, value: Any) -> None:
            if key == "cost":
                raise ConnectionError("Airflow does not answer")
            push(key, value)

        window.tasks.ti.xcom_push = refuse  # type: ignore[method-assign]
        assert window.run("delete")[0] == {"repo_id": window.copy_id, "deleted": True}
        assert copies(hub) == []
        assert "the cost of this run is not known: Airflow does not answer" in task_log.text

    def test_costs_nothing_if_the_copy_has_never_run(self, hub: HubEmulator) -> None:
        window = CopyWindow()
        window.run("reserve")
        mark = CopyMark.from_dict(window.tasks.xcom("reserve", "copy"))
        assert mark is not None
        hub.add_space(mark.copy_id, private=True, stage="BUILDING", variables={COPY_OF: mark.to_variable()})
        assert window.run("delete")[0]["cost_usd"] == 0

    @pytest.mark.parametrize("took_effect", [True, False])
    def test_finds_out_after_a_lost_answer_whether_the_copy_is_deleted(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, took_effect: bool
    ) -> None:
        window = CopyWindow()
        window.run("reserve", "create")
        lose_next_answer(monkeypatch, "/delete", took_effect=took_effect)
        if not took_effect:
            with pytest.raises(HubError, match="not known whether the request took effect"):
                window.run("delete")
        window.run("delete")
        assert copies(hub) == []

    def test_succeeds_if_the_copy_was_never_created(self, hub: HubEmulator) -> None:
        window = CopyWindow()
        assert window.run("delete")[0] == {"repo_id": None, "deleted": False}
        window.run("reserve")
        assert window.run("delete")[0]["deleted"] is False
        assert changes(hub) == []

    def test_keeps_the_run_of_a_copy_whose_request_may_still_be_on_its_way(
        self, hub: HubEmulator, airflow: AirflowWithoutServer
    ) -> None:
        window = CopyWindow("crashed")
        window.run("reserve", "delete")
        mark = CopyMark.from_dict(window.tasks.xcom("reserve", "copy"))
        assert mark is not None
        HfSpacesHook().duplicate(SPACE, to_id=mark.copy_id, variables={COPY_OF: mark.to_variable()})
        airflow.over.add("crashed")
        assert sweep()[0]["outcome"] == "deleted"
        assert run_variables(airflow) == []

    def test_leaves_a_copy_alone_that_a_user_has_renamed_to_keep_it(self, hub: HubEmulator) -> None:
        window = CopyWindow()
        window.run("reserve", "create")
        HfSpacesHook().move_space(window.copy_id, "acme/kept")
        with pytest.raises(AirflowFailException, match="was renamed to acme/kept and is not deleted"):
            window.run("delete")
        assert hub.has_space("acme/kept")

    def test_leaves_a_copy_alone_that_a_user_has_published_to_keep_it(self, hub: HubEmulator) -> None:
        window = CopyWindow(max_run_cost=0.001)
        window.run("reserve", "create")
        HfSpacesHook().set_visibility(window.copy_id, "public")
        for task in ("limit", "delete"):
            with pytest.raises(AirflowFailException, match="is not deleted: it is not private any more"):
                window.run(task)
        hub.space(window.copy_id).crash()
        with pytest.raises(AirflowFailException, match="already exists, and was not made by this task"):
            window.run("create")
        assert hub.has_space(window.copy_id)

    def test_retries_a_rejected_token_while_tries_are_left_and_then_pauses_the_copy(
        self, hub: HubEmulator
    ) -> None:
        window = CopyWindow()
        window.run("reserve", "create")
        hub.faults.add(kind="status", status=403, path="/api/repos/delete")
        ti: Any = window.tasks.ti
        ti.max_tries, ti.try_number = 2, 1
        with pytest.raises(HubError):
            window.run("delete")
        assert hub.space(window.copy_id).stage == "RUNNING"
        ti.try_number = 3
        with pytest.raises(AirflowFailException):
            window.run("delete")
        assert hub.space(window.copy_id).stage == "PAUSED"

    def test_reports_the_cost_of_a_copy_that_a_killed_try_has_deleted(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        window = CopyWindow()
        window.run("reserve", "create")
        send = requests.Session.request

        def request(session: Any, method: str, url: str, **options: Any) -> Any:
            answer = send(session, method, url, **options)
            if method == "DELETE":
                raise KeyboardInterrupt
            return answer

        monkeypatch.setattr(requests.Session, "request", request)
        with pytest.raises(KeyboardInterrupt):
            window.run("delete")
        monkeypatch.setattr(requests.Session, "request", send)
        assert copies(hub) == []
        (result,) = window.run("delete")
        assert (result["deleted"], result["billed_seconds"], result["billed_hardware"]) == (
            True,
            60,
            "t4-small",
        )
        assert recorded_costs() == [("dag", 1)]

    def test_counts_from_the_reservation_if_nothing_says_when_the_app_was_started(
        self, hub: HubEmulator
    ) -> None:
        window = CopyWindow()
        window.run("reserve")
        mark = CopyMark.from_dict(window.tasks.xcom("reserve", "copy"))
        assert mark is not None
        HfSpacesHook().duplicate(
            SPACE, to_id=mark.copy_id, variables={COPY_OF: mark.to_variable()}, hardware="t4-small"
        )
        hub.advance(3600)
        hub.faults.add(kind="status", status=403, path="/logs/run")
        window.delete.hook = HfSpacesHook(clock=lambda: datetime.now(timezone.utc) + timedelta(minutes=30))
        (result,) = window.run("delete")
        assert 30 <= result["billed_seconds"] / 60 <= 32


class TestLimit:
    def test_waits_in_the_triggerer_while_the_copy_costs_less(self, hub: HubEmulator) -> None:
        window = CopyWindow(max_run_cost="5")
        window.run("reserve", "create")
        deferred = window.tasks.deferral(window.limit)
        trigger = reload_trigger(deferred.trigger)
        assert (trigger.repo_id, trigger.max_run_cost) == (window.copy_id, 5)
        assert (trigger.requested, trigger.closing_task) == (["t4-small"], "delete")
        # $5 are 750 minutes of a t4-small. Without a triggerer, Airflow itself ends the wait soon after that.
        assert 45_000 < deferred.timeout.total_seconds() < 47_000
        assert window.limit.look_again(window.tasks.context(window.limit), {"status": "over"}) is None
        assert copies(hub) == [window.copy_id]

    def test_deletes_the_copy_and_fails_when_it_has_cost_too_much(self, hub: HubEmulator) -> None:
        window = CopyWindow(max_run_cost=0.001)
        window.run("reserve", "create")
        with pytest.raises(
            AirflowFailException, match=r"used 1 min of t4-small, about .*=0.001\. The copy is"
        ):
            window.run("limit")
        assert copies(hub) == []
        assert not hub.bill().running
        assert window.run("delete")[0]["deleted"] is False

    def test_deletes_the_copy_if_a_template_rendered_no_valid_limit(self, hub: HubEmulator) -> None:
        window = CopyWindow(max_run_cost="{{ var.value.limit }}")
        window.run("reserve", "create")
        window.limit.max_run_cost = "five"
        with pytest.raises(AirflowFailException, match="must be a positive number of USD; got 'five'"):
            window.run("limit")
        assert copies(hub) == []

    def test_has_no_limit_if_the_argument_is_empty(self, hub: HubEmulator) -> None:
        window = CopyWindow(max_run_cost="")
        window.run("reserve", "create", "limit")
        assert copies(hub) == [window.copy_id]

    def test_is_over_when_the_copy_is_deleted(self, hub: HubEmulator) -> None:
        window = CopyWindow(max_run_cost=0.001)
        window.run("reserve", "create", "delete")
        assert window.run("limit") == [None]


class TestSweep:
    @pytest.mark.parametrize("has_ended", [True, False])
    def test_deletes_the_copy_of_a_run_that_is_over_and_no_other(
        self, hub: HubEmulator, airflow: AirflowWithoutServer, has_ended: bool, task_log: TaskLog
    ) -> None:
        window = CopyWindow("crashed")
        window.run("reserve", "create")
        airflow.over |= {"crashed"} if has_ended else set()
        (entry,) = sweep()
        assert (entry["repo_id"], entry["source"]) == (window.copy_id, SPACE)
        if has_ended:
            assert entry["outcome"] == "deleted"
            assert copies(hub) == []
            assert run_variables(airflow) == []
            assert "left behind by task reserve of run crashed of DAG dag, which is over" in task_log.text
        else:
            assert entry["outcome"] == "left alone"
            assert entry["reason"] == "used by task reserve of run crashed of DAG dag"
        assert hub.has_space(SPACE)

    @pytest.mark.parametrize("stage", ["RUNNING", "SLEEPING"])
    def test_reports_and_records_what_the_copy_cost(
        self, hub: HubEmulator, airflow: AirflowWithoutServer, stage: str
    ) -> None:
        mark = add_marked_copy(hub, sleep_time=1700 if stage == "SLEEPING" else None)
        remember(airflow.variables, mark, "ended")
        airflow.over.add("ended")
        hub.advance(1800)
        assert hub.space(mark.copy_id).stage == stage
        operator = DeleteCopiesOperator(task_id="copies", author="acme")
        operator.hook = HfSpacesHook(clock=lambda: datetime.fromtimestamp(hub.now(), timezone.utc))
        (entry,) = Try().run(operator)
        assert (entry["outcome"], entry["billed_hardware"]) == ("deleted", "t4-small")
        assert 30 <= entry["billed_seconds"] / 60 <= 34
        assert entry["cost_usd"] == pytest.approx(0.2, abs=0.03)
        assert recorded_costs() == [("dag", entry["billed_seconds"] // 60)]

    def test_deletes_nothing_in_a_dry_run(self, hub: HubEmulator, airflow: AirflowWithoutServer) -> None:
        remember(airflow.variables, add_marked_copy(hub), "ended")
        airflow.over.add("ended")
        (entry,) = sweep(dry_run=True)
        assert entry["outcome"] == "would be deleted"
        assert changes(hub) == []

    @pytest.mark.parametrize(("hours_left", "outcome"), [(1, "left alone"), (-1, "deleted")])
    def test_deletes_a_copy_of_another_airflow_only_when_its_mark_has_expired(
        self, hub: HubEmulator, hours_left: float, outcome: str
    ) -> None:
        mark = add_marked_copy(hub, hours_left=hours_left)
        (entry,) = sweep()
        assert entry["outcome"] == outcome
        assert "another Airflow" in entry["reason"]
        assert hub.has_space(mark.copy_id) == (outcome == "left alone")

    @pytest.mark.parametrize("working", [True, False])
    def test_deletes_a_copy_whose_run_never_ends_when_its_mark_has_expired_and_no_task_works(
        self, hub: HubEmulator, airflow: AirflowWithoutServer, working: bool
    ) -> None:
        remember(airflow.variables, add_marked_copy(hub, hours_left=-1), "stays running")
        airflow.working = working
        (entry,) = sweep()
        assert entry["outcome"] == ("left alone" if working else "deleted")

    def test_leaves_a_copy_alone_if_airflow_does_not_answer(
        self, hub: HubEmulator, airflow: AirflowWithoutServer
    ) -> None:
        remember(airflow.variables, add_marked_copy(hub, hours_left=-1), "run")

        def refuse(run_id: str) -> None:
            raise ConnectionError("Airflow does not answer")

        airflow.on_question = refuse
        (entry,) = sweep()
        assert entry["reason"].startswith("Airflow does not say whether task gpu.reserve of run run")
        airflow.variables.error = ConnectionError("Airflow does not answer")
        (entry,) = sweep()
        assert entry["reason"] == "Airflow does not say which run uses it"
        assert changes(hub) == []

    @pytest.mark.parametrize("change", ["renamed", "published", "unmarked", "copied by hand", "older"])
    def test_leaves_a_space_alone_that_is_not_the_copy_of_its_mark(
        self, hub: HubEmulator, airflow: AirflowWithoutServer, change: str
    ) -> None:
        hook, copy_id = HfSpacesHook(), None
        mark = add_marked_copy(hub, hours_left=-1, private=change != "published")
        if change == "renamed":
            hook.move_space(mark.copy_id, copy_id := "acme/kept-copy-0123456789ab")
        elif change == "unmarked":
            hook.delete_variable(mark.copy_id, COPY_OF)
        elif change == "copied by hand":
            hook.duplicate(mark.copy_id, to_id=(copy_id := "acme/mine-copy-0123456789ab"))
        elif change == "older":
            hub.world.spaces[mark.copy_id].created -= 3600
        report = sweep()
        assert hub.has_space(copy_id or mark.copy_id)
        assert [each["repo_id"] for each in report if each["outcome"] == "deleted"] == (
            [mark.copy_id] if change == "copied by hand" else []
        )

    def test_reads_the_marks_only_of_spaces_with_the_name_of_a_copy(self, hub: HubEmulator) -> None:
        for number in range(5):
            hub.add_space(f"acme/demo-{number}", variables={COPY_OF: "anything"})
        assert sweep() == []
        assert [request.path for request in hub.requests] == ["/api/spaces"]

    def test_fails_for_a_copy_that_the_hub_does_not_delete_and_deletes_the_others(
        self, hub: HubEmulator
    ) -> None:
        first, second = (add_marked_copy(hub, hours_left=-1).copy_id for _ in range(2))
        hub.faults.add(kind="status", status=403, path="/api/repos/delete", times=1)
        with pytest.raises(RuntimeError, match=f"^Space ({first}|{second}) could not be deleted: "):
            sweep()
        assert len(copies(hub)) == 1

    def test_leaves_out_what_is_excluded(self, hub: HubEmulator) -> None:
        mark = add_marked_copy(hub, hours_left=-1)
        assert sweep(exclude=["whisper-copy-*"]) == []
        assert sweep(repo_ids=[SPACE]) == []
        assert sweep(author=None, repo_ids=[mark.copy_id])[0]["outcome"] == "deleted"


def test_a_copy_of_a_copy_made_by_hand_is_not_marked(hub: HubEmulator) -> None:
    window = CopyWindow()
    window.run("reserve", "create")
    Try().run(DuplicateSpaceOperator(task_id="by_hand", from_id=window.copy_id, to_id="acme/mine"))
    assert COPY_OF in hub.space("acme/mine").variables
    variables = HfSpacesHook().get_variables("acme/mine")
    assert CopyMark.from_variables("acme/mine", variables) is None


def test_a_copy_of_a_marked_copy_gets_a_mark_of_its_own(hub: HubEmulator) -> None:
    first = CopyWindow()
    first.run("reserve", "create")
    second = CopyWindow(source=first.copy_id, to_id=first.copy_id)
    second.run("reserve", "create")
    mark = CopyMark.from_variables(second.copy_id, HfSpacesHook().get_variables(second.copy_id))
    assert mark is not None
    assert mark.source_id == first.copy_id
