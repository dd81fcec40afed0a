"""How fast waits may look: within their share of the quota, however many processes use the same token."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator.model.limits import Limits
from airflow_provider_hfspaces.hub.http.pace import Pace
from airflow_provider_hfspaces.hub.http.quota import RateBudget

WINDOW = 300


class Clock:
    """Virtual time, which passes only during sleeps."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


class TestPace:
    def pace(self, clock: Clock, quota: int = 1000, **options: Any) -> Pace:
        budget = RateBudget(clock)
        budget.learn(
            {
                "ratelimit": f'"api";r={quota};t=300',
                "ratelimit-policy": f'"fixed window";"api";q={quota};w=300',
            },
            200,
        )
        return Pace(budget, clock=clock, sleep=clock.sleep, **options)

    def count_turns(self, pace: Pace, clock: Clock, seconds: float) -> int:
        async def take() -> int:
            end, turns = clock.now + seconds, 0
            while True:
                await pace.turn()
                if clock.now > end:
                    return turns
                turns += 1

        return asyncio.run(take())

    @pytest.mark.parametrize("quota", [100, 1000, 2500])
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_no_window_gets_more_requests_than_the_share(self, quota: int, share: float) -> None:
        clock = Clock()
        pace = self.pace(clock, quota, share=share)
        for _ in range(3):
            assert share * quota * 0.6 < self.count_turns(pace, clock, 300) <= share * quota + 1

    def test_a_burst_is_allowed_and_a_slow_down_is_logged_once(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        clock = Clock()
        pace = self.pace(clock)
        assert pace.has_room(100)
        assert self.count_turns(pace, clock, 0.001) >= 150
        assert not pace.has_room(10)
        self.count_turns(pace, clock, 300)
        assert caplog.text.count("one request every 0.9 seconds, to stay within 50 %") == 1

    def test_requests_of_other_clients_slow_the_watch_down(self) -> None:
        clock = Clock()
        pace = Pace(RateBudget(clock), clock=clock, sleep=clock.sleep)
        end, remaining = clock.now + 150, 300

        async def take() -> None:
            nonlocal remaining
            while clock.now < end:
                pace.budget.count()
                pace.budget.learn(
                    {
                        "ratelimit": f'"api";r={remaining};t={max(int(end - clock.now), 1)}',
                        "ratelimit-policy": '"fixed window";"api";q=1000;w=300',
                    },
                    200,
                )
                await pace.turn()
                remaining -= 1

        asyncio.run(take())
        # A tenth of the quota is left to tasks and people.
        assert 90 <= remaining < 130

    def test_a_share_must_be_above_0_and_at_most_1(self) -> None:
        with pytest.raises(ValueError, match="above 0 and at most 1"):
            Pace(RateBudget(), share=0)


@dataclass
class Traffic:
    """Processes that share a token, each with its own view of the quota, in virtual time.

    The Hub's part is the emulator's own count of requests.

    :ivar looks: the moments at which each process has looked.
    """

    quota: int
    clock: Clock = field(default_factory=lambda: Clock(4 * WINDOW))
    refusals: int = 0
    windows: Counter[int] = field(default_factory=Counter)
    looks: dict[int, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._limits = Limits(clock=self.clock)
        self._limits.tighten(self.quota, WINDOW)
        self._draw = random.Random(3)
        random.seed(3)

    def send(self, budget: RateBudget | None = None) -> None:
        """Send one request, of a process or of somebody else."""
        if budget is not None:
            budget.count()
        allowance = self._limits.take("token", "free")
        self.refusals += not allowance.allowed
        self.windows[int(self.clock.now // WINDOW)] += 1
        if budget is not None:
            headers = {name.lower(): value for name, value in allowance.headers().items()}
            budget.learn(headers, 200 if allowance.allowed else 429)

    def run(
        self,
        processes: int,
        *,
        windows: int = 4,
        requests: int = 1,
        people: float = 0.0,
        late: float = 0.0,
    ) -> Traffic:
        """Let processes look as often as their pace allows.

        :param requests: requests of each look.
        :param people: requests per second of others, who do not adapt.
        :param late: seconds after which every second process begins.
        """
        paces = [Pace(RateBudget(self.clock), clock=self.clock) for _ in range(processes)]
        began = self.clock.now
        queue = [
            (began + self._draw.uniform(0, 5) + (late if number % 2 else 0.0), number)
            for number in range(processes)
        ]
        if people:
            queue.append((began, -1))
        heapq.heapify(queue)
        self.looks = {number: [] for number in range(processes)}
        while queue[0][0] < began + windows * WINDOW:
            at, number = heapq.heappop(queue)
            self.clock.now = max(self.clock.now, at)
            if number < 0:
                self.send()
                heapq.heappush(queue, (self.clock.now + 1 / people, number))
                continue
            pace = paces[number]
            self.looks[number].append(self.clock.now)
            for _ in range(requests):
                self.send(pace.budget)
            heapq.heappush(queue, (self.clock.now + pace.period(requests), number))
        return self

    def longest_gap(self) -> float:
        """Seconds between two looks of one process, at most."""
        return max(
            later - earlier for looks in self.looks.values() for earlier, later in itertools.pairwise(looks)
        )


def test_a_process_alone_looks_every_two_seconds() -> None:
    traffic = Traffic(1000).run(1)
    assert len(traffic.looks[0]) == pytest.approx(600, abs=2)
    assert traffic.refusals == 0


def test_before_the_first_answer_the_smallest_quota_is_assumed() -> None:
    pace = Pace(RateBudget(Clock()), clock=Clock())
    assert pace.period() == 2.0
    # A half of 500 requests in 300 seconds, of which three tenths are kept for bursts.
    assert pace.period(10) == pytest.approx(10 * 300 / 175)


@pytest.mark.parametrize("processes", [2, 3, 5, 10, 32, 100])
@pytest.mark.parametrize("quota", [1000, 2500])
def test_processes_that_do_not_know_of_each_other_share_the_quota_without_a_429(
    processes: int, quota: int
) -> None:
    traffic = Traffic(quota).run(processes)
    assert traffic.refusals == 0
    assert max(traffic.windows.values()) <= quota
    # They use what they may, and nobody is forgotten.
    demand = min(processes * WINDOW / 2, 0.9 * quota)
    assert min(list(traffic.windows.values())[:4]) > 0.8 * demand
    assert traffic.longest_gap() <= max(15 * processes * WINDOW / (0.9 * quota), 3)


@pytest.mark.parametrize("requests", [5, 25])
def test_processes_with_many_owners_look_less_often(requests: int) -> None:
    traffic = Traffic(1000).run(3, requests=requests, windows=8)
    assert traffic.refusals == 0
    assert sum(map(len, traffic.looks.values())) * requests > 8 * 0.75 * 900


def test_processes_that_begin_later_get_their_part() -> None:
    traffic = Traffic(1000).run(20, late=400, windows=8)
    assert traffic.refusals == 0
    last = [sum(at > traffic.clock.now - 2 * WINDOW for at in looks) for looks in traffic.looks.values()]
    assert min(last) > 2 * 900 / 20 / 5


@pytest.mark.parametrize("people", [1.0, 2.0, 2.6])
def test_waits_leave_the_quota_to_requests_of_people_who_do_not_adapt(people: float) -> None:
    traffic = Traffic(1000).run(5, people=people, windows=8)
    assert traffic.refusals == 0
    assert sum(map(len, traffic.looks.values())) > 8 * 0.7 * (900 - people * WINDOW)


def test_waits_speed_up_again_when_others_stop() -> None:
    traffic = Traffic(1000).run(1, people=2.8, windows=2)
    slow = len(traffic.looks[0])
    assert slow < 200
    traffic.run(1, windows=2)
    assert len(traffic.looks[0]) > 290


def test_files_that_the_hub_counts_apart_say_nothing_about_the_quota() -> None:
    budget = RateBudget(Clock())
    api = {"ratelimit": '"api";r=900;t=200', "ratelimit-policy": '"fixed window";"api";q=1000;w=300'}
    files = {
        "ratelimit": '"resolvers";r=0;t=200',
        "ratelimit-policy": '"fixed window";"resolvers";q=5000;w=300',
    }
    budget.learn(api, 200)
    budget.learn(files, 429)
    assert (budget.quota, budget.remaining) == (1000, 900)
    assert budget.wait() == 0


def test_requests_that_are_under_way_do_not_pass_for_those_of_others() -> None:
    clock = Clock()
    budget = RateBudget(clock)
    for number in range(100):
        clock.now += 0.5
        for _ in range(6):
            budget.count()
        budget.learn(
            {
                "ratelimit": f'"api";r={1000 - 6 * number - 1};t={250 - number // 2}',
                "ratelimit-policy": '"fixed window";"api";q=1000;w=300',
            },
            200,
        )
    assert budget.others_rate == pytest.approx(0, abs=0.1)
    assert budget.own_rate == pytest.approx(12, rel=0.2)
