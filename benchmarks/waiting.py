"""Compare SpaceTrigger with three other ways to wait for Spaces: cost, delays, behaviour at the quota.

``python -m benchmarks.waiting [--seconds 60] [--counts 10,100,1000,5000]`` prints three tables, from runs
against an emulated Hub with quotas. By default SpaceTrigger polls as often as the quota allows. The other
ways poll at an interval: a plain trigger, the trigger of the dbt Cloud provider, and ``wait_for_space`` of
the official client in threads. :data:`WAYS` lists all four.

1. Costs: CPU, memory, requests and the blocking of the event loop for these numbers of waits for one owner,
   compared with polling every 30 s.
2. Delays from RUNNING to the event: 50 waits of one owner, compared with polling every 10 s.
3. Behaviour at the quota of a free account: 1,000 waits of one owner and of 1,000 owners, compared with
   polling every 10 s.

Requires ``apache-airflow-providers-dbt-cloud`` and ``huggingface_hub``. A way whose package is missing is
left out with a message.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.emulator.http.listener import listening_socket
from benchmarks.waiters import GPU

WAYS = {
    "ours": "SpaceTrigger",
    "polling": "a trigger that polls",
    "dbt": "dbt Cloud's trigger",
    "official": "wait_for_space in threads",
}
"""Ways to wait for a Space, with the names that the tables show."""

AUTOMATIC = 0.0
"""The interval that lets SpaceTrigger choose how often to poll, by the quota."""

PACKAGES = {
    "ours": "httpx",
    "polling": "httpx",
    "dbt": "airflow.providers.dbt.cloud",
    "official": "huggingface_hub",
}
"""The package that each way requires."""

CACHE = Path(tempfile.gettempdir()) / f"hf-spaces-waiting-benchmark-{os.getuid()}"
"""Folder for compiled Python files."""

AMPLE_REQUESTS = 100_000
"""Requests in 300 seconds, the highest quota that the Hub sells."""


@dataclass
class Outcome:
    """The cost and the events of one run.

    :ivar cpu: CPU seconds per minute.
    :ivar memory: added memory in MB.
    :ivar blocked: longest delay of the event loop in seconds.
    :ivar blocked_cpu: the part of this delay that the process itself worked, in seconds.
    :ivar refused: requests that got a 429.
    :ivar delays: seconds from RUNNING to each event, sorted.
    :ivar fired: number of events by status.
    """

    cpu: float
    memory: float
    connections: int
    blocked: float
    blocked_cpu: float
    requests: int
    requests_per_minute: float
    refused: int
    waits: int
    delays: list[float]
    fired: Counter[str]


class JobService:
    """Imitates dbt Cloud: serves one job for each Space, which is done when the Space is RUNNING.

    Counts requests against a quota like the Hub's.
    """

    def __init__(self, hub: HubEmulator, names: list[str]) -> None:
        self._hub, self._names = hub, names
        self.requests = self.refused = 0
        listening = listening_socket("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        route = Route("/api/v2/accounts/{account}/runs/{number:int}/", self._run)
        config = uvicorn.Config(
            Starlette(routes=[route]), log_level="error", access_log=False, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listening],), daemon=True)
        self._thread.start()

    async def _run(self, request: Request) -> JSONResponse:
        self.requests += 1
        world = self._hub.world
        with world.lock:
            allowance = world.limits.take("jobs", "free")
            if not allowance.allowed:
                self.refused += 1
                return JSONResponse({"status": "too many requests"}, 429, allowance.headers())
            view = world.space(self._names[request.path_params["number"]]).view()
        done = view.stage == "RUNNING" and view.hardware == GPU
        return JSONResponse({"data": {"id": request.path_params["number"], "status": 10 if done else 3}})

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)


def measure(
    way: str,
    count: int,
    *,
    interval: float,
    seconds: float,
    quota: int,
    owners: int = 1,
    finish_within: tuple[float, float] | None = None,
) -> Outcome:
    """Run waits in one way, and measure them.

    :param count: number of waits, each for another Space.
    :param interval: seconds between two polls of a wait; :data:`AUTOMATIC` for SpaceTrigger's own choice.
    :param seconds: duration of the run.
    :param quota: API requests in 300 seconds.
    :param owners: number of owners of the Spaces.
    :param finish_within: first and last second at which Spaces become RUNNING; ``None`` if none does.
    """
    with HubEmulator(speed=0) as hub:
        hub.set_quota(quota)
        names = [f"owner{number % owners}/s{number}" for number in range(count)]
        for name in names:
            hub.add_space(name, stage="BUILDING", hardware=GPU)
        jobs = JobService(hub, names)
        finished: dict[int, float] = {}
        try:
            result = _wait(hub, jobs, way, names, interval, seconds, finish_within, finished)
        finally:
            jobs.close()
        requests = jobs.requests if way == "dbt" else len(hub.requests)
        refused = jobs.refused if way == "dbt" else sum(each.status == 429 for each in hub.requests)
        return Outcome(
            cpu=result["cpu_per_minute"],
            memory=result["memory"],
            connections=int(result["connections"]),
            blocked=result["blocked"],
            blocked_cpu=result["blocked_cpu"],
            requests=requests,
            waits=count,
            requests_per_minute=requests / seconds * 60,
            refused=refused,
            delays=sorted(at - finished[number] for number, at, _ in result["fired"] if number in finished),
            fired=Counter(status.partition(":")[0] for _, _, status in result["fired"]),
        )


def _wait(
    hub: HubEmulator,
    jobs: JobService,
    way: str,
    names: list[str],
    interval: float,
    seconds: float,
    finish_within: tuple[float, float] | None,
    finished: dict[int, float],
) -> Any:
    connection = {"conn_type": "hf_spaces", "host": hub.url, "password": hub.token}
    job_connection = {"conn_type": "dbt_cloud", "login": "1", "password": "x", "host": "127.0.0.1"}
    arguments = [way, str(len(names)), str(interval), str(seconds), jobs.url]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.waiters", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            # Every installation has compiled files, so the benchmark uses them too.
            "PYTHONPYCACHEPREFIX": str(CACHE),
            "AIRFLOW_CONN_HF_SPACES_DEFAULT": json.dumps(connection),
            "AIRFLOW_CONN_DBT_CLOUD_DEFAULT": json.dumps(job_connection),
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": hub.token,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
        },
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(names) + "\n")
    process.stdin.flush()
    while process.stdout.readline().strip() != "ready":
        if process.poll() is not None:
            raise RuntimeError(
                f"{WAYS[way]} did not start: benchmarks.waiters exited with the code {process.returncode}."
            )
    began = time.time()
    moments = random.Random(7)
    due = sorted(
        (moments.uniform(*finish_within) if finish_within else float("inf"), number)
        for number in range(len(names))
    )
    for after, number in due:
        if after > seconds:
            break
        time.sleep(max(began + after - time.time(), 0))
        with hub.world.lock:
            space = hub.world.space(names[number])
            for event in ("built", "started"):
                space.do(event)
        finished[number] = time.time()
    printed, _ = process.communicate()
    return json.loads(printed.splitlines()[-1])


def table(title: str, names: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(row[column]) for row in [names, *rows]) for column in range(len(names))]
    print(f"\n{title}\n")
    for row in (names, ["-" * width for width in widths], *rows):
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        cells[0] = row[0].ljust(widths[0])
        print("  " + "  ".join(cells))


def quantile(values: list[float], share: float) -> str:
    return f"{values[min(int(share * len(values)), len(values) - 1)]:.1f} s" if values else "never"


def median_delay(delays: list[float]) -> str:
    """The median of the delays, without events before RUNNING, which are failures."""
    return quantile([delay for delay in delays if delay >= 0], 0.5)


def ratio(theirs: float, ours: float) -> str:
    return f"{theirs / ours:,.1f} x" if ours > 0 else "—"


def loop_blocked(outcome: Outcome) -> str:
    """The longest delay of the event loop, and the part of it that the process itself worked."""
    return f"{outcome.blocked * 1000:.0f} ms ({outcome.blocked_cpu * 1000:.0f} ms own)"


def label(way: str, interval: float) -> str:
    return f"{WAYS[way]}, {f'every {interval:.0f} s' if interval else 'no interval'}"


def is_installed(way: str) -> bool:
    try:
        return importlib.util.find_spec(PACKAGES[way]) is not None
    except ModuleNotFoundError:
        return False


def costs(counts: list[int], seconds: float, ways: list[str]) -> None:
    for count in counts:
        rows, own = [], None
        for way in ways:
            for interval in (AUTOMATIC, 30.0) if way == "ours" else (30.0,):
                if way == "official" and count > 1000:
                    rows.append([label(way, interval), "not run", "", "", "", "", ""])
                    continue
                outcome = measure(way, count, interval=interval, seconds=seconds, quota=AMPLE_REQUESTS)
                own = own or outcome
                rows.append(
                    [
                        label(way, interval),
                        f"{outcome.requests_per_minute:,.0f}",
                        ratio(outcome.requests_per_minute, own.requests_per_minute),
                        f"{outcome.cpu:.2f} s",
                        f"{outcome.memory:.1f} MB",
                        f"{outcome.connections:,}",
                        loop_blocked(outcome) if way != "official" else "no loop",
                    ]
                )
        head = ["", "requests/min", "of the first row", "CPU/min", "memory", "connections", "loop blocked"]
        table(f"{count:,} waits of one owner, for {seconds:.0f} s", head, rows)


def delays(seconds: float, ways: list[str]) -> None:
    rows = []
    outcomes = {
        way: measure(
            way,
            50,
            interval=AUTOMATIC if way == "ours" else 10.0,
            seconds=seconds + 20,
            quota=1000,
            finish_within=(10.0, seconds),
        )
        for way in ways
    }
    polling = outcomes["polling"]
    for way, outcome in outcomes.items():
        rows.append(
            [
                label(way, AUTOMATIC if way == "ours" else 10.0),
                quantile(outcome.delays, 0.5),
                quantile(outcome.delays, 0.99),
                f"{outcome.requests:,}",
                f"{outcome.requests / polling.requests:.2f}",
                f"{outcome.refused:,}",
                loop_blocked(outcome) if way != "official" else "no loop",
            ]
        )
    table(
        f"From RUNNING to the event: 50 waits of one owner that take 10 to {seconds:.0f} s, a free account",
        ["", "median", "99 %", "requests", "of polling", "429s", "loop blocked"],
        rows,
    )


def at_the_quota(seconds: float, ways: list[str]) -> None:
    rows = []
    for way in ways:
        for owners in (1, 1000) if way == "ours" else (1,):
            interval = AUTOMATIC if way == "ours" else 10.0
            outcome = measure(
                way,
                1000,
                interval=interval,
                seconds=seconds + 30,
                quota=1000,
                owners=owners,
                finish_within=(10.0, seconds) if owners == 1 else None,
            )
            failed = sum(number for status, number in outcome.fired.items() if status == "failed")
            unfinished = outcome.waits - sum(outcome.fired.values())
            late = sum(delay > 20 for delay in outcome.delays) + unfinished
            rows.append(
                [
                    label(way, interval) + (f", {owners:,} owners" if owners > 1 else ""),
                    f"{outcome.requests_per_minute:,.0f}",
                    f"{outcome.refused:,}",
                    f"{failed:,}",
                    f"{late:,}" if owners == 1 else "none ends",
                    median_delay(outcome.delays) if owners == 1 else "",
                    loop_blocked(outcome) if way != "official" else "no loop",
                ]
            )
    table(
        f"At the quota of a free account (1,000 in 300 s): 1,000 waits that take 10 to {seconds:.0f} s",
        ["", "requests/min", "429s", "failed", "over 20 s late", "median delay", "loop blocked"],
        rows,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.waiting",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of a run, by default 60")
    parser.add_argument(
        "--counts", default="10,100,1000,5000", help="numbers of waits, by default 10,100,1000,5000"
    )
    parser.add_argument("--only", choices=("costs", "delays", "quota"), help="print only this table")
    options = parser.parse_args()
    ways = [way for way in WAYS if is_installed(way)]
    for way in WAYS:
        if way not in ways:
            print(f"{WAYS[way]} is left out, because {PACKAGES[way]} is not installed.")
    if options.only in (None, "costs"):
        costs([int(each) for each in options.counts.split(",")], options.seconds, ways)
    if options.only in (None, "delays"):
        delays(options.seconds, ways)
    if options.only in (None, "quota"):
        at_the_quota(options.seconds, ways)


if __name__ == "__main__":
    main()
