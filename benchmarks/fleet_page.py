"""Compare the cost of the fleet page with one request for each Space's runtime.

``python -m benchmarks.fleet_page [--spaces 1000] [--delay 0.05]`` reads one fleet in several ways, from an
emulated Hub that delays every answer by ``--delay`` seconds, like a network. For each way it prints the
requests to the Hub, the seconds until the data is complete, and their ratios to the page's first read.

"the page" does the work of the page's server. "one by one" sends a request for each Space's runtime, and "8
at a time" sends these requests in eight threads.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.failures import mask_written
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.plugins.fleet import FleetReader
from airflow_provider_hfspaces.plugins.leases import LeaseReader

HARDWARE = ("cpu-basic", "cpu-upgrade", "t4-small", "a10g-small")
AMPLE_REQUESTS = 100_000
"""Requests in 300 seconds, the highest quota that the Hub sells."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spaces", type=int, default=1000)
    parser.add_argument("--delay", type=float, default=0.05, help="seconds by which each answer is delayed")
    choices = parser.parse_args()
    mask_written("imports modules of Airflow that a running API server has already imported")
    with HubEmulator(speed=0) as hub:
        hub.set_quota(AMPLE_REQUESTS)
        for number in range(choices.spaces):
            hub.add_space(f"acme/s{number}", hardware=HARDWARE[number % len(HARDWARE)])
        if choices.delay:
            hub.faults.add(kind="delay", seconds=choices.delay)
        fleets, readers = FleetReader(), LeaseReader()
        ways: dict[str, Callable[[], int]] = {
            "the page, first read": lambda: page(fleets, hub),
            "the page, later reads": lambda: page(fleets, hub),
            "the page, its leases": lambda: leases(fleets, readers, hub),
            "one by one": lambda: one_by_one(hub, 1),
            "8 at a time": lambda: one_by_one(hub, 8),
        }
        results = {name: measure(hub, read, choices.spaces) for name, read in ways.items()}
    requests, seconds = results["the page, first read"]
    print(f"{choices.spaces:,} Spaces, {choices.delay * 1000:.0f} ms delay of each answer\n")
    print(f"  {'':<22}  {'requests':>8}  {'':>7}  {'seconds':>8}  {'':>7}")
    for name, (sent, took) in results.items():
        print(f"  {name:<22}  {sent:>8,}  {sent / requests:>6.1f}x  {took:>8.2f}  {took / seconds:>6.1f}x")


def leases(fleets: FleetReader, readers: LeaseReader, hub: HubEmulator) -> int:
    """Read the fleet, and then the leases of the Spaces on paid hardware, as the page does."""
    connection = connection_to(hub)
    fleet = fleets.read(connection)
    readers.read(connection, fleet)
    return len(fleet["spaces"])


def page(fleets: FleetReader, hub: HubEmulator) -> int:
    """Read the fleet as the page's server does."""
    return len(fleets.read(connection_to(hub))["spaces"])


def connection_to(hub: HubEmulator) -> Any:
    """The Airflow connection of the page."""
    return SimpleNamespace(
        conn_id="hub",
        conn_type="hf_spaces",
        login=None,
        host=hub.url,
        password=hub.token,
        extra='{"namespace": "acme"}',
        port=None,
        schema=None,
    )


def one_by_one(hub: HubEmulator, threads: int) -> int:
    """Read the list of names, and then the runtime of each Space."""
    with HubClient(hub.token, hub.url) as client, ThreadPoolExecutor(threads) as pool:
        client.send(calls.list_hardware())
        listed = calls.list_spaces(author="acme", limit=500)
        names = [space.id for part in client.pages(listed) for space in part]
        return len(list(pool.map(lambda name: client.send(calls.get_runtime(name)), names)))


def measure(hub: HubEmulator, read: Callable[[], int], spaces: int) -> tuple[int, float]:
    """The number of requests and the seconds for reading the whole fleet once."""
    before, began = len(hub.requests), time.perf_counter()
    count = read()
    took = time.perf_counter() - began
    if count != spaces:
        raise RuntimeError(f"The fleet has {spaces} Spaces, but {count} were read.")
    return len(hub.requests) - before, took


if __name__ == "__main__":
    main()
