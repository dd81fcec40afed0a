"""Many Spaces on a bad day: nothing is lost or done twice, and every failure is reported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator

THREADS = 24
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 60}


@pytest.mark.parametrize(
    ("spaces", "processes"),
    [
        pytest.param(60, 2, id="60 Spaces"),
        pytest.param(1000, 3, id="1,000 Spaces", marks=pytest.mark.slow),
    ],
)
def test_every_reported_result_agrees_with_the_state_of_the_spaces(
    hub: HubEmulator, spaces: int, processes: int
) -> None:
    for number in range(spaces):
        hub.add_space(f"acme/s{number}")
    hub.bad_day(seed=20261123, quota=1500, window=2)
    share = -(-spaces // processes)
    workers = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.emulator.chaos_worker",
                str(first),
                str(first + share),
                str(THREADS),
            ],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ.copy(),
        )
        for first in range(0, spaces, share)
    ]
    reported: dict[str, dict[str, str]] = {}
    for worker in workers:
        output, _ = worker.communicate(timeout=240)
        assert worker.returncode == 0
        reported.update(json.loads(output.splitlines()[-1]))
    results: Counter[tuple[str, str]] = Counter()
    for request in hub.requests:
        if request.took_effect and request.method == "POST":
            repo_id, _, what = request.path.removeprefix("/api/spaces/").rpartition("/")
            results[repo_id, what] += 1
    outcomes: Counter[tuple[str, str]] = Counter()
    for repo_id in (f"acme/s{number}" for number in range(spaces)):
        for what, outcome in reported[repo_id].items():
            outcomes[what, outcome.partition(":")[0]] += 1
            times = results[repo_id, what]
            if outcome == "done":
                assert times >= 1, f"{what} of {repo_id} was lost"
            elif outcome != "unknown":
                assert times == 0, f"{what} of {repo_id} was done, but reported as {outcome}"
            if what != "pause":
                assert times <= 1, f"{what} of {repo_id} was done {times} times"
        assert hub.has_space(f"{repo_id}-copy") == (results[repo_id, "duplicate"] == 1)
        if reported[repo_id]["pause"] == "done":
            assert hub.space(repo_id).stage == "PAUSED"
        if reported[repo_id]["hardware"] == "done":
            assert hub.space(repo_id).requested_hardware == "t4-small"

    # The faults did strike, and nearly all requests succeeded nevertheless.
    faults = Counter(request.fault for request in hub.requests)
    assert faults["status"] > 0.2 * spaces
    assert faults["reset"] > 0.04 * spaces
    assert outcomes["restart", "unknown"] >= spaces // 200
    assert outcomes["hardware", "done"] > 0.96 * spaces
    assert outcomes["pause", "done"] > 0.96 * spaces
