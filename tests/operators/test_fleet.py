"""Fleet operators: pausing in the evening, restarting in the morning, and everything that can go wrong."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import requests

from airflow_provider_hfspaces.compat.imports import AirflowFailException, AirflowSkipException, BaseOperator
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.cost.prices import saved_by_pause
from airflow_provider_hfspaces.hub.http.sequence import execute
from airflow_provider_hfspaces.hub.lease.actions import SpaceLease
from airflow_provider_hfspaces.hub.lease.record import Standing
from airflow_provider_hfspaces.hub.lease.store import LeaseStore
from airflow_provider_hfspaces.operators.fleet import (
    EnforceSleepTimeOperator,
    ListSpacesOperator,
    PauseSpacesOperator,
    RestartSpacesOperator,
)
from airflow_provider_hfspaces.operators.fleet.base import FleetOperator
from airflow_provider_hfspaces.operators.fleet.target import FleetIncomplete
from tests.airflow_tools import FakeStore, Try, connection
from tests.airflow_variables import AirflowVariables
from tests.conftest import TaskLog
from tests.operators.test_hardware import lose_next_answer
from tests.stub import RUNTIME, Say, StubHub


def pause(**options: Any) -> PauseSpacesOperator:
    return PauseSpacesOperator(**{"task_id": "pause", "author": "acme", **options})


def changes(hub: HubEmulator) -> list[str]:
    """The requests that changed a Space: its id and the action."""
    return [request.path.removeprefix("/api/spaces/") for request in hub.requests if request.method != "GET"]


def outcomes(report: dict[str, Any]) -> dict[str, str]:
    return {each["repo_id"]: each["outcome"] for each in report["spaces"]}


def reasons(report: dict[str, Any]) -> dict[str, str]:
    return {each["repo_id"]: each["reason"] for each in report["spaces"] if each["reason"]}


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> AirflowVariables:
    return AirflowVariables(monkeypatch)


def restart(**options: Any) -> RestartSpacesOperator:
    return RestartSpacesOperator(task_id="restart", **options)


def enforce(**options: Any) -> EnforceSleepTimeOperator:
    return EnforceSleepTimeOperator(**{"task_id": "enforce", "author": "acme", **options})


def a_fleet(hub: HubEmulator, count: int, **options: Any) -> list[Any]:
    options = {"hardware": "t4-small", **options}
    return [hub.add_space(f"acme/s{number:03}", **options) for number in range(count)]


class TestList:
    def test_returns_the_ids_of_the_selected_spaces(self, hub: HubEmulator) -> None:
        hub.add_space("acme/whisper", hardware="t4-small", tags=("speech",))
        hub.add_space("acme/Diffusion", hardware="a10g-small")
        hub.add_space("acme/landing", sdk="static")
        hub.add_space("other/whisper", hardware="t4-small")
        repo_ids = Try().run(ListSpacesOperator(task_id="list", author="acme"))
        assert repo_ids == ["acme/Diffusion", "acme/landing", "acme/whisper"]
        repo_ids = Try().run(
            ListSpacesOperator(task_id="list", author="acme", billed_only=True, exclude="diff*")
        )
        assert repo_ids == ["acme/whisper"]
        assert Try().run(ListSpacesOperator(task_id="list", author="acme", tags="speech")) == ["acme/whisper"]
        assert {request.path for request in hub.requests} == {"/api/spaces"}

    def test_refuses_invalid_criteria_before_any_request(self, hub: HubEmulator) -> None:
        with pytest.raises(AirflowFailException, match="Did you mean 'RUNNING'"):
            Try().run(ListSpacesOperator(task_id="list", author="acme", stages=["RUNNIN"]))
        with pytest.raises(AirflowFailException, match="author is missing"):
            Try().run(ListSpacesOperator(task_id="list"))
        assert not hub.requests

    def test_checks_a_new_flavor_against_the_price_list(self, hub: HubEmulator) -> None:
        with pytest.raises(AirflowFailException, match="hardware 't4-smal' is not a flavor"):
            Try().run(ListSpacesOperator(task_id="list", author="acme", hardware="t4-smal"))
        assert [request.path for request in hub.requests] == ["/api/spaces/hardware"]


class TestPause:
    def test_pauses_running_spaces_and_leaves_the_others_alone(
        self, hub: HubEmulator, task_log: TaskLog
    ) -> None:
        hub.settings.change({"timings": {"build": 100_000}})
        running = hub.add_space("acme/running", hardware="t4-small")
        building = hub.add_space("acme/building", hardware="l4x1", stage="BUILDING")
        hub.add_space("acme/free")
        hub.add_space("acme/paused", hardware="t4-small", stage="PAUSED")
        hub.add_space("acme/asleep", hardware="a100-large", stage="SLEEPING")
        hub.add_space("acme/broken", hardware="t4-small", stage="RUNTIME_ERROR")
        hub.add_space("acme/site", sdk="static")
        report = Try().run(pause())
        assert outcomes(report) == {
            "acme/asleep": "left alone",
            "acme/broken": "left alone",
            "acme/building": "paused",
            "acme/free": "paused",
            "acme/paused": "left alone",
            "acme/running": "paused",
            "acme/site": "left alone",
        }
        assert reasons(report)["acme/asleep"] == "SLEEPING: costs nothing"
        assert reasons(report)["acme/paused"] == "already paused"
        assert {running.stage, building.stage} == {"PAUSED"}
        assert report["hourly_cost_saved"] == pytest.approx(0.4 + 0.8)
        assert (report["action"], report["owner"], report["failed"]) == ("pause", "acme", 0)
        assert "3 of 7 Spaces paused." in task_log.text
        assert "estimates from the Hub's list prices of " in task_log.text
        assert hub.token not in json.dumps(report)
        assert not hub.bill().running

    def test_does_nothing_the_second_time(self, hub: HubEmulator) -> None:
        a_fleet(hub, 3)
        Try().run(pause())
        before = len(changes(hub))
        report = Try().run(pause())
        assert set(outcomes(report).values()) == {"left alone"}
        assert len(changes(hub)) == before == 3
        assert report["hourly_cost_saved"] == 0

    def test_sends_one_pause_for_each_space_and_reads_all_of_them_from_a_list(self, hub: HubEmulator) -> None:
        a_fleet(hub, 20)
        Try().run(pause())
        assert Counter(request.method for request in hub.requests) == {"POST": 20, "GET": 22}

    def test_a_dry_run_changes_nothing_and_reports_what_would_be_saved(
        self, hub: HubEmulator, variables: AirflowVariables
    ) -> None:
        a_fleet(hub, 2)
        attempt = Try()
        report = attempt.run(pause(dry_run=True, report_to="nightly"))
        assert set(outcomes(report).values()) == {"would be paused"}
        assert (report["dry_run"], report["hourly_cost_saved"]) == (True, 0.8)
        assert changes(hub) == []
        assert not variables
        assert not attempt.store.values
        assert outcomes(Try().run(restart(report=report))) == {}

    def test_the_parameter_dry_run_does_not_hide_airflows_method(self) -> None:
        method = getattr(BaseOperator, "dry_run", None)
        if method is None:
            pytest.skip("Airflow 3.0 has no such method")
        assert callable(pause(dry_run=True).dry_run)

    def test_pauses_sleeping_spaces_only_if_stages_names_them(self, hub: HubEmulator) -> None:
        hub.settings.asleep = "STOPPED"
        space = hub.add_space("acme/asleep", hardware="t4-small", stage="SLEEPING")
        report = Try().run(pause(stages=["RUNNING", "SLEEPING"]))
        assert (outcomes(report), report["hourly_cost_saved"]) == ({"acme/asleep": "paused"}, 0)
        assert space.stage == "PAUSED"

    def test_a_space_that_fails_does_not_stop_the_others(self, hub: HubEmulator) -> None:
        a_fleet(hub, 3)
        hub.faults.add(kind="status", status=403, path="/s001/pause", message="You may not.")
        attempt = Try()
        with pytest.raises(AirflowFailException, match=r"1 of 3 Spaces failed.*acme/s001.*You may not"):
            attempt.run(pause())
        report = attempt.xcom("pause")
        assert list(outcomes(report).values()) == ["paused", "failed", "paused"]
        assert (report["failed"], report["hourly_cost_saved"]) == (1, 0.8)

    def test_neither_report_nor_log_shows_a_token(self, hub: HubEmulator, task_log: TaskLog) -> None:
        a_fleet(hub, 1)
        hub.faults.add(kind="status", status=403, path="/pause", message=f"{hub.token} may not do this")
        report = Try().run(pause(fail_on_error=False))
        assert "*** may not do this" in reasons(report)["acme/s000"]
        assert hub.token not in json.dumps(report) + task_log.text

    def test_fail_on_error_false_only_reports_failures(self, hub: HubEmulator) -> None:
        a_fleet(hub, 2)
        hub.faults.add(kind="status", status=403, path="/s001/pause")
        assert Try().run(pause(fail_on_error=False))["failed"] == 1

    def test_a_retry_pauses_the_remaining_spaces_and_reports_all(self, hub: HubEmulator) -> None:
        a_fleet(hub, 3)
        hub.faults.add(kind="status", status=409, path="/s001/pause", message="operation in progress")
        attempt = Try()
        with pytest.raises(FleetIncomplete, match="acme/s001"):
            attempt.run(pause(billed_only=True))
        assert outcomes(attempt.xcom("pause"))["acme/s001"] == "failed"
        first = changes(hub)
        hub.faults.clear()
        report = attempt.run(pause(billed_only=True))
        assert changes(hub)[len(first) :] == ["acme/s001/pause"]
        assert set(outcomes(report).values()) == {"paused"}
        assert report["hourly_cost_saved"] == pytest.approx(1.2)
        assert not attempt.store.values

    def test_the_report_of_a_retry_contains_what_a_killed_try_paused(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, variables: AirflowVariables
    ) -> None:
        a_fleet(hub, 9)
        monkeypatch.setattr(FleetOperator, "batch_size", 4)
        attempt = Try()

        with dying_before_batch(2, attempt, variables):
            attempt.run(pause(report_to="nightly"))
        died_after = len(changes(hub))
        assert 0 < died_after <= 8
        report = attempt.run(pause(report_to="nightly"))
        assert Counter(outcomes(report).values()) == {"paused": 9}
        assert len(changes(hub)) == 9
        assert len(recorded_spaces(variables)) == 9

    def test_a_selected_space_that_was_deleted_meanwhile_does_not_fail(self, hub: HubEmulator) -> None:
        a_fleet(hub, 2)
        hub.faults.add(kind="status", status=404, path="/s001/pause", message="Repository not found")
        report = Try().run(pause())
        assert reasons(report) == {"acme/s001": "it no longer exists"}

    def test_a_named_space_has_to_exist(self, hub: HubEmulator) -> None:
        a_fleet(hub, 1)
        attempt = Try()
        operator = PauseSpacesOperator(task_id="pause", repo_ids=["acme/s000", "ACME/S000", "acme/typo"])
        with pytest.raises(AirflowFailException, match="acme/typo"):
            attempt.run(operator)
        assert list(outcomes(attempt.xcom("pause")).values()) == ["paused", "failed"]

    def test_repo_ids_may_be_the_text_of_a_template(self, hub: HubEmulator) -> None:
        a_fleet(hub, 2)
        report = Try().run(PauseSpacesOperator(task_id="pause", repo_ids="['acme/s000', 'acme/s001']"))
        assert set(outcomes(report).values()) == {"paused"}

    def test_a_pause_whose_answer_is_lost_counts_as_paused(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.settings.pause_twice = 400
        a_fleet(hub, 1)
        lose_next_answer(monkeypatch, "/pause", took_effect=True)
        assert set(outcomes(Try().run(pause())).values()) == {"paused"}

    def test_a_list_that_is_behind_causes_no_failure(self, hub: HubEmulator) -> None:
        hub.settings.change({"pause_twice": 400, "timings": {"list_lag": 10_000}})
        (space,) = a_fleet(hub, 1)
        hub.advance(20_000)
        HfSpacesHook().pause(space.repo_id)
        report = Try().run(pause())
        assert reasons(report) == {"acme/s000": "already paused"}

    def test_spaces_are_read_again_before_a_late_batch_is_paused(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        a_fleet(hub, 12)
        send = requests.Session.send

        def somebody_pauses_one(session: Any, request: Any, **options: Any) -> Any:
            if request.url.endswith("/s000/pause"):
                HfSpacesHook().pause("acme/s011")
            return send(session, request, **options)

        monkeypatch.setattr(requests.Session, "send", somebody_pauses_one)
        late = pause(max_parallel=1)
        late.batch_size, late.fresh_seconds = 4, -1
        report = Try().run(late)
        assert reasons(report) == {"acme/s011": "already paused"}
        assert Counter(outcomes(report).values()) == {"paused": 11, "left alone": 1}
        assert changes(hub).count("acme/s011/pause") == 1

    def test_an_empty_list_of_spaces_succeeds(self, hub: HubEmulator, task_log: TaskLog) -> None:
        report = Try().run(PauseSpacesOperator(task_id="pause", repo_ids=[]))
        assert (report["spaces"], report["hourly_cost_saved"]) == ([], 0)
        assert not hub.requests
        assert "No Space is selected." in task_log.text

    def test_pauses_without_prices(self, hub: HubEmulator) -> None:
        a_fleet(hub, 1)
        hub.faults.add(kind="status", status=404, path="/api/spaces/hardware")
        report = Try().run(pause())
        assert set(outcomes(report).values()) == {"paused"}
        assert (report["prices_as_of"], report["spaces"][0]["hourly_cost"]) == (None, None)

    def test_needs_a_token_before_it_changes_anything(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        a_fleet(hub, 1)
        value = json.dumps({"conn_type": "hf_spaces", "host": hub.url})
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", value)
        with pytest.raises(AirflowFailException, match="without a token"):
            Try().run(pause())
        assert changes(hub) == []

    @pytest.mark.parametrize("options", [{"max_parallel": 0}, {"max_parallel": 65}, {"report_to": "a b"}])
    def test_refuses_invalid_parameters(self, hub: HubEmulator, options: dict[str, Any]) -> None:
        with pytest.raises(AirflowFailException):
            Try().run(pause(**options))
        assert not hub.requests


class TestAnOwner:
    """A misspelt or renamed owner looks like one without Spaces."""

    @pytest.mark.parametrize("operator", [PauseSpacesOperator, ListSpacesOperator, EnforceSleepTimeOperator])
    def test_for_whom_the_hub_lists_nothing_fails(self, hub: HubEmulator, operator: Any) -> None:
        a_fleet(hub, 1)
        with pytest.raises(
            AirflowFailException, match=r"author='acmee': the Hub lists no Spaces.*allow_empty"
        ):
            Try().run(operator(task_id="misspelt", author="acmee"))
        assert changes(hub) == []

    @pytest.mark.parametrize("operator", [PauseSpacesOperator, ListSpacesOperator, EnforceSleepTimeOperator])
    def test_may_be_allowed_to_have_none(self, hub: HubEmulator, operator: Any) -> None:
        result = Try().run(operator(task_id="empty", author="new", allow_empty=True))
        assert (result["spaces"] if isinstance(result, dict) else result) == []

    def test_whose_spaces_are_listed_under_another_name_is_reported(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with StubHub(Say(body=[{"id": "acme-inc/whisper", "runtime": RUNTIME}])) as hub:
            monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub.url, "hf_x"))
            with pytest.raises(AirflowFailException, match=r"under 'acme-inc'\. Set author to that name"):
                Try().run(pause())

    def test_with_spaces_of_which_none_is_selected_succeeds(
        self, hub: HubEmulator, task_log: TaskLog
    ) -> None:
        a_fleet(hub, 1)
        assert Try().run(pause(exclude="*"))["spaces"] == []
        assert "No Space is selected." in task_log.text
        assert "price list" not in task_log.text


class TestAnUnreadableRuntime:
    """One entry of the Hub's list cannot be read, and neither can the Space's own runtime."""

    GOOD: ClassVar[dict[str, Any]] = {
        "stage": "RUNNING",
        "hardware": {"current": "t4-small", "requested": "t4-small"},
    }
    ODD: ClassVar[list[dict[str, Any]]] = [{"stage": None}, {"stage": "RUNNING", "hardware": "t4-small"}]

    @pytest.mark.parametrize("odd", ODD)
    def test_fails_its_space_alone_by_name(
        self, odd: dict[str, Any], monkeypatch: pytest.MonkeyPatch, task_log: TaskLog
    ) -> None:
        entries = [{"id": "acme/good", "runtime": self.GOOD}, {"id": "acme/odd", "runtime": odd}]
        no_lease = Say(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})
        answer = Say(body={**self.GOOD, "stage": "PAUSED"})
        answers = [Say(body=entries), Say(body=odd), Say(body=[]), no_lease, answer]
        attempt = Try()
        with StubHub(*answers) as hub:
            monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub.url, "hf_x"))
            with pytest.raises(
                (AirflowFailException, FleetIncomplete), match=r"1 of 2 Spaces failed.*acme/odd"
            ):
                attempt.run(pause(billed_only=True))
            assert [each.path for each in hub.requests if each.method == "POST"] == [
                "/api/spaces/acme/good/pause"
            ]
        assert outcomes(attempt.xcom("pause")) == {"acme/good": "paused", "acme/odd": "failed"}
        assert "Space acme/odd: " in task_log.text

    def test_leaves_its_space_out_of_a_list_that_depends_on_it(
        self, monkeypatch: pytest.MonkeyPatch, task_log: TaskLog
    ) -> None:
        odd = self.ODD[0]
        entries = [{"id": "acme/good", "runtime": self.GOOD}, {"id": "acme/odd", "runtime": odd}]
        with StubHub(Say(body=entries), Say(body=odd), Say(body=entries)) as hub:
            monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub.url, "hf_x"))
            operator = ListSpacesOperator(task_id="list", author="acme", stages="RUNNING")
            assert Try().run(operator) == ["acme/good"]
            assert "Space acme/odd is left out" in task_log.text
            every_one = ListSpacesOperator(task_id="list", author="acme")
            assert Try().run(every_one) == ["acme/good", "acme/odd"]


class TestALateRun:
    def test_that_was_scheduled_changes_nothing_and_says_so(self, hub: HubEmulator) -> None:
        a_fleet(hub, 1)
        with pytest.raises(
            AirflowSkipException, match=r"this run is 9\.7 h late, and max_lateness allows 60 min"
        ):
            Try().run(pause(max_lateness=timedelta(hours=1)), dag_run=due(9.7))
        listing = ListSpacesOperator(task_id="list", author="acme", max_lateness="3600")
        with pytest.raises(AirflowSkipException):
            Try().run(listing, dag_run=due(9.7, "backfill"))
        assert hub.requests == []

    @pytest.mark.parametrize(
        ("hours", "kind"),
        [(0.5, "scheduled"), (9, "manual"), (9, "asset_triggered"), (9, "dataset_triggered")],
    )
    def test_is_only_one_that_airflow_scheduled_and_started_too_late(
        self, hub: HubEmulator, hours: float, kind: str
    ) -> None:
        a_fleet(hub, 1)
        report = Try().run(pause(max_lateness=3600), dag_run=due(hours, kind))
        assert set(outcomes(report).values()) == {"paused"}

    def test_is_due_at_the_end_of_its_data_interval_on_airflow_2(self, hub: HubEmulator) -> None:
        end = datetime.now(timezone.utc) - timedelta(hours=2)
        old = SimpleNamespace(run_type="scheduled", data_interval_end=end)
        with pytest.raises(AirflowSkipException):
            Try().run(pause(max_lateness=3600), dag_run=old)

    def test_that_began_in_time_is_completed(self, hub: HubEmulator) -> None:
        a_fleet(hub, 2)
        hub.faults.add(kind="status", status=409, path="/s001/pause", message="operation in progress")
        attempt = Try()
        with pytest.raises(FleetIncomplete):
            attempt.run(pause(max_lateness=3600), dag_run=due(0.5))
        hub.faults.clear()
        report = attempt.run(pause(max_lateness=3600), dag_run=due(5))
        assert set(outcomes(report).values()) == {"paused"}

    def test_fails_if_an_earlier_try_has_not_done_the_work(self, hub: HubEmulator) -> None:
        attempt = Try()
        attempt.ti.try_number = 2  # type: ignore[attr-defined]
        with pytest.raises(AirflowFailException, match="Nothing was changed"):
            attempt.run(pause(max_lateness=3600), dag_run=due(5))

    @pytest.mark.parametrize("wrong", ["soon", -1, float("nan"), True])
    def test_needs_a_limit_that_is_a_duration(self, hub: HubEmulator, wrong: Any) -> None:
        with pytest.raises(AirflowFailException, match="max_lateness"):
            Try().run(pause(max_lateness=wrong), dag_run=due(5))
        assert hub.requests == []


class TestTheQuota:
    def test_is_waited_for_without_failures_and_with_few_refusals(self, hub: HubEmulator) -> None:
        spaces = a_fleet(hub, 60)
        hub.set_quota(50, 2)
        report = Try().run(pause(max_parallel=8))
        assert Counter(outcomes(report).values()) == {"paused": 60}
        assert {space.stage for space in spaces} == {"PAUSED"}
        # A window may end between a request and its answer, which explains a few refusals, not one per Space.
        assert len([request for request in hub.requests if request.status == 429]) < 10

    def test_that_others_use_up_only_delays_the_pauses(self, hub: HubEmulator) -> None:
        a_fleet(hub, 6)
        hub.faults.add(kind="status", status=429, path="/pause", times=4, seconds=1)
        report = Try().run(pause())
        assert Counter(outcomes(report).values()) == {"paused": 6}


class TestAKill:
    def test_stops_at_once_and_the_report_knows_what_was_paused(
        self, hub: HubEmulator, variables: AirflowVariables
    ) -> None:
        spaces = a_fleet(hub, 60)
        hub.faults.add(kind="delay", path="/pause", seconds=0.05)
        operator, attempt = pause(max_parallel=2, report_to="nightly"), Try()

        def kill() -> None:
            while len(changes(hub)) < 5:
                time.sleep(0.005)
            operator.on_kill()

        threading.Thread(target=kill, daemon=True).start()
        with pytest.raises(FleetIncomplete, match="was stopped"):
            attempt.run(operator)
        paused_ids = {space.repo_id for space in spaces if space.stage == "PAUSED"}
        assert 5 <= len(paused_ids) < 60
        report = attempt.xcom("pause")
        assert {repo_id for repo_id, outcome in outcomes(report).items() if outcome == "paused"} == paused_ids
        assert paused_ids <= {each["repo_id"] for each in recorded_spaces(variables)}
        change_count = len(changes(hub))
        hub.faults.clear()
        assert Counter(outcomes(attempt.run(pause(report_to="nightly"))).values()) == {"paused": 60}
        assert len(changes(hub)) - change_count == 60 - len(paused_ids)

    def test_ends_a_wait_for_the_quota(self, hub: HubEmulator) -> None:
        a_fleet(hub, 60)
        hub.set_quota(20, 300)
        operator = pause()

        def kill() -> None:
            while len(changes(hub)) < 5:
                time.sleep(0.005)
            os.kill(os.getpid(), signal.SIGUSR1)

        # As Airflow does it: the handler interrupts the thread in which the task runs.
        before = signal.signal(signal.SIGUSR1, lambda *_: operator.on_kill())
        try:
            threading.Thread(target=kill, daemon=True).start()
            with pytest.raises(FleetIncomplete, match="was stopped"):
                Try().run(operator)
        finally:
            signal.signal(signal.SIGUSR1, before)


class TestRestart:
    def test_restarts_exactly_what_the_pause_paused(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.settings.change({"timings": {"lag": 0}})
        night = a_fleet(hub, 6)
        before = hub.add_space("acme/paused-before", hardware="t4-small", stage="PAUSED")
        report = Try().run(pause())
        hook = HfSpacesHook()
        hook.restart("acme/s001")
        delete(hub, "acme/s002")
        hook.request_hardware("acme/s003", "l4x1")
        hub.rename_space("acme/s004", "acme/renamed")
        change_count = len(changes(hub))
        hours_ago(report, 11)
        morning = Try().run(restart(report=report))
        assert outcomes(morning) == {
            "acme/s000": "restarted",
            "acme/s001": "left alone",
            "acme/s002": "left alone",
            "acme/s003": "left alone",
            "acme/s004": "restarted",
            "acme/s005": "restarted",
        }
        assert reasons(morning)["acme/s002"] == "it no longer exists"
        assert reasons(morning)["acme/s003"] == "it is set to l4x1 now and was on t4-small when it was paused"
        posts = [path for path in changes(hub)[change_count:] if path.endswith("/restart")]
        assert len([path for path in posts if "renamed" not in path]) == 3
        assert (before.stage, night[3].stage) == ("PAUSED", "PAUSED")
        first = morning["spaces"][0]
        assert first["paused_seconds"] == pytest.approx(11 * 3600, abs=120)
        assert first["saved"] == saved_by_pause(0.4, first["paused_seconds"])
        assert morning["saved"] == pytest.approx(3 * first["saved"], abs=0.05)

    def test_does_nothing_the_second_time(self, hub: HubEmulator) -> None:
        a_fleet(hub, 5)
        report = Try().run(pause())
        Try().run(restart(report=report))
        change_count = len(changes(hub))
        again = Try().run(restart(report=json.dumps(report)))
        assert set(outcomes(again).values()) == {"left alone"}
        assert len(changes(hub)) == change_count == 10

    def test_a_dry_run_sends_nothing(self, hub: HubEmulator) -> None:
        (space,) = a_fleet(hub, 1)
        report = Try().run(pause())
        would = Try().run(restart(report=str(report), dry_run=True))
        assert outcomes(would) == {"acme/s000": "would be restarted"}
        assert space.stage == "PAUSED"

    def test_a_restart_whose_answer_is_lost_is_not_sent_twice(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.settings.change({"timings": {"lag": 0}})
        a_fleet(hub, 1)
        report = Try().run(pause())
        lose_next_answer(monkeypatch, "/restart", took_effect=True)
        assert outcomes(Try().run(restart(report=report))) == {"acme/s000": "restarted"}
        assert [path for path in changes(hub) if path.endswith("/restart")] == ["acme/s000/restart"]

    def test_a_restart_of_a_sleeping_space_that_is_lost_is_sent_again(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (space,) = a_fleet(hub, 1, stage="SLEEPING")
        lose_next_answer(monkeypatch, "/restart", took_effect=False)
        report = Try().run(restart(author="acme", stages=["SLEEPING"]))
        assert outcomes(report) == {"acme/s000": "restarted"}
        assert space.stage != "SLEEPING"

    def test_a_retry_does_not_count_a_space_that_still_sleeps_as_restarted(self, hub: HubEmulator) -> None:
        (space,) = a_fleet(hub, 1, stage="SLEEPING")
        hub.faults.add(kind="status", status=409, path="/restart", message="operation in progress")
        attempt = Try()
        with pytest.raises(FleetIncomplete):
            attempt.run(restart(author="acme", stages=["SLEEPING"]))
        hub.faults.clear()
        report = attempt.run(restart(author="acme", stages=["SLEEPING"]))
        assert outcomes(report) == {"acme/s000": "restarted"}
        assert space.stage != "SLEEPING"

    def test_the_report_of_a_retry_contains_what_an_earlier_try_restarted(self, hub: HubEmulator) -> None:
        a_fleet(hub, 5)
        report = Try().run(pause())
        hub.faults.add(kind="status", status=409, path="/s001/restart", message="operation in progress")
        attempt = Try()
        with pytest.raises(FleetIncomplete):
            attempt.run(restart(report=report))
        hub.faults.clear()
        assert set(outcomes(attempt.run(restart(report=report))).values()) == {"restarted"}
        assert len([path for path in changes(hub) if path.endswith("/restart")]) == 6

    def test_without_a_report_restarts_the_paused_spaces_only(self, hub: HubEmulator) -> None:
        hub.add_space("acme/paused", hardware="t4-small", stage="PAUSED")
        hub.add_space("acme/asleep", hardware="t4-small", stage="SLEEPING")
        hub.add_space("acme/broken", stage="BUILD_ERROR")
        hub.add_space("acme/running")
        report = Try().run(restart(author="acme"))
        assert {key for key, value in outcomes(report).items() if value == "restarted"} == {"acme/paused"}
        report = Try().run(restart(author="acme", stages=["SLEEPING", "BUILD_ERROR"]))
        assert outcomes(report) == {"acme/asleep": "restarted", "acme/broken": "restarted"}

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"report": {"action": "restart", "spaces": []}},
            {"report": "None"},
            {"report": {}, "author": "acme"},
        ],
    )
    def test_refuses_ambiguous_parameters(self, hub: HubEmulator, options: dict[str, Any]) -> None:
        with pytest.raises(AirflowFailException):
            Try().run(restart(**options))
        assert not hub.requests


class TestFromTheEveningToTheMorning:
    def test_the_record_tells_what_to_restart(self, hub: HubEmulator, variables: AirflowVariables) -> None:
        spaces = a_fleet(hub, 5)
        Try().run(pause(report_to="nightly"))
        assert len(recorded_spaces(variables)) == 5
        morning = Try().run(restart(report_from="nightly"))
        assert set(outcomes(morning).values()) == {"restarted"}
        assert not recorded_spaces(variables)
        assert outcomes(Try().run(restart(report_from="nightly"))) == {}
        hub.advance(600)
        assert {space.stage for space in spaces} == {"RUNNING"}

    def test_the_record_keeps_spaces_of_earlier_nights(
        self, hub: HubEmulator, variables: AirflowVariables
    ) -> None:
        a_fleet(hub, 2)
        Try().run(pause(report_to="nightly"))
        first = {each["repo_id"]: each["at"] for each in recorded_spaces(variables)}
        hub.add_space("acme/new", hardware="t4-small")
        report = Try().run(pause(report_to="nightly"))
        assert outcomes(report) == {
            "acme/new": "paused",
            "acme/s000": "left alone",
            "acme/s001": "left alone",
        }
        assert {each["repo_id"] for each in recorded_spaces(variables)} == {*first, "acme/new"}

    def test_a_space_that_fails_to_restart_stays_recorded(
        self, hub: HubEmulator, variables: AirflowVariables
    ) -> None:
        a_fleet(hub, 3)
        Try().run(pause(report_to="nightly"))
        hub.faults.add(kind="status", status=402, path="/s001/restart", message="No credits are left.")
        with pytest.raises(AirflowFailException, match="No credits are left"):
            Try().run(restart(report_from="nightly"))
        assert [each["repo_id"] for each in recorded_spaces(variables)] == ["acme/s001"]
        hub.faults.clear()
        assert outcomes(Try().run(restart(report_from="nightly"))) == {"acme/s001": "restarted"}
        assert not recorded_spaces(variables)

    def test_a_retry_completes_a_restart_that_was_killed(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, variables: AirflowVariables
    ) -> None:
        a_fleet(hub, 9)
        Try().run(pause(report_to="nightly"))
        monkeypatch.setattr(FleetOperator, "batch_size", 4)
        attempt = Try()
        with dying_before_batch(1, attempt, variables):
            attempt.run(restart(report_from="nightly"))
        assert len(recorded_spaces(variables)) == 9
        morning = attempt.run(restart(report_from="nightly"))
        assert Counter(outcomes(morning).values()) == {"restarted": 9}
        assert len([path for path in changes(hub) if path.endswith("/restart")]) == 9
        assert not recorded_spaces(variables)

    def test_a_space_that_was_not_paused_is_not_recorded(
        self, hub: HubEmulator, variables: AirflowVariables
    ) -> None:
        a_fleet(hub, 2)
        hub.faults.add(kind="status", status=403, path="/s001/pause")
        with pytest.raises(AirflowFailException):
            Try().run(pause(report_to="nightly"))
        assert [each["repo_id"] for each in recorded_spaces(variables)] == ["acme/s000"]

    def test_a_variable_with_other_content_is_refused(
        self, hub: HubEmulator, variables: AirflowVariables
    ) -> None:
        a_fleet(hub, 1)
        variables["hf_spaces_fleet-nightly"] = '"mine"'
        with pytest.raises(AirflowFailException, match="holds no record"):
            Try().run(pause(report_to="nightly"))
        assert variables == {"hf_spaces_fleet-nightly": '"mine"'}
        assert not hub.requests


class TestTheSleepTime:
    def test_limits_every_space_on_paid_hardware(self, hub: HubEmulator, task_log: TaskLog) -> None:
        never = hub.add_space("acme/never", hardware="t4-small")
        late = hub.add_space("acme/late", hardware="t4-small", sleep_time=7200)
        soon = hub.add_space("acme/soon", hardware="t4-small", sleep_time=600)
        paused_space = hub.add_space("acme/paused", hardware="l4x1", stage="PAUSED")
        free = hub.add_space("acme/free")
        hub.add_space("acme/site", sdk="static")
        report = Try().run(enforce(max_sleep_time="3600"))
        assert {key for key, value in outcomes(report).items() if value == "set"} == {
            "acme/never",
            "acme/late",
            "acme/paused",
        }
        assert [never.sleep_time, late.sleep_time, paused_space.sleep_time] == [3600] * 3
        assert (soon.sleep_time, free.sleep_time) == (600, 172800)
        assert (report["max_sleep_time"], report["hourly_cost_limited"]) == (3600, pytest.approx(1.6))
        assert "3 of 6 Spaces got a sleep time of 3,600 seconds" in task_log.text
        change_count = len(changes(hub))
        assert "set" not in outcomes(Try().run(enforce())).values()
        assert len(changes(hub)) == change_count == 3

    def test_a_dry_run_sends_nothing(self, hub: HubEmulator) -> None:
        a_fleet(hub, 1)
        assert outcomes(Try().run(enforce(dry_run=True))) == {"acme/s000": "would be set"}
        assert changes(hub) == []

    @pytest.mark.parametrize("seconds", [0, -1, "soon", None])
    def test_refuses_an_invalid_sleep_time(self, hub: HubEmulator, seconds: Any) -> None:
        with pytest.raises(AirflowFailException, match="max_sleep_time"):
            Try().run(enforce(max_sleep_time=seconds))
        assert not hub.requests


class TestALeasedSpace:
    """A run has the Space to itself, and restores it when its work is done."""

    @pytest.fixture
    def take_lease(self, hub: HubEmulator) -> Callable[[str], SpaceLease]:
        """Take the lease of a Space, as a run of another Airflow does."""

        def take(repo_id: str) -> SpaceLease:
            lease = SpaceLease(LeaseStore(repo_id), "ab" * 16)
            execute(lease.take(lambda holder: Standing.UNKNOWN), HfSpacesHook().client.send)
            return lease

        return take

    def test_is_neither_paused_nor_recorded(
        self, hub: HubEmulator, variables: AirflowVariables, take_lease: Callable[[str], SpaceLease]
    ) -> None:
        first, second = a_fleet(hub, 2)
        take_lease("acme/s000")
        for dry_run in (True, False):
            report = Try().run(pause(report_to="nightly", dry_run=dry_run))
            assert report["spaces"][0]["reason"].startswith("leased by another Airflow or script")
        assert (first.stage, second.stage) == ("RUNNING", "PAUSED")
        assert [each["repo_id"] for each in recorded_spaces(variables)] == ["acme/s001"]
        assert (report["failed"], report["hourly_cost_saved"]) == (0, 0.4)

    def test_keeps_its_sleep_time(self, hub: HubEmulator, take_lease: Callable[[str], SpaceLease]) -> None:
        first, second = a_fleet(hub, 2)
        take_lease("acme/s000")
        Try().run(enforce(max_sleep_time=600))
        assert (first.sleep_time, second.sleep_time) == (None, 600)

    @pytest.mark.parametrize("running", [True, False])
    def test_stays_recorded_until_its_lease_has_ended(
        self,
        hub: HubEmulator,
        variables: AirflowVariables,
        take_lease: Callable[[str], SpaceLease],
        running: bool,
    ) -> None:
        a_fleet(hub, 2)
        Try().run(pause(report_to="nightly"))
        lease = take_lease("acme/s000")
        if running:
            HfSpacesHook().restart("acme/s000")
        change_count = len(changes(hub))
        morning = Try().run(restart(report_from="nightly"))
        assert outcomes(morning) == {"acme/s000": "left alone", "acme/s001": "restarted"}
        assert changes(hub)[change_count:] == ["acme/s001/restart"]
        assert [each["repo_id"] for each in recorded_spaces(variables)] == ["acme/s000"]
        if running:
            HfSpacesHook().pause("acme/s000")  # the state in which the lease began
        execute(lease.give_back(), HfSpacesHook().client.send)
        assert outcomes(Try().run(restart(report_from="nightly"))) == {"acme/s000": "restarted"}
        assert recorded_spaces(variables) == []

    def test_is_changed_all_the_same_if_leases_are_not_respected(
        self, hub: HubEmulator, take_lease: Callable[[str], SpaceLease]
    ) -> None:
        (space,) = a_fleet(hub, 1)
        take_lease("acme/s000")
        Try().run(pause(respect_leases=False))
        assert space.stage == "PAUSED"

    def test_whose_lease_was_given_back_is_changed(
        self, hub: HubEmulator, take_lease: Callable[[str], SpaceLease]
    ) -> None:
        (space,) = a_fleet(hub, 1)
        execute(take_lease("acme/s000").give_back(), HfSpacesHook().client.send)
        Try().run(pause())
        assert space.stage == "PAUSED"


def due(hours_ago: float, run_type: str = "scheduled") -> Any:
    """A DAG run that was due some hours ago, as Airflow 3 describes it to a task."""
    return SimpleNamespace(
        run_type=run_type, run_after=datetime.now(timezone.utc) - timedelta(hours=hours_ago)
    )


class Died(BaseException):
    """Ends a try without any cleanup, as SIGKILL does."""


class DyingStore(FakeStore):
    """Airflow's store, which a worker reaches until it dies.

    :param survivor: the store with the values of all tries.
    :param writes: how many more values the worker writes. It dies when it writes the next one, and cannot
        read or write Variables either from then on.
    """

    def __init__(self, survivor: FakeStore, writes: int, variables: AirflowVariables) -> None:
        self.values = survivor.values
        self._writes = writes
        self._variables = variables

    def set(self, key: str, value: Any) -> None:
        if not self._writes:
            self._variables.error = Died()
            raise Died
        self._writes -= 1
        super().set(key, value)


@contextmanager
def dying_before_batch(number: int, attempt: Try, variables: AirflowVariables) -> Iterator[None]:
    """Let the worker of a try die when it is about to record one more batch than this."""
    survivor = attempt.store
    attempt.store = DyingStore(survivor, number, variables)
    with pytest.raises(Died):
        yield
    attempt.store, variables.error = survivor, None


def recorded_spaces(variables: AirflowVariables) -> list[dict[str, Any]]:
    """The record of the nightly pause."""
    spaces: list[dict[str, Any]] = json.loads(variables["hf_spaces_fleet-nightly"])["spaces"]
    return spaces


def hours_ago(report: dict[str, Any], hours: float) -> None:
    """Move a report into the past."""
    for each in report["spaces"]:
        each["at"] = (datetime.fromisoformat(each["at"]) - timedelta(hours=hours)).isoformat()


def delete(hub: HubEmulator, repo_id: str) -> None:
    with hub.world.lock:
        hub.world.delete_space(repo_id)
