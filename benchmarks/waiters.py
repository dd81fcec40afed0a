"""Wait for many Spaces in one process, in one of several ways, and print the cost.

``benchmarks.waiting`` starts this module: ``python -m benchmarks.waiters WAY COUNT INTERVAL SECONDS URL``,
with the Spaces as a JSON list on the standard input. With an interval of 0, SpaceTrigger chooses how often
to poll.

- ``ours``: :class:`~airflow_provider_hfspaces.triggers.spaces.SpaceTrigger`.
- ``polling``: a trigger that polls its Space at the interval. All triggers share one client.
- ``dbt``: the trigger of the dbt Cloud provider, unmodified except for the address of its service.
- ``official``: ``wait_for_space`` of the official client, each wait in a thread.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

GPU = "t4-small"


class Meter:
    """Measures CPU, memory, connections and the longest delay of the event loop."""

    def __init__(self) -> None:
        gc.collect()
        self._memory = resident()
        self._cpu, self._began = time.process_time(), time.perf_counter()
        self.memory = self.blocked = self.blocked_cpu = 0.0
        self.connections = 0
        self._idle = 0.0

    def restart_cpu(self) -> None:
        """Start to measure the CPU now, so that the start of the waits does not count."""
        self._cpu, self._began = time.process_time(), time.perf_counter()

    async def calibrate(self) -> None:
        """Measure the CPU of the meter itself, which :meth:`read` subtracts."""
        self.restart_cpu()
        watching = asyncio.create_task(self.watch_loop())
        await asyncio.sleep(5)
        watching.cancel()
        self._idle = self.read()["cpu_per_minute"]
        self.blocked = self.blocked_cpu = 0.0

    def sample(self) -> None:
        self.memory = max(self.memory, resident() - self._memory)
        self.connections = max(self.connections, sockets())

    async def watch_loop(self) -> None:
        """Measure how late the event loop wakes this task, and how long the process worked meanwhile.

        The difference of the two is the time in which other processes had the CPU.
        """
        sampled_at = 0.0
        while True:
            began, worked = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.025)
            late = time.perf_counter() - began - 0.025
            self.blocked = max(self.blocked, late)
            self.blocked_cpu = max(self.blocked_cpu, min(late, time.thread_time() - worked))
            if began - sampled_at > 5:
                sampled_at = began
                self.sample()

    def read(self) -> dict[str, float]:
        minutes = (time.perf_counter() - self._began) / 60
        return {
            "cpu_per_minute": (time.process_time() - self._cpu) / minutes - self._idle,
            "memory": self.memory,
            "connections": self.connections,
            "blocked": self.blocked,
            "blocked_cpu": self.blocked_cpu,
        }


def resident() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def sockets() -> int:
    with open("/proc/self/net/tcp") as file:
        established = {line.split()[9] for line in file if line.split()[3] == "01"}
    own = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:["):
            own.add(target[8:-1])
    return len(established & own)


def main() -> None:
    way, count, interval, seconds, url = sys.argv[1:6]
    names = json.loads(sys.stdin.readline())
    fired: list[tuple[int, float, str]] = []
    waits = {"ours": ours, "polling": polling, "dbt": dbt, "official": official}[way](
        names, int(count), float(interval), url, fired
    )
    meter = Meter()
    if way == "official":
        print("ready", flush=True)
        in_threads(waits, float(seconds), meter)
    else:
        asyncio.run(in_one_loop(waits, float(seconds), meter))
    print(json.dumps({**meter.read(), "fired": fired}), flush=True)
    os._exit(0)


async def in_one_loop(waits: list[Callable[[], Awaitable[None]]], seconds: float, meter: Meter) -> None:
    await meter.calibrate()
    print("ready", flush=True)
    watching = asyncio.create_task(meter.watch_loop())
    tasks = []
    for number, wait in enumerate(waits):
        tasks.append(asyncio.ensure_future(wait()))
        if number % 50 == 0:
            await asyncio.sleep(0)
    settle = min(5.0, seconds / 4)
    await asyncio.wait(tasks, timeout=settle)
    meter.restart_cpu()
    await asyncio.wait(tasks, timeout=seconds - settle)
    meter.sample()
    watching.cancel()


def in_threads(waits: list[Callable[[], Any]], seconds: float, meter: Meter) -> None:
    threading.stack_size(256 * 1024)
    threads = [threading.Thread(target=wait, daemon=True) for wait in waits]
    end = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    meter.restart_cpu()
    while time.monotonic() < end and any(thread.is_alive() for thread in threads):
        meter.sample()
        time.sleep(5)


def ours(
    names: list[str], count: int, interval: float, url: str, fired: list[Any]
) -> list[Callable[[], Awaitable[None]]]:
    from airflow_provider_hfspaces.hub.waiting.goal import Goal
    from airflow_provider_hfspaces.triggers.spaces import SpaceTrigger

    def waiting(number: int) -> Callable[[], Awaitable[None]]:
        trigger = SpaceTrigger(
            repo_id=names[number],
            goal=Goal(hardware=GPU),
            poll_interval=interval or None,
            deadline=time.time() + 86_400,
        )

        async def wait() -> None:
            async for event in trigger.run():
                fired.append((number, time.time(), event.payload["status"]))  # noqa: PERF401

        return wait

    return [waiting(number) for number in range(count)]


def polling(
    names: list[str], count: int, interval: float, url: str, fired: list[Any]
) -> list[Callable[[], Awaitable[None]]]:
    from airflow_provider_hfspaces.hub import calls
    from airflow_provider_hfspaces.hub.errors import HubError
    from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
    from airflow_provider_hfspaces.hub.waiting.goal import Goal, Reached

    client = AsyncHubClient(os.environ["HF_TOKEN"], os.environ["HF_ENDPOINT"])
    goal = Goal(hardware=GPU)

    def waiting(number: int) -> Callable[[], Awaitable[None]]:
        async def wait() -> None:
            try:
                while True:
                    runtime = await client.send(calls.get_runtime(names[number]))
                    if isinstance(goal.judge(runtime), Reached):
                        break
                    await asyncio.sleep(interval)
                fired.append((number, time.time(), "reached"))
            except HubError as error:
                fired.append((number, time.time(), f"failed: {type(error).__name__}"))

        return wait

    return [waiting(number) for number in range(count)]


def dbt(
    names: list[str], count: int, interval: float, url: str, fired: list[Any]
) -> list[Callable[[], Awaitable[None]]]:
    from airflow.providers.dbt.cloud.hooks.dbt import DbtCloudHook
    from airflow.providers.dbt.cloud.triggers.dbt import DbtCloudRunJobTrigger

    def here(tenant: str, endpoint: str, *arguments: Any, **options: Any) -> tuple[str, dict[str, Any]]:
        return f"{url}/api/v2/accounts/{endpoint}", {}

    DbtCloudHook.get_request_url_params = staticmethod(here)

    def waiting(number: int) -> Callable[[], Awaitable[None]]:
        trigger = DbtCloudRunJobTrigger(
            conn_id="dbt_cloud_default",
            run_id=number,
            end_time=time.time() + 86_400,
            poll_interval=interval,
            account_id=1,
        )

        async def wait() -> None:
            try:
                async for event in trigger.run():
                    fired.append((number, time.time(), event.payload["status"]))  # noqa: PERF401
            except Exception as error:
                fired.append((number, time.time(), f"failed: {type(error).__name__}"))

        return wait

    return [waiting(number) for number in range(count)]


def official(
    names: list[str], count: int, interval: float, url: str, fired: list[Any]
) -> list[Callable[[], None]]:
    import huggingface_hub

    api = huggingface_hub.HfApi()

    def waiting(number: int) -> Callable[[], None]:
        def wait() -> None:
            try:
                api.wait_for_space(names[number], poll_interval=interval)
                fired.append((number, time.time(), "reached"))
            except Exception as error:
                fired.append((number, time.time(), f"failed: {type(error).__name__}"))

        return wait

    return [waiting(number) for number in range(count)]


if __name__ == "__main__":
    main()
