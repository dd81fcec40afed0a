"""Measure the cost of a lease: requests and commits of a GPU window without contention, and of one poll.

``python -m benchmarks.leases`` prints the requests with a lease next to the requests without one. A poll is
one check by a run that waits for the lease.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.http.sequence import execute
from airflow_provider_hfspaces.hub.lease.actions import SpaceLease
from airflow_provider_hfspaces.hub.lease.record import Standing
from airflow_provider_hfspaces.hub.lease.store import LeaseStore

SPACE = "acme/whisper"


def count_sent(hub: HubEmulator, part: Callable[[], object]) -> tuple[int, int]:
    """Count the requests and the commits that a part of the work sends."""
    before = len(hub.requests)
    part()
    sent = hub.requests[before:]
    return len(sent), len([each for each in sent if "/commit/" in each.path])


def main() -> None:
    with HubEmulator(speed=0, seconds_per_request=1) as hub, HubClient(hub.token, hub.url) as client:
        hub.add_space(SPACE)

        def lease() -> SpaceLease:
            return SpaceLease(LeaseStore(SPACE), secrets.token_hex(16))

        def bare() -> None:
            client.send(calls.get_runtime(SPACE))
            client.send(calls.request_hardware(SPACE, "t4-small"))
            client.send(calls.request_hardware(SPACE, "cpu-basic"))

        def window() -> None:
            mine = lease()
            execute(mine.take(lambda holder: Standing.AT_WORK), client.send)
            execute(mine.announce("t4-small", 3600), client.send)
            client.send(calls.request_hardware(SPACE, "t4-small"))
            execute(mine.confirm(), client.send)
            client.send(calls.request_hardware(SPACE, "cpu-basic"))
            execute(mine.give_back(), client.send)

        window()  # creates the branch
        without, _ = count_sent(hub, bare)
        with_lease, commits = count_sent(hub, window)
        print(
            f"a window: {with_lease} requests with a lease, {without} without ({with_lease / without:.1f}x)"
        )
        print(f"commits per window: {commits}")
        holder, waiting = lease(), lease()
        execute(holder.take(lambda each: Standing.AT_WORK), client.send)
        execute(waiting.take(lambda each: Standing.AT_WORK), client.send)
        poll, _ = count_sent(hub, lambda: execute(waiting.take(lambda each: Standing.AT_WORK), client.send))
        print(f"a poll while waiting: {poll} request")


if __name__ == "__main__":
    main()
