"""Faults, and how our own client copes with them."""

from __future__ import annotations

import contextlib
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.emulator.faults.kinds import KINDS
from airflow_provider_hfspaces.emulator.faults.rules import Fault, Faults
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.errors import HubError, HubProtocolError, HubUnavailable
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from tests.emulator.conftest import Ask

SPACE = "acme/whisper"
RUNTIME = f"/api/spaces/{SPACE}/runtime"
PAUSE = f"/api/spaces/{SPACE}/pause"


@pytest.fixture
def client(hub: HubEmulator) -> HubClient:
    hub.add_space(SPACE)
    quick = RetryPolicy(total=4, total_rate_limited=10, first_wait=0.01, longest_wait=0.02)
    return HubClient(hub.token, hub.url, timeout=(2, 0.8), retry=quick)


class TestEachKind:
    def test_a_status_comes_with_and_without_retry_after(self, hub: HubEmulator, ask: Ask) -> None:
        hub.add_space(SPACE)
        hub.faults.add(kind="status", status=503, seconds=7, times=1)
        hub.faults.add(kind="status", status=500, times=1)
        first, second, third = ask("GET", RUNTIME), ask("GET", RUNTIME), ask("GET", RUNTIME)
        assert (first.status_code, first.headers["Retry-After"]) == (503, "7")
        assert (second.status_code, second.headers.get("Retry-After")) == (500, None)
        assert third.status_code == 200
        assert "RateLimit" in first.headers

    @pytest.mark.parametrize("after", [True, False])
    def test_a_reset_comes_before_or_after_the_hub_acts(
        self, hub: HubEmulator, ask: Ask, after: bool
    ) -> None:
        space = hub.add_space(SPACE)
        hub.faults.add(kind="reset", after=after, method="POST")
        with pytest.raises(requests.ConnectionError, match="reset"):
            ask("POST", PAUSE)
        assert (space.stage == "PAUSED") is after
        (record,) = hub.requests
        assert (record.fault, record.status, record.took_effect) == ("reset", 0, after)

    def test_an_answer_can_be_missing(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE)
        hub.faults.add(kind="silence", after=True)
        with pytest.raises(requests.ReadTimeout):
            requests.post(f"{hub.url}{PAUSE}", headers={"Authorization": f"Bearer {hub.token}"}, timeout=0.2)
        assert space.stage == "PAUSED"

    def test_an_answer_can_be_late_or_come_byte_by_byte(self, hub: HubEmulator, ask: Ask) -> None:
        hub.add_space(SPACE)
        whole = ask("GET", RUNTIME).json()
        for fault in (Fault("delay", seconds=0.2, times=1), Fault("drip", seconds=0.2, times=1)):
            hub.faults.clear()
            hub.faults.add(fault)
            began = time.monotonic()
            assert ask("GET", RUNTIME).json() == whole
            assert time.monotonic() - began >= 0.2

    def test_an_answer_can_end_in_the_middle(self, hub: HubEmulator, ask: Ask) -> None:
        hub.add_space(SPACE)
        hub.faults.add(kind="truncate")
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            ask("GET", RUNTIME)

    def test_an_answer_can_be_a_proxys_page_or_have_a_wrong_content_type(
        self, hub: HubEmulator, ask: Ask
    ) -> None:
        hub.add_space(SPACE)
        hub.faults.add(kind="html", status=502, times=1)
        hub.faults.add(kind="html", times=1)
        hub.faults.add(kind="content_type", times=1)
        bad, sly, odd = ask("GET", RUNTIME), ask("GET", RUNTIME), ask("GET", RUNTIME)
        assert (bad.status_code, sly.status_code) == (502, 200)
        assert sly.text.startswith("<!DOCTYPE html>")
        assert odd.headers["Content-Type"].startswith("text/plain")
        assert odd.json()["stage"] == "RUNNING"

    def test_the_date_of_an_answer_can_be_wrong(self, hub: HubEmulator, ask: Ask) -> None:
        hub.add_space(SPACE)
        hub.faults.add(kind="clock_skew", seconds=-3600)
        date = parsedate_to_datetime(ask("GET", RUNTIME).headers["Date"]).timestamp()
        assert hub.now() - date == pytest.approx(3600, abs=2)

    def test_lists_can_be_behind(self, hub: HubEmulator, ask: Ask) -> None:
        hub.settings.change({"timings": {"list_lag": 30}})
        hub.add_space(SPACE)
        hub.advance(60)
        ask("POST", PAUSE)
        list_path = "/api/spaces?author=acme&expand=runtime"
        assert ask("GET", RUNTIME).json()["stage"] == "PAUSED"
        assert ask("GET", list_path).json()[0]["runtime"]["stage"] == "RUNNING"
        hub.advance(31)
        assert ask("GET", list_path).json()[0]["runtime"]["stage"] == "PAUSED"

    def test_pages_and_files_have_their_own_quotas(self, hub: HubEmulator, ask: Ask) -> None:
        hub.add_space(SPACE)
        page = ask("GET", f"/spaces/{SPACE}")
        file = ask("GET", f"/spaces/{SPACE}/resolve/main/README.md")
        assert page.headers["RateLimit-Policy"] == '"fixed window";"pages";q=400;w=300'
        assert file.headers["RateLimit-Policy"] == '"fixed window";"resolvers";q=20000;w=300'
        assert '"api"' in ask("GET", RUNTIME).headers["RateLimit"]
        assert ask("GET", f"/spaces/{SPACE}", token=None).headers["RateLimit"].startswith('"pages";r=99')


