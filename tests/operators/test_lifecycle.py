"""Reading a Space's state, pausing it, restarting it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub.errors import HubUnavailable, SpaceWaitFailed, SpaceWaitTimeout
from airflow_provider_hfspaces.operators.lifecycle import (
    GetSpaceRuntimeOperator,
    PauseSpaceOperator,
    RestartSpaceOperator,
)
from tests.airflow_tools import Try, connection
from tests.conftest import TaskLog
from tests.operators.test_hardware import changes, lose_next_answer

SPACE = "acme/whisper"


def pause(**options: Any) -> PauseSpaceOperator:
    return PauseSpaceOperator(**{"task_id": "pause", "repo_id": SPACE, **options})


def restart(**options: Any) -> RestartSpaceOperator:
    return RestartSpaceOperator(**{"task_id": "restart", "repo_id": SPACE, "poll_interval": 0.02, **options})


def test_the_runtime_is_plain_json(hub: HubEmulator) -> None:
    hub.add_space(SPACE, hardware="t4-small", sleep_time=600)
    runtime = Try().run(GetSpaceRuntimeOperator(task_id="look", repo_id=SPACE))
    assert (runtime["stage"], runtime["hardware"], runtime["sleep_time"]) == ("RUNNING", "t4-small", 600)


class TestPause:
    def test_a_pause_ends_the_bill(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        assert Try().run(pause())["stage"] == "PAUSED"
        assert space.stage == "PAUSED"
        assert not hub.bill().running

    def test_a_paused_space_is_left_alone(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE, stage="PAUSED")
        assert Try().run(pause())["stage"] == "PAUSED"
        assert changes(hub) == []

    def test_a_try_that_is_rejected_because_the_first_took_effect_succeeds(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.settings.pause_twice = 400
        space = hub.add_space(SPACE)
        lose_next_answer(monkeypatch, "/pause", took_effect=True)
        assert Try().run(pause())["stage"] == "PAUSED"
        assert len(changes(hub)) == 2
        assert space.stage == "PAUSED"

    def test_a_static_space_is_refused(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE, sdk="static")
        with pytest.raises(AirflowFailException, match="is static"):
            Try().run(pause())
        assert changes(hub) == []


class TestRestart:
    def test_a_restart_waits_until_the_space_has_really_restarted(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE)
        assert Try().run(restart())["stage"] == "RUNNING"
        assert [moment.stage for moment in space.history] == [
            "RUNNING",
            "RUNNING_BUILDING",
            "RUNNING_APP_STARTING",
            "RUNNING",
        ]

    @pytest.mark.parametrize("stage", ["PAUSED", "SLEEPING", "BUILD_ERROR"])
    def test_a_restart_starts_a_space_that_does_not_run(self, hub: HubEmulator, stage: str) -> None:
        space = hub.add_space(SPACE, stage=stage)
        Try().run(restart())
        assert space.stage == "RUNNING"

    def test_a_factory_reboot_builds_from_scratch(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        Try().run(restart(factory_reboot=True, wait=False))
        (request,) = [request for request in hub.requests if request.method == "POST"]
        assert (request.query, request.json) == ("factory=true", None)

    @pytest.mark.parametrize("serves", [True, False])
    def test_a_restart_is_noticed_whether_or_not_the_old_version_serves_meanwhile(
        self, hub: HubEmulator, serves: bool
    ) -> None:
        hub.settings.restart_serves = serves
        space = hub.add_space(SPACE, hardware="t4-small")
        assert Try().run(restart())["hardware"] == "t4-small"
        assert len(space.history) == 4

    def test_a_crash_is_logged_with_the_end_of_the_apps_log(
        self, hub: HubEmulator, task_log: TaskLog
    ) -> None:
        hub.add_space(SPACE).fail_next_start("Exit code: 1", ["ModuleNotFoundError: torch"])
        with pytest.raises(SpaceWaitFailed, match="Exit code: 1"):
            Try().run(restart())
        assert "ModuleNotFoundError: torch" in task_log.text

    def test_a_log_that_cannot_be_read_delays_the_error_by_one_request(
        self, hub: HubEmulator, task_log: TaskLog
    ) -> None:
        hub.faults.add(kind="status", status=503, path="/logs/")
        hub.add_space(SPACE).fail_next_build("exit code: 1")
        with pytest.raises(SpaceWaitFailed, match="exit code: 1"):
            Try().run(restart())
        assert sum("/logs/" in request.path for request in hub.requests) == 1
        assert "The build log of Space acme/whisper could not be read" in task_log.text

    def test_the_log_of_a_space_shows_no_token_and_moves_no_cursor(
        self, hub: HubEmulator, task_log: TaskLog
    ) -> None:
        hub.add_space(SPACE).fail_next_build(
            "exit code: 1", ["  token=hf_Ab3dEfGhIjKlMnOp \x1b[2K all is well"]
        )
        with pytest.raises(SpaceWaitFailed):
            Try().run(restart())
        text = task_log.text
        assert "      token=hf_***" in text
        assert "\x1b" not in text
        assert "hf_Ab3dEfGhIjKlMnOp" not in text

    @pytest.mark.parametrize("build", [120, 0])
    def test_after_a_lost_answer_the_spaces_state_decides(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, build: int
    ) -> None:
        hub.settings.change({"timings": {"lag": 0, "build": build, "start": build}})
        hub.add_space(SPACE, stage="PAUSED")
        lose_next_answer(monkeypatch, "/restart", took_effect=True)
        assert Try().run(restart())["stage"] == "RUNNING"
        assert len(changes(hub)) == 1

    def test_a_restart_that_does_not_show_is_requested_again(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        space = hub.add_space(SPACE, stage="PAUSED")
        lose_next_answer(monkeypatch, "/restart", took_effect=False)
        Try().run(restart())
        assert space.stage == "RUNNING"
        assert len(changes(hub)) == 1

    def test_a_restart_that_is_lost_twice_fails_the_task_so_that_its_retry_restarts(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        space = hub.add_space(SPACE, stage="PAUSED")
        lose_next_answer(monkeypatch, "/restart", took_effect=False, times=2)
        run = Try()
        with pytest.raises(HubUnavailable, match="not known whether the request took effect"):
            run.run(restart())
        run.run(restart())
        assert space.stage == "RUNNING"

    def test_a_retry_attaches_to_the_start_under_way(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE, stage="PAUSED")
        run = Try()
        with pytest.raises(SpaceWaitTimeout):
            run.run(restart(timeout=0.01))
        run.run(restart())
        assert space.stage == "RUNNING"
        assert changes(hub) == [("restart", None)]
        assert run.store.values == {}

    def test_a_retry_finds_the_restart_done(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE, stage="PAUSED")
        run = Try()
        with pytest.raises(SpaceWaitTimeout):
            run.run(restart(timeout=0.01))
        hub.advance(3600)
        run.run(restart())
        assert space.stage == "RUNNING"
        assert changes(hub) == [("restart", None)]

    def test_a_retry_after_a_failed_build_restarts_anew(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE)
        space.fail_next_build("exit code: 1")
        run = Try()
        with pytest.raises(SpaceWaitFailed):
            run.run(restart())
        run.run(restart())
        assert space.stage == "RUNNING"
        assert len(changes(hub)) == 2

    def test_a_task_cleared_after_success_restarts_again(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        run = Try()
        run.run(restart())
        run.run(restart())
        assert len(changes(hub)) == 2

    @pytest.mark.parametrize(("stage", "restarts"), [("RUNNING", 0), ("PAUSED", 1), ("RUNTIME_ERROR", 1)])
    def test_only_if_stopped_leaves_a_running_space_alone(
        self, hub: HubEmulator, stage: str, restarts: int
    ) -> None:
        space = hub.add_space(SPACE, stage=stage)
        Try().run(restart(only_if_stopped=True))
        assert space.stage == "RUNNING"
        assert len(changes(hub)) == restarts

    def test_a_short_wait_on_a_healthy_space_succeeds(self, hub: HubEmulator) -> None:
        hub.settings.change({"timings": {"build": 0.001, "start": 0.001, "lag": 0}})
        hub.add_space(SPACE)
        assert Try().run(restart(timeout=4, poll_interval=0.5))["stage"] == "RUNNING"

    def test_a_static_space_is_refused(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE, sdk="static")
        with pytest.raises(AirflowFailException, match="is static"):
            Try().run(restart())


class TestCommit:
    def test_a_restart_waits_until_the_commit_runs(self, hub: HubEmulator) -> None:
        sha = hub.add_space(SPACE).runtime().sha
        assert sha is not None
        assert Try().run(restart(sha=sha[:7]))["sha"] == sha

    def test_a_commit_that_the_hub_does_not_report_ends_in_a_timeout(self, hub: HubEmulator) -> None:
        sha = hub.add_space(SPACE).runtime().sha
        hub.settings.change({"runtime_has_sha": False, "timings": {"build": 0, "start": 0}})
        with pytest.raises(SpaceWaitTimeout, match="RUNNING, at a commit that the Hub does not report"):
            Try().run(restart(sha=sha, timeout=0.5))

    @pytest.mark.parametrize(
        ("options", "message"),
        [({"sha": "main"}, "'main' is not a commit"), ({"sha": "a" * 40, "wait": False}, "set wait=True")],
    )
    def test_a_commit_that_is_not_valid_fails_the_task_before_any_request(
        self, hub: HubEmulator, options: dict[str, Any], message: str
    ) -> None:
        hub.add_space(SPACE)
        with pytest.raises(AirflowFailException, match=message):
            Try().run(restart(**options))
        assert hub.requests == []


def test_the_log_shows_one_traceback(hub: HubEmulator) -> None:
    with pytest.raises(AirflowFailException) as excinfo:
        Try().run(pause())
    assert excinfo.value.__cause__ is None
    assert excinfo.value.__suppress_context__


class TestPermanentErrors:
    """They fail the task at once, with a sentence that says what to do."""

    @pytest.mark.parametrize(
        ("token", "message"),
        [
            ("hf_wrongwrongwrong", "wrong, expired or revoked"),
            ("read", "the token may not send"),
            ("stranger", "the token may not send"),
            ("oauth", "OAuth login"),
        ],
    )
    def test_a_token_without_the_right_fails_the_task(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, token: str, message: str
    ) -> None:
        tokens = {
            "read": lambda: hub.add_token("alice", "read"),
            "stranger": lambda: hub.add_token("mallory"),
            "oauth": lambda: hub.add_token("alice", kind="oauth"),
        }
        space = hub.add_space(SPACE)
        value = tokens[token]() if token in tokens else token
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub.url, value))
        with pytest.raises(AirflowFailException, match=message) as excinfo:
            Try().run(restart())
        assert value not in str(excinfo.value)
        assert len(space.history) == 1

    def test_a_missing_token_fails_the_task_before_any_request(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.add_space(SPACE)
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub.url, ""))
        with pytest.raises(AirflowFailException, match="cannot be changed without a token, and connection"):
            Try().run(restart())
        assert hub.requests == []
        look = GetSpaceRuntimeOperator(task_id="look", repo_id=SPACE)
        assert Try().run(look)["stage"] == "RUNNING"

    def test_a_missing_space_fails_the_task(self, hub: HubEmulator) -> None:
        with pytest.raises(AirflowFailException, match="does not exist, or the token may not see it"):
            Try().run(pause())

    def test_a_renamed_space_is_found(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE)
        hub.rename_space(SPACE, "acme/speech")
        Try().run(pause())
        assert space.stage == "PAUSED"

    def test_an_endpoint_that_is_not_a_hub_fails_the_task(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from tests.stub import Say, StubHub

        html = Say(200, "<!DOCTYPE html><title>Sign in</title>", {"Content-Type": "text/html"})
        with StubHub(otherwise=html) as stub:
            monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(stub.url, "hf_abcdefgh"))
            with pytest.raises(Exception, match="does not look like a Hub"):
                Try().run(pause())
            assert {request.method for request in stub.requests} == {"GET"}

    def test_plain_http_to_another_host_fails_the_task(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(
            "AIRFLOW_CONN_HF_SPACES_DEFAULT", connection("http://hub.acme.test", "hf_abcdefgh")
        )
        with pytest.raises(AirflowFailException, match=r"unencrypted to hub\.acme\.test"):
            Try().run(pause())
