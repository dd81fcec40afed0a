"""A wait for a commit ends only when that commit serves, as far as the Hub's report is up to date.

A random history happens to a Space on the emulated Hub: a commit, other pushes, failed builds, crashes,
restarts, hardware requests, and a runtime that lags, or reports the new commit late or never.
"""

from __future__ import annotations

import random

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub import HubClient, calls
from airflow_provider_hfspaces.hub.errors import SpaceWaitError
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.stages import SpaceStage
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.hub.waiting.wait import Wait
from tests.emulator.commits import commit

SPACE = "acme/whisper"
LOOKS = 40
HISTORIES = 25


class History:
    """A Space, a commit to it, and what happens to the Space while somebody waits for that commit."""

    def __init__(self, hub: HubEmulator, seed: int) -> None:
        self.luck = random.Random(seed)
        self.hub = hub
        self.lag = self.luck.choice([0, 0, 5, 40, 90])
        self.sha_lag = self.luck.choice([0, 0, 10, 60])
        self.is_calm = self.luck.random() < 0.4
        hub.reset()
        hub.settings.change(
            {
                "timings": {"lag": self.lag, "sha_lag": self.sha_lag},
                "restart_serves": self.luck.random() < 0.5,
                "failed_build_serves": self.luck.random() < 0.5,
                "lag_hides_request": self.luck.random() < 0.5,
                "runtime_has_sha": self.is_calm or self.luck.random() < 0.8,
            }
        )
        self.space = hub.add_space(SPACE, hardware="t4-small")
        self.client = HubClient(hub.token, hub.url)
        self.hardware = self.luck.choice([None, "t4-small", "l4x1"])
        self.before = self.runtime()
        if not self.is_calm and self.luck.random() < 0.3:
            self.push("before")
        self.commit = self.push("wanted")
        if self.hardware is not None:
            self.client.send(calls.request_hardware(SPACE, self.hardware))

    def runtime(self) -> SpaceRuntime:
        return self.client.send(calls.get_runtime(SPACE))

    def push(self, text: str) -> str:
        return str(commit(self.hub, {"app.py": text.encode()}).json()["commitOid"])

    def go_on(self) -> None:
        """Let time pass. Sometimes something happens to the Space."""
        self.hub.advance(self.luck.choice([3, 8, 20, 45]))
        if self.is_calm or self.luck.random() > 0.2:
            return
        event = self.luck.choice(["push", "break", "crash", "restart", "hardware"])
        if event == "push":
            self.push(str(self.luck.random()))
        elif event == "break":
            self.space.fail_next_build()
        elif event == "crash" and self.space.stage == SpaceStage.RUNNING:
            self.space.crash()
        elif event == "restart":
            self.client.send(calls.restart(SPACE))
        elif event == "hardware":
            self.client.send(calls.request_hardware(SPACE, self.luck.choice(["t4-small", "l4x1"])))

    def has_served_recently(self) -> bool:
        """Returns True if the commit has served within the time by which the runtime may lag."""
        since = self.hub.now() - self.lag - self.sha_lag
        moments = self.space.history
        ends = [moment.time for moment in moments[1:]] + [self.hub.now() + 1]
        return any(
            moment.sha == self.commit and end >= since for moment, end in zip(moments, ends, strict=True)
        )

    def play(self) -> bool | None:
        """Wait for the commit. Returns whether the wait ended rightly; ``None`` if it did not end."""
        goal = Goal(sha=self.luck.choice([self.commit, self.commit[:7]]), hardware=self.hardware)
        wait = Wait(SPACE, goal, timeout=3600, before=self.before)
        began = self.hub.now()
        for _ in range(LOOKS):
            try:
                if wait.observe(self.runtime(), self.hub.now() - began) is not None:
                    return self.has_served_recently()
            except SpaceWaitError:
                return None
            self.go_on()
        return None


def outcomes(emulator: HubEmulator, seeds: range) -> dict[int, tuple[bool, bool | None]]:
    results = {}
    for seed in seeds:
        history = History(emulator, seed)
        results[seed] = (history.is_calm, history.play())
    return results


def check(results: dict[int, tuple[bool, bool | None]]) -> None:
    assert [seed for seed, (_, right) in results.items() if right is False] == []
    assert [seed for seed, (is_calm, right) in results.items() if is_calm and right is None] == []
    assert sum(right is None for _, right in results.values()) > len(results) / 10


def test_a_wait_for_a_commit_never_ends_before_that_commit_has_served(emulator: HubEmulator) -> None:
    check(outcomes(emulator, range(HISTORIES)))


@pytest.mark.slow
def test_no_history_out_of_thousands_ends_a_wait_before_the_commit_has_served(emulator: HubEmulator) -> None:
    check(outcomes(emulator, range(1000, 3000)))


def test_a_commit_that_the_hub_does_not_report_is_never_reached(emulator: HubEmulator) -> None:
    history = History(emulator, 1)
    emulator.settings.change({"runtime_has_sha": False})
    history.is_calm = True
    assert history.play() is None


def test_a_commit_that_did_not_run_before_the_request_ends_the_wait_at_once() -> None:
    before = SpaceRuntime("RUNNING", "cpu-basic", "cpu-basic", sha="a" * 40)
    after = SpaceRuntime("RUNNING", "cpu-basic", "cpu-basic", sha="b" * 40)
    wait = Wait(SPACE, Goal(sha="b" * 40), timeout=600, before=before)
    assert wait.observe(before, 1) is None
    assert wait.observe(after, 2) == after


def test_a_commit_that_ran_before_the_request_counts_only_after_the_grace_time() -> None:
    runtime = SpaceRuntime("RUNNING", "cpu-basic", "cpu-basic", sha="a" * 40)
    wait = Wait(SPACE, Goal(sha="a" * 7), timeout=600, before=runtime)
    assert wait.observe(runtime, 1) is None
    assert wait.observe(runtime, 31) == runtime
