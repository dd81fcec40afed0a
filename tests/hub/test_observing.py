"""Observers hear of requests and waits, of both clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.errors import HubError, HubUnavailable
from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.observing import OUTCOMES, Observer, add_observer, remove_observer


class Recorder(Observer):
    """An observer that records each report."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def request_answered(self, method: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.events.append((method, outcome))

    def quota_reported(self, remaining: int, quota: int | None) -> None:
        self.events.append(("quota", remaining, quota))

    def request_delayed(self, reason: str, seconds: float) -> None:
        assert seconds > 0
        self.events.append(("delay", reason))


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    add_observer(recorder)
    add_observer(recorder)
    yield recorder
    remove_observer(recorder)


def client(hub: HubEmulator) -> HubClient:
    return HubClient(hub.token, hub.url, sleep=lambda seconds: None)


@pytest.mark.parametrize(
    ("status", "outcome"), [(404, "not_found"), (403, "rejected"), (400, "rejected"), (500, "server_error")]
)
def test_each_try_of_a_request_is_reported_once_with_its_outcome(
    hub: HubEmulator, recorder: Recorder, status: int, outcome: str
) -> None:
    hub.add_space("acme/whisper")
    hub.faults.add(kind="status", status=status, times=1)
    with client(hub) as sender:
        try:
            sender.send(calls.get_runtime("acme/whisper"))
        except HubError:
            sender.send(calls.get_runtime("acme/whisper"))
    tries = [each for each in recorder.events if each[0] == "GET"]
    assert tries == [("GET", outcome), ("GET", "ok")]
    assert outcome in OUTCOMES


def test_a_request_without_an_answer_and_the_delay_before_the_next_try_are_reported(
    hub: HubEmulator, recorder: Recorder
) -> None:
    hub.add_space("acme/whisper")
    hub.faults.add(kind="reset", times=1)
    with client(hub) as sender:
        sender.send(calls.get_runtime("acme/whisper"))
    events = [each for each in recorder.events if each[0] != "quota"]
    assert events == [("GET", "no_answer"), ("delay", "retry"), ("GET", "ok")]


def test_the_quota_and_waits_for_it_are_reported(hub: HubEmulator, recorder: Recorder) -> None:
    hub.add_space("acme/whisper")
    hub.set_quota(3)
    with client(hub) as sender:
        for _ in range(3):
            sender.send(calls.get_runtime("acme/whisper"))
        assert [each for each in recorder.events if each[0] == "quota"][-1] == ("quota", 0, 3)
        hub.set_quota(100)
        sender.send(calls.get_runtime("acme/whisper"))
    assert ("delay", "quota") in recorder.events


def test_requests_on_an_event_loop_are_reported_too(hub: HubEmulator, recorder: Recorder) -> None:
    hub.add_space("acme/whisper")

    async def read() -> None:
        async with AsyncHubClient(hub.token, hub.url) as sender:
            await sender.send(calls.get_runtime("acme/whisper"))

    asyncio.run(read())
    assert ("GET", "ok") in recorder.events


def test_an_error_in_an_observer_does_not_reach_the_request(hub: HubEmulator) -> None:
    class Broken(Observer):
        def request_answered(self, method: str, outcome: str, seconds: float) -> None:
            raise HubUnavailable("not of this request")

    broken_observer = Broken()
    add_observer(broken_observer)
    try:
        with client(hub) as sender:
            assert sender.send(calls.whoami()).name == "alice"
    finally:
        remove_observer(broken_observer)
