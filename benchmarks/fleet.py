"""Compare PauseSpacesOperator with a loop over the official client that pauses each Space of a fleet.

``python -m benchmarks.fleet [--spaces 1000] [--latency 50]`` prints two tables, each from one run against
an emulated Hub that answers every request after 50 ms and enforces its quota:

1. The cost of the latency, with a PRO account's quota, which suffices for all requests.
2. The cost of the quota, with 300 requests in 30 seconds, which do not suffice. The Hub's own windows last
   five minutes; with shorter windows, the benchmark ends sooner and the ratios are the same.

Requires ``huggingface_hub``. The ways in :data:`WAYS` run one after the other, each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import time
from functools import partial
from typing import Any

from airflow_provider_hfspaces.emulator import HubEmulator
from benchmarks.waiting import table

WAYS = {
    "ours": "PauseSpacesOperator",
    "leased too": "PauseSpacesOperator, respect_leases=False",
    "loop": "a loop over HfApi.pause_space",
    "patient": "the loop, with retries after 429s",
}
"""Ways to pause a fleet, with the names that the tables show."""

OWNER = "acme"
RETRY_SHARE = 0.2
"""The part of a window that the loop with retries sleeps after a 429: one of the Hub's five minutes."""


def ours(*, respect_leases: bool = True) -> int:
    """Pause the fleet by the operator, which by default reads the lease of each Space first. No loop does."""
    from airflow_provider_hfspaces.operators.fleet import PauseSpacesOperator

    operator = PauseSpacesOperator(
        task_id="pause", author=OWNER, fail_on_error=False, respect_leases=respect_leases
    )
    report = operator.execute({"task_state_store": Store(), "ti": None})  # type: ignore[arg-type]
    return sum(each["outcome"] == "paused" for each in report["spaces"])


def loop(retry_seconds: float = 0.0) -> int:
    """Pause the fleet by a loop over the official client, which raises an error for a 429.

    :param retry_seconds: seconds to sleep after a 429; 0 skips the Space instead.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api, paused = HfApi(), 0
    for space in list(api.list_spaces(author=OWNER)):
        while True:
            try:
                api.pause_space(space.id)
                paused += 1
                break
            except HfHubHTTPError as error:
                if not retry_seconds or error.response is None or error.response.status_code != 429:
                    break
                time.sleep(retry_seconds)
    return paused


class Store:
    """A task state store in memory."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get(self, key: str) -> Any:
        return json.loads(self.values.get(key, "null"))

    def set(self, key: str, value: Any) -> None:
        self.values[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self.values.pop(key, None)


def run(way: str, window: float) -> None:
    logging.disable(logging.INFO)
    if way in ("loop", "patient"):
        import huggingface_hub  # noqa: F401
    else:
        import airflow_provider_hfspaces.hooks.hfspaces
        import airflow_provider_hfspaces.operators.fleet  # noqa: F401
    began = time.perf_counter()
    pause = {
        "ours": ours,
        "leased too": partial(ours, respect_leases=False),
        "loop": loop,
        "patient": partial(loop, RETRY_SHARE * window),
    }
    paused = pause[way]()
    print(json.dumps({"seconds": time.perf_counter() - began, "paused": paused}))


def measure(way: str, spaces: int, latency: float, quota: int, window: int) -> dict[str, Any]:
    with HubEmulator(speed=1) as hub:
        for number in range(spaces):
            hub.add_space(f"{OWNER}/s{number}", hardware="t4-small")
        hub.set_quota(quota, window)
        hub.faults.add(kind="delay", seconds=latency)
        # Start each run at the start of a window, so that all runs have the whole quota.
        time.sleep(window - time.monotonic() % window if window < 60 else 0)
        connection = {"conn_type": "hf_spaces", "host": hub.url, "password": hub.token}
        process = subprocess.run(
            [sys.executable, "-m", "benchmarks.fleet", "--run", way, "--window", str(window)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
            env={
                **os.environ,
                "AIRFLOW_CONN_HF_SPACES_DEFAULT": json.dumps(connection),
                "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
                "HF_ENDPOINT": hub.url,
                "HF_TOKEN": hub.token,
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            },
        )
        result: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
        paused = sum(hub.space(f"{OWNER}/s{number}").stage == "PAUSED" for number in range(spaces))
        if paused != result["paused"]:
            raise RuntimeError(
                f"{WAYS[way]} reports {result['paused']} paused Spaces, but {paused} are PAUSED."
            )
        requests = hub.requests
        return {
            **result,
            "requests": len(requests),
            "refused": sum(each.status == 429 for each in requests),
        }


def compare(title: str, ways: list[str], spaces: int, latency: float, quota: int, window: int) -> None:
    rows, own = [], 0.0
    for way in ways:
        done = measure(way, spaces, latency, quota, window)
        own = own or done["seconds"]
        running = spaces - done["paused"]
        rows.append(
            [
                WAYS[way],
                f"{done['seconds']:.1f}",
                f"{done['requests']:,}",
                f"{done['refused']:,}",
                f"{done['paused']:,}",
                f"{running:,}",
                f"{done['seconds'] / own:.1f} x" if not running else "not done",
            ]
        )
    table(title, ["", "seconds", "requests", "429s", "paused", "left running", "time"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fleet",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--spaces", type=int, default=1000, help="size of the fleet, by default 1000")
    parser.add_argument(
        "--latency", type=float, default=50.0, help="milliseconds until each answer, by default 50"
    )
    parser.add_argument("--only", choices=("latency", "quota"), help="print only this table")
    parser.add_argument("--run", choices=tuple(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--window", type=float, default=300.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(options.run, options.window)
        return
    spaces, latency = options.spaces, options.latency / 1000
    setup = f"{spaces:,} Spaces, {options.latency:.0f} ms a request"
    if options.only in (None, "latency"):
        compare(
            f"{setup}, 2,500 requests in 300 s", ["ours", "leased too", "loop"], spaces, latency, 2500, 300
        )
    if options.only in (None, "quota"):
        compare(f"{setup}, 300 requests in 30 s", list(WAYS), spaces, latency, 300, 30)


if __name__ == "__main__":
    main()
