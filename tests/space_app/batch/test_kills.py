"""A batch whose worker, app, Hub and hardware fail at random moments ends complete and correct."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import Fault, GradioApp, HubEmulator, SpaceHandle
from airflow_provider_hfspaces.hub.calls import request_hardware
from airflow_provider_hfspaces.hub.http.client import HubClient
from tests.conftest import ROOT
from tests.space_app.batch.kill_worker import TRY_AGAIN

SPACE = "acme/upper"
HARDWARE = ("t4-small", "a10g-small", "cpu-basic")


async def upper(text: str) -> str:
    """The text in capital letters, after up to 20 ms."""
    await asyncio.sleep(0.02 * random.Random(text).random())
    return text.upper()


@pytest.fixture
def hub() -> Iterator[HubEmulator]:
    """A Hub whose time moves with its requests, so that a change of hardware takes some looks."""
    with HubEmulator(speed=0, seconds_per_request=20) as hub:
        yield hub


class Batch:
    """One batch with a series of faults, chosen by a seed.

    :param kills: number of faults.
    """

    def __init__(self, hub: HubEmulator, folder: Path, *, seed: int, items: int, kills: int) -> None:
        self.struck: Counter[str] = Counter()
        self._hub, self._folder, self._kills = hub, folder, kills
        self._luck = random.Random(seed)
        self._space: SpaceHandle = hub.add_space(
            SPACE, private=True, hardware="t4-small", app=GradioApp(endpoints={"upper": upper}, concurrency=4)
        )
        self._texts = [f"seed {seed} item {number}" for number in range(items)]
        self._items = folder / "items.jsonl"
        self._items.write_text("".join(json.dumps({"text": text}) + "\n" for text in self._texts))
        self._worker: subprocess.Popen[str] | None = None

    def run(self) -> None:
        """Start workers until one ends the batch, and strike in between."""
        faults = [self.kill_worker, self.kill_app, self.lose_hub, self.change_hardware]
        try:
            while True:
                worker = self._worker = self._start()
                while self.struck.total() < self._kills and self._sends(self._luck.randint(2, 15)):
                    self._luck.choices(faults, weights=(4, 3, 2, 1))[0]()
                _, errors = worker.communicate(timeout=120)
                if worker.returncode == 0:
                    return
                assert worker.returncode in (TRY_AGAIN, -9), errors
        finally:
            if self._worker is not None and self._worker.poll() is None:
                self._worker.kill()
                self._worker.wait()

    def kill_worker(self) -> None:
        assert self._worker is not None
        self._worker.kill()
        self._worker.wait()
        self.struck["worker"] += 1

    def kill_app(self) -> None:
        if self._space.stage == "RUNNING":
            self._space.kill_app()
            self.struck["app"] += 1

    def lose_hub(self) -> None:
        """Make the Hub unavailable for some requests, and have the app ask for it."""
        self._hub.faults.add(Fault("status", status=503, path="/runtime", times=self._luck.randint(1, 60)))
        self.kill_app()
        self.struck["hub"] += 1

    def change_hardware(self) -> None:
        hardware = self._luck.choice([each for each in HARDWARE if each != self._space.requested_hardware])
        with HubClient(self._hub.token, self._hub.url) as client:
            client.send(request_hardware(SPACE, hardware))
        self.struck["hardware"] += 1

    def check(self) -> None:
        """Compare the results with what the app answers to each item."""
        lines = (self._folder / "out" / "results.jsonl").read_text().splitlines()
        results = [json.loads(line) for line in lines]
        assert [each["index"] for each in results] == list(range(len(self._texts)))
        assert [each.get("output") for each in results] == [text.upper() for text in self._texts]

    def _start(self) -> subprocess.Popen[str]:
        arguments: dict[str, Any] = {
            "repo_id": SPACE,
            "hub": self._hub.url,
            "token": self._hub.token,
            "items": str(self._items),
            "output": str(self._folder / "out"),
        }
        command = [sys.executable, "-m", "tests.space_app.batch.kill_worker", json.dumps(arguments)]
        return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)

    def _sends(self, calls: int) -> bool:
        """Wait until the worker has sent this many more calls. Returns False if the worker ends earlier."""
        assert self._worker is not None
        target = self._count_calls + calls
        while self._worker.poll() is None:
            if self._count_calls >= target:
                return True
            time.sleep(0.005)
        return False

    @property
    def _count_calls(self) -> int:
        return sum(each.path.endswith("/call/upper") for each in self._space.app_requests)


def test_a_batch_that_is_interrupted_in_every_way_ends_complete_and_correct(
    hub: HubEmulator, tmp_path: Path
) -> None:
    batch = Batch(hub, tmp_path, seed=4, items=80, kills=5)
    batch.run()
    assert batch.struck.total() >= 5
    batch.check()


@pytest.mark.slow
def test_batches_that_are_interrupted_two_hundred_times_end_complete_and_correct(
    hub: HubEmulator, tmp_path: Path
) -> None:
    struck: Counter[str] = Counter()
    seed = 0
    while struck.total() < 200:
        folder = tmp_path / str(seed)
        folder.mkdir()
        hub.reset()
        hub.settings.seconds_per_request = 20
        batch = Batch(hub, folder, seed=seed, items=200, kills=min(20, 200 - struck.total()))
        batch.run()
        batch.check()
        struck += batch.struck
        seed += 1
    assert min(struck[kind] for kind in ("worker", "app", "hub", "hardware")) >= 10
