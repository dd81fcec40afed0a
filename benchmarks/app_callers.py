"""Call a Gradio app many times at once in one process, in one of several ways, and print the cost.

``benchmarks.app_calls`` starts this script: ``python app_callers.py WAY COUNT SECONDS URL``.

- ``ours``: ``SpaceApp.acall``, a session and a connection for each call. Full garbage collections are as rare
  as in a triggerer with as many deferred calls.
- ``shared``: ``SpaceApp.shared_session``, one session and one stream for all.
- ``one client``: one ``gradio_client.Client`` for all calls, with as many workers as calls.
- ``clients``: a ``gradio_client.Client`` for each call, as people write it in separate workers.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

BLOCK_SECONDS = 0.002
"""How long a task sleeps between two measurements of the event loop's delay."""


class Meter:
    """Measures time and CPU of this process. ``benchmarks.app_calls`` measures the rest from outside."""

    def __init__(self) -> None:
        gc.collect()
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
        print(json.dumps({"resident": pages * os.sysconf("SC_PAGE_SIZE") / 2**20}), flush=True)
        self._cpu, self._began = time.process_time(), time.perf_counter()
        self.prepared = self.blocked = 0.0

    def ready(self) -> None:
        """Record the time until the calls could start."""
        self.prepared = time.perf_counter() - self._began

    def result(self, right: int) -> dict[str, Any]:
        return {
            "right": right,
            "wall": time.perf_counter() - self._began,
            "prepared": self.prepared,
            "cpu": time.process_time() - self._cpu,
            "blocked": self.blocked,
        }


async def coroutines(way: str, count: int, seconds: float, url: str) -> dict[str, Any]:
    from airflow_provider_hfspaces.space_app import SpaceApp

    meter = Meter()
    ends = asyncio.Event()

    async def blocking() -> None:
        while not ends.is_set():
            began, cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(BLOCK_SECONDS)
            late = time.perf_counter() - began - BLOCK_SECONDS
            # Other processes delay wake-ups too. The CPU time is an upper limit for the loop's own work.
            meter.blocked = max(meter.blocked, min(late, time.thread_time() - cpu))

    async with SpaceApp("acme/app", url, connections=count) as app:
        await app.adescribe()
        meter.ready()
        watcher = asyncio.create_task(blocking())
        if way == "shared":
            async with app.shared_session() as session:
                calls = [session.call("/nap", [str(number), seconds]) for number in range(count)]
                results = await asyncio.gather(*calls, return_exceptions=True)
        else:
            calls = [app.acall("/nap", [str(number), seconds]) for number in range(count)]
            results = await asyncio.gather(*calls, return_exceptions=True)
        ends.set()
        await watcher
    right = sum(getattr(each, "value", None) == f"{number}!" for number, each in enumerate(results))
    return meter.result(right)


def official(way: str, count: int, seconds: float, url: str) -> dict[str, Any]:
    from gradio_client import Client

    meter = Meter()
    right = 0
    if way == "one client":
        client = Client(url, max_workers=count, verbose=False)
        meter.ready()
        jobs = [client.submit(str(number), seconds, api_name="/nap") for number in range(count)]
        for number, job in enumerate(jobs):
            if job.exception() is None:
                right += job.result() == f"{number}!"
    else:
        with ThreadPoolExecutor(count) as pool:
            clients = list(pool.map(lambda _: Client(url, verbose=False), range(count)))
            meter.ready()
            futures = {
                pool.submit(each.predict, str(number), seconds, api_name="/nap"): number
                for number, each in enumerate(clients)
            }
            for future in as_completed(futures):
                if future.exception() is None:
                    right += future.result() == f"{futures[future]}!"
    return meter.result(right)


def main() -> None:
    way, count, seconds, url = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    if way in ("ours", "shared"):
        from airflow_provider_hfspaces.space_app import SpaceApp  # noqa: F401
        from airflow_provider_hfspaces.space_app.http import aio  # noqa: F401

        result = asyncio.run(coroutines(way, count, seconds, url))
    else:
        import gradio_client  # noqa: F401

        result = official(way, count, seconds, url)
    print(json.dumps(result), flush=True)
    # The threads of the official client would keep the process alive.
    os._exit(0)


if __name__ == "__main__":
    main()
