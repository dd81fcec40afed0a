"""What the fleet page costs: ours beside one request for each Space's runtime.

``python -m benchmarks.fleet_page [--spaces 1000] [--delay 0.05]`` reads the same fleet both ways in one run,
from an emulated Hub whose every answer takes ``--delay`` seconds more, as over a network, and prints for
each the requests to the Hub, the seconds until the data is there, and the ratio. "the page" is what its
server does; "8 at a time" asks as many times in eight threads.
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
from airflow_provider_hfspaces.plugins.fleet import Fleets

HARDWARE = ("cpu-basic", "cpu-upgrade", "t4-small", "a10g-small")
AMPLE = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spaces", type=int, default=1000)
    parser.add_argument("--delay", type=float, default=0.05, help="seconds that each answer takes more")
    choices = parser.parse_args()
    mask_written("an import of Airflow's, which its API server has behind it")
    with HubEmulator(speed=0) as hub:
        hub.set_quota(AMPLE)
        for number in range(choices.spaces):
            hub.add_space(f"acme/s{number}", hardware=HARDWARE[number % len(HARDWARE)])
        if choices.delay:
            hub.faults.add(kind="delay", seconds=choices.delay)
        fleets = Fleets()
        ways: dict[str, Callable[[], int]] = {
            "the page, first look": lambda: page(fleets, hub),
            "the page, later looks": lambda: page(fleets, hub),
            "one by one": lambda: one_by_one(hub, 1),
            "8 at a time": lambda: one_by_one(hub, 8),
        }
        results = {name: measured(hub, read, choices.spaces) for name, read in ways.items()}
    requests, seconds = results["the page, first look"]
    print(f"{choices.spaces:,} Spaces, {choices.delay * 1000:.0f} ms for each answer of the Hub besides\n")
    print(f"  {'':<22}  {'requests':>8}  {'':>7}  {'seconds':>8}  {'':>7}")
    for name, (asked, took) in results.items():
        print(f"  {name:<22}  {asked:>8,}  {asked / requests:>6.1f}x  {took:>8.2f}  {took / seconds:>6.1f}x")


def page(fleets: Fleets, hub: HubEmulator) -> int:
    """What the page's server does."""
    connection: Any = SimpleNamespace(
        conn_id="hub",
        host=hub.url,
        password=hub.token,
        extra_dejson={"namespace": "acme"},
        port=None,
        schema=None,
    )
    return len(fleets.read(connection)["spaces"])


def one_by_one(hub: HubEmulator, threads: int) -> int:
    """What is natural to write: the names, and then each Space's runtime."""
    with HubClient(hub.token, hub.url) as client, ThreadPoolExecutor(threads) as pool:
        client.send(calls.list_hardware())
        listed = calls.list_spaces(author="acme", limit=500)
        names = [space.id for found in client.pages(listed) for space in found]
        return len(list(pool.map(lambda name: client.send(calls.get_runtime(name)), names)))


def measured(hub: HubEmulator, read: Callable[[], int], spaces: int) -> tuple[int, float]:
    """Requests and seconds of one reading of the whole fleet."""
    before, began = len(hub.requests), time.perf_counter()
    found = read()
    took = time.perf_counter() - began
    if found != spaces:
        raise RuntimeError(f"{found} Spaces were read, and there are {spaces}.")
    return len(hub.requests) - before, took


if __name__ == "__main__":
    main()
