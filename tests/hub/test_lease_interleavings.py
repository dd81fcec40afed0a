"""Thousands of ways in which runs that fight for one Space can interleave, crash and lose messages.

A small simulated Hub executes the calls of the lease one at a time. A seeded scheduler decides who goes
next, which requests are late, lost or repeated, and which runs die.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.errors import HubBadRequest, HubConflict, HubError, HubGone, HubUnavailable
from airflow_provider_hfspaces.hub.lease.actions import LeaseLost, SpaceLease, Taken
from airflow_provider_hfspaces.hub.lease.guard import guarded
from airflow_provider_hfspaces.hub.lease.record import LeaseHolder, Standing
from airflow_provider_hfspaces.hub.lease.store import LeaseStore

SPACE = "acme/whisper"
FREE = "cpu-basic"
RUNS = 3
FAST_SEEDS = range(500)
SLOW_BATCHES = [range(first, first + 1000) for first in range(0, 10_000, 1000)]


class SimulatedHub:
    """One Space, its hardware and its branches; a request takes effect at once or later."""

    def __init__(self) -> None:
        self.hardware = FREE
        self.commits: dict[str, str | None] = {}
        self.head: str | None = None
        self.commit_count = 0

    def answer(self, call: Call[Any]) -> Any:
        path = call.path
        if path.endswith("/runtime"):
            return self._runtime()
        if "/revision/" in path:
            return self._must_exist()
        if "/resolve/" in path:
            text = self.commits[path.split("/resolve/")[1].split("/")[0]]
            if text is None:
                raise HubGone("no such file", status=404)
            return text
        if "/branch/" in path:
            if self.head is not None:
                raise HubConflict("the branch exists", status=409)
            self._move_to(None)
            return None
        if "/commit/" in path:
            return self._commit(call)
        assert path.endswith("/hardware")
        assert call.body is not None
        self.hardware = str(call.body["flavor"])
        return self._runtime()

    def _runtime(self) -> Any:
        payload = {
            "stage": "RUNNING",
            "hardware": {"current": self.hardware, "requested": self.hardware},
            "gcTimeout": None,
            "replicas": {"current": 1, "requested": 1},
        }
        return calls.get_runtime(SPACE).read(payload)

    def _must_exist(self) -> str:
        if self.head is None:
            raise HubGone("no such branch", status=404)
        return self.head

    def _commit(self, call: Call[Any]) -> str:
        assert call.lines is not None
        header, file = call.lines
        if header["value"]["parentCommit"] != self._must_exist():
            raise HubBadRequest("a commit has happened since", status=412)
        self.commit_count += 1
        return self._move_to(base64.b64decode(file["value"]["content"]).decode())

    def _move_to(self, text: str | None) -> str:
        self.head = f"{len(self.commits):040x}"
        self.commits[self.head] = text
        return self.head


@dataclass
class Run:
    """A run: take the lease, request a GPU, work, restore; each part is tried a few times."""

    number: int
    dice: random.Random
    over: bool = False
    at_work: bool = False
    has_worked: bool = False
    steps: Any = field(default=None, repr=False)

    @property
    def holder_id(self) -> str:
        return f"{self.number:016x}"

    @property
    def hardware(self) -> str:
        return f"gpu-{self.number}"


class World:
    """A Hub, some runs, and all that can go wrong between them."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.hub = SimulatedHub()
        self.runs: list[Run] = []
        self.late: list[Call[Any]] = []
        self.now = datetime(2026, 1, 1, tzinfo=timezone.utc)
        self.trouble = self.dice.choice((0.0, 0.05, 0.2, 0.4))

    def judge_for(self, run: Run) -> Callable[[LeaseHolder], Standing]:
        def judge(holder: LeaseHolder) -> Standing:
            if holder.holder_id == run.holder_id:
                return Standing.OWN
            other = self.runs[int(holder.holder_id, 16)]
            return Standing.OVER if other.over else Standing.AT_WORK

        return judge

    def lease_of(self, run: Run) -> SpaceLease:
        return SpaceLease(LeaseStore(SPACE), run.holder_id, clock=lambda: self.now)

    def life(self, run: Run) -> Iterator[Any]:
        """Yields the steps of a run: calls, and ``None`` where time passes."""
        has_lease = yield from self.retry(lambda: self.take_lease(run), 40)
        if has_lease:
            has_hardware = yield from self.retry(lambda: self.upgrade(run), 3)
            if has_hardware:
                run.at_work = True
                self.check_alone(run)
                for _ in range(self.dice.randint(1, 5)):
                    yield None
                run.at_work, run.has_worked = False, True
            yield from self.retry(lambda: self.restore(run), 4)
        run.over = True

    def retry(self, part: Callable[[], Any], tries: int) -> Iterator[Any]:
        """Run a task with retries. Returns True if one of its tries succeeded."""
        for _ in range(tries):
            try:
                if (yield from part()):
                    return True
            except (HubError, LeaseLost):
                pass
            yield None
        return False

    def take_lease(self, run: Run) -> Iterator[Any]:
        outcome = yield from self.lease_of(run).take(self.judge_for(run))
        return isinstance(outcome, Taken)

    def upgrade(self, run: Run) -> Iterator[Any]:
        yield from self.lease_of(run).announce(run.hardware, 3600)
        yield calls.request_hardware(SPACE, run.hardware, offered=[_flavor(run.hardware)])
        return True

    def restore(self, run: Run) -> Iterator[Any]:
        lease = self.lease_of(run)
        try:
            outcome = yield from lease.take(self.judge_for(run))
            if not isinstance(outcome, Taken):
                return True
            previous = str(outcome.previous.hardware)
            if outcome.runtime.configured_hardware != previous:
                request = _one(calls.request_hardware(SPACE, previous, offered=[_flavor(previous)]))
                yield from guarded(request, lease.confirm)
            runtime = yield calls.get_runtime(SPACE)
            if runtime.configured_hardware != previous:
                return False
            yield from lease.give_back()
        except HubError:
            yield from lease.abandon()
            raise
        return True

    def check_alone(self, run: Run) -> None:
        others = [each for each in self.runs if each is not run and each.at_work]
        assert not others, f"{run} and {others} are at work at the same time"

    def play(self) -> None:
        self.runs.extend(Run(number, self.dice) for number in range(RUNS))
        for run in self.runs:
            run.steps = self.driver(run)
        alive = list(self.runs)
        while alive:
            self.now += timedelta(seconds=1)
            run = self.dice.choice(alive)
            if self.dice.random() < self.trouble / 20:
                # The run dies: its work ends, and nothing of it restores the Space.
                run.over, run.at_work = True, False
                alive.remove(run)
                continue
            try:
                next(run.steps)
            except StopIteration:
                alive.remove(run)
            self.deliver_late()
            self.check_nothing_is_lost()
        self.settle()

    def driver(self, run: Run) -> Iterator[None]:
        """Execute the steps of a run, one request at a time, over a network that is not reliable."""
        life = self.life(run)
        answer: Any = None
        error: HubError | None = None
        while True:
            try:
                step = life.throw(error) if error is not None else life.send(answer)
            except StopIteration:
                return
            answer, error = None, None
            yield
            if isinstance(step, Call):
                try:
                    answer = self.send(step)
                except HubError as problem:
                    error = problem

    def send(self, call: Call[Any]) -> Any:
        luck = self.dice.random()
        changes = call.method != "GET"
        if luck < self.trouble / 4:
            raise HubUnavailable("refused", status=503)
        if changes and luck < self.trouble / 2:
            self.late.append(call)
            raise HubUnavailable("no answer", outcome_unknown=True)
        answer = self.hub.answer(call)
        if changes and luck < self.trouble * 3 / 4:
            self.late.append(call)
        if changes and luck < self.trouble:
            raise HubUnavailable("no answer", outcome_unknown=True)
        return answer

    def deliver_late(self) -> None:
        while self.late and self.dice.random() < 0.3:
            call = self.late.pop(self.dice.randrange(len(self.late)))
            try:
                self.hub.answer(call)
            except HubError:
                continue

    def check_nothing_is_lost(self) -> None:
        """Where a run has put the Space on a GPU, the record knows what to restore."""
        text = self.hub.commits.get(self.hub.head or "")
        if self.hub.hardware == FREE or text is None:
            assert self.hub.hardware == FREE, "nobody has leased the Space"
            return
        record = json.loads(text)
        previous_states = [each["previous"] for each in record["holders"]] or [record["ended"]["previous"]]
        assert previous_states[0]["hardware"] == FREE

    def settle(self) -> None:
        """All messages arrive, then one last run comes, on a Hub that works again."""
        self.trouble = 0.0
        while self.late:
            self.deliver_late()
            self.check_nothing_is_lost()
        last = Run(len(self.runs), self.dice)
        self.runs.append(last)
        for _ in self.driver(last):
            pass
        assert last.has_worked, "a lease of runs that are over is free"
        assert self.hub.hardware == FREE, "the Space is still on a GPU after all runs"


def _one(call: Call[Any]) -> Iterator[Any]:
    return (yield call)


def _flavor(name: str) -> Any:
    payload = {
        "name": name,
        "prettyName": name,
        "cpu": "1",
        "ram": "1",
        "unitCostMicroUSD": 0,
        "unitCostUSD": 0,
        "unitLabel": "minute",
    }
    return calls.list_hardware().read([payload])[0]


def play(seeds: Iterable[int]) -> None:
    for seed in seeds:
        print(f"seed {seed}")
        World(seed).play()


def test_no_two_runs_work_at_once_and_nothing_stays_on() -> None:
    play(FAST_SEEDS)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", SLOW_BATCHES, ids=lambda seeds: f"from seed {seeds.start}")
def test_no_two_runs_work_at_once_in_ten_thousand_interleavings(seeds: range) -> None:
    play(seeds)


def test_a_window_in_which_nothing_goes_wrong_makes_three_commits() -> None:
    world = World(seed=0)
    world.trouble = 0.0
    run = Run(0, world.dice)
    world.runs.append(run)
    for _ in world.driver(run):
        pass
    assert run.has_worked
    assert world.hub.commit_count == 3