class TestBySeed:
    def struck(self, seed: int, requests: list[tuple[str, str]]) -> list[str | None]:
        faults = Faults(seed)
        faults.add(kind="status", share=0.3)
        faults.add(kind="reset", share=0.1)
        struck = [faults.strike(*request) for request in requests]
        return [fault.kind if fault else None for fault in struck]

    def test_a_seed_strikes_the_same_requests_in_any_order(self) -> None:
        calls = [("GET", f"/api/spaces/acme/s{number}/runtime") for number in range(200)]
        forwards = dict(zip(calls, self.struck(7, calls), strict=True))
        backwards = dict(zip(calls[::-1], self.struck(7, calls[::-1]), strict=True))
        assert forwards == backwards
        assert forwards != dict(zip(calls, self.struck(8, calls), strict=True))
        assert 30 < sum(kind == "status" for kind in forwards.values()) < 90

    def test_times_and_path_limit_a_fault(self, hub: HubEmulator, ask: Ask) -> None:
        hub.add_space(SPACE)
        hub.faults.add(kind="status", method="POST", path="/pause$", times=1)
        assert ask("GET", RUNTIME).status_code == 200
        assert [ask("POST", PAUSE).status_code for _ in range(2)] == [503, 200]

    def test_one_call_starts_a_bad_day(self, hub: HubEmulator, ask: Ask) -> None:
        hub.bad_day(seed=3, quota=100_000)
        for number in range(1000):
            hub.add_space(f"acme/s{number}")
        for number in range(1000):
            with contextlib.suppress(requests.ConnectionError):
                ask("GET", f"/api/spaces/acme/s{number}/runtime")
        lost_count = sum(record.status == 0 for record in hub.requests)
        failure_count = sum(record.status >= 500 for record in hub.requests)
        assert 15 <= lost_count <= 50
        assert 70 <= failure_count <= 135
        assert ask("GET", "/_emulator/faults").json()["seed"] == 3

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("kind=reset,after=true,times=1", Fault("reset", after=True, times=1)),
            ("reset", Fault("reset")),
            (
                "status=502,share=0.5,path=/hardware,kind=status",
                Fault("status", 0.5, None, None, "/hardware", 502),
            ),
            ("drip,seconds=2,method=GET", Fault("drip", seconds=2.0, method="GET")),
        ],
    )
    def test_a_fault_can_be_written_as_text(self, text: str, fault: Fault) -> None:
        assert Fault.parse(text) == fault

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("kind=earthquake", "kind of a fault must be one of"),
            ("kind=status,colour=red", "'colour' is not an option"),
            ("share=0.5", "kind is missing"),
            ("kind=reset,share=2", "0 to 1"),
            ("kind=reset,share=much", "must be a number"),
            ("kind=delay", "seconds is required"),
            ("kind=drip,seconds=1,after=true", "acts in any case"),
            ("kind=status,path=(", "regular expression"),
            ("kind=status,status=42", "from 100 to 599"),
            ("kind=reset,after=perhaps", "true or false"),
        ],
    )
    def test_an_invalid_fault_is_refused(self, text: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Fault.parse(text)

    def test_the_control_api_adds_lists_and_removes_faults(self, hub: HubEmulator, ask: Ask) -> None:
        hub.add_space(SPACE)
        fault = ask("POST", "/_emulator/faults", {"kind": "status", "status": 500, "seed": 4}).json()
        assert (fault["seed"], fault["faults"][0]["status"]) == (4, 500)
        assert ask("GET", RUNTIME).status_code == 500
        assert ask("GET", "/_emulator/faults").json()["faults"][0]["struck"] == 1
        assert ask("DELETE", "/_emulator/faults").json()["faults"] == []
        assert ask("POST", "/_emulator/faults", {"kind": "earthquake"}).status_code == 400
        assert ask("POST", "/_emulator/quota", {"quota": 1, "window": 60}).json()["window"] == 60
        assert ask("POST", "/_emulator/bad-day", {"seed": 1}).json()["faults"]


class TestOurClient:
    """What callers of our client see of each kind of fault."""

    RECOVERS = [
        {"kind": "status", "status": 503, "times": 2},
        {"kind": "status", "status": 502, "times": 2},
        {"kind": "status", "status": 504, "seconds": 1, "times": 1},
        {"kind": "status", "status": 429, "seconds": 1, "times": 1},
        {"kind": "status", "status": 500, "times": 1},
        {"kind": "reset", "times": 1},
        {"kind": "silence", "times": 1},
        {"kind": "truncate", "times": 1},
        {"kind": "cut", "times": 1},
        {"kind": "slow", "seconds": 0.1},
        {"kind": "delay", "seconds": 0.1},
        {"kind": "late", "seconds": 60, "times": 1},
        {"kind": "drip", "seconds": 0.2},
        {"kind": "content_type"},
        {"kind": "clock_skew", "seconds": 86400},
    ]

    @pytest.mark.parametrize("fault", RECOVERS, ids=str)
    @pytest.mark.parametrize("call", [calls.get_runtime(SPACE), calls.pause(SPACE)], ids=["read", "pause"])
    def test_repeatable_calls_recover(
        self, hub: HubEmulator, client: HubClient, fault: dict[str, Any], call: Any
    ) -> None:
        hub.faults.add(fault)
        assert client.send(call).stage in ("RUNNING", "PAUSED")

    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": kind, "after": after, **more}
            for kind, more in (("status", {"status": 500}), ("reset", {}), ("silence", {}))
            for after in (True, False)
        ],
        ids=str,
    )
    def test_other_calls_report_an_unknown_outcome(
        self, hub: HubEmulator, client: HubClient, fault: dict[str, Any]
    ) -> None:
        hub.faults.add(fault, times=1)
        with pytest.raises(HubUnavailable) as excinfo:
            client.send(calls.restart(SPACE))
        assert excinfo.value.outcome_unknown
        assert len([each for each in hub.requests if each.method == "POST"]) == 1

    @pytest.mark.parametrize("status", [200, 404, 502])
    def test_a_proxys_page_is_reported_as_one(self, hub: HubEmulator, client: HubClient, status: int) -> None:
        hub.faults.add(kind="html", status=status)
        with pytest.raises(HubError) as excinfo:
            client.send(calls.get_runtime(SPACE))
        assert not excinfo.value.permanent
        if status != 502:
            assert isinstance(excinfo.value, HubProtocolError)
            assert "does not look like a Hub" in str(excinfo.value)

    def test_every_kind_is_covered(self) -> None:
        covered_kinds = {fault["kind"] for fault in self.RECOVERS} | {"html"}
        assert covered_kinds == set(KINDS)


def test_the_documentation_describes_every_kind() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "emulator.md").read_text("utf-8")
    for name, kind in KINDS.items():
        assert f"| `{name}` | {kind.description} |" in page
