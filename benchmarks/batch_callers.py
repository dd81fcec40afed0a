"""The callers of ``benchmarks.batch``, which starts each of them in a process of its own.

``python batch_callers.py WAY URL ITEMS IN_FLIGHT`` prints the seconds and the number of correct answers as
JSON. ``batch`` and ``client`` call the app once before the clock starts, so that connecting and reading the
app's description do not count.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

FULL_QUEUE = 16
"""Calls in flight that keep the queue of the app filled."""


def limit(url: str, items: int, in_flight: int) -> dict[str, Any]:
    """Keep the app's queue full with the two bare requests of each call."""
    import httpx

    async def run() -> tuple[float, int]:
        right, numbers = 0, iter(range(items))

        async def work() -> None:
            nonlocal right
            for number in numbers:
                call = f"{url}/gradio_api/call/predict"
                sent = await client.post(call, json={"data": [f"item {number}"]})
                answer = await client.get(f"{call}/{sent.json()['event_id']}")
                right += f"ITEM {number}" in answer.text

        async with httpx.AsyncClient(timeout=60) as client:
            began = time.perf_counter()
            await asyncio.gather(*(work() for _ in range(FULL_QUEUE)))
            return time.perf_counter() - began, right

    seconds, right = asyncio.run(run())
    return {"seconds": seconds, "right": right}


def batch(url: str, items: int, in_flight: int) -> dict[str, Any]:
    """Run a SpaceBatch, which writes its journal and its results to disk."""
    from airflow_provider_hfspaces.space_app import SpaceApp
    from airflow_provider_hfspaces.space_app.batch import BatchLimits, SpaceBatch
    from airflow_provider_hfspaces.space_app.batch.senders import GradioSender

    async def run(folder: Path) -> float:
        async with SpaceApp("acme/upper", url, connections=in_flight) as app:
            await app.acall("/predict", ["warm"])
            values = [{"text": f"item {number}"} for number in range(items)]
            limits = BatchLimits(max_in_flight=in_flight)
            work = SpaceBatch("acme/upper", values, folder, limits=limits)
            began = time.perf_counter()
            await work.run(GradioSender(app, "/predict", work.folder))
            return time.perf_counter() - began

    with tempfile.TemporaryDirectory() as folder:
        seconds = asyncio.run(run(Path(folder)))
        lines = (Path(folder) / "results.jsonl").read_text().splitlines()
    right = sum(json.loads(line)["output"] == f"ITEM {number}" for number, line in enumerate(lines))
    return {"seconds": seconds, "right": right}


def client(url: str, items: int, in_flight: int) -> dict[str, Any]:
    """Use the official client, with a thread for each call in flight."""
    from gradio_client import Client

    app = Client(url, verbose=False)
    app.predict("warm", api_name="/predict")

    def call(number: int) -> bool:
        try:
            return bool(app.predict(f"item {number}", api_name="/predict") == f"ITEM {number}")
        except BaseException:  # the client raises CancelledError for a stream that ends early
            return False

    with ThreadPoolExecutor(in_flight) as threads:
        began = time.perf_counter()
        right = sum(threads.map(call, range(items)))
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "right": right}


if __name__ == "__main__":
    way, address, number, most = sys.argv[1:]
    print(
        json.dumps({"limit": limit, "batch": batch, "client": client}[way](address, int(number), int(most)))
    )
