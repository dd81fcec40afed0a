"""Twenty holders fight for one Space over HTTP, while every tenth answer of the Hub is lost."""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import suppress

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from airflow_provider_hfspaces.hub.http.sequence import Steps, execute
from airflow_provider_hfspaces.hub.lease.actions import SpaceLease, Taken
from airflow_provider_hfspaces.hub.lease.record import Standing
from airflow_provider_hfspaces.hub.lease.store import LeaseStore

SPACE = "acme/whisper"
HOLDERS = 20


class Crowd:
    def __init__(self, hub: HubEmulator) -> None:
        self.hub = hub
        self.at_work: set[int] = set()
        self.workers: list[int] = []
        self.overlaps: list[set[int]] = []

    def work(self, number: int) -> None:
        with HubClient(self.hub.token, self.hub.url, retry=RetryPolicy(30, 30, 0.01, 0.05)) as client:
            lease = SpaceLease(LeaseStore(SPACE), secrets.token_hex(16))
            while True:
                try:
                    if isinstance(execute(lease.take(lambda holder: Standing.AT_WORK), client.send), Taken):
                        break
                except HubError:
                    continue
                time.sleep(0.01)
            execute(lease.announce("t4-small", 3600), client.send)
            self.at_work.add(number)
            if len(self.at_work) > 1:
                self.overlaps.append(set(self.at_work))
            execute(_requested("t4-small"), client.send)
            execute(_requested("cpu-basic"), client.send)
            self.workers.append(number)
            self.at_work.discard(number)
            execute(lease.give_back(), client.send)


def _requested(hardware: str) -> Steps[None]:
    is_answered = False
    while not is_answered:
        with suppress(HubError):
            yield calls.request_hardware(SPACE, hardware)
            is_answered = True


@pytest.mark.parametrize("hub_time", [{"speed": 0, "seconds_per_request": 0.1}])
def test_each_of_a_crowd_has_the_space_to_itself_and_none_fails(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    hub.faults.add(kind="reset", share=0.1, after=True)
    hub.set_quota(1_000_000)
    crowd = Crowd(hub)
    threads = [threading.Thread(target=crowd.work, args=(number,)) for number in range(HOLDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert crowd.overlaps == []
    assert sorted(crowd.workers) == list(range(HOLDERS))
    assert space.requested_hardware == "cpu-basic"
