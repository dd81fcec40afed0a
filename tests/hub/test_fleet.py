"""The work queue: parallel requests within the rate limit, batches, and stopping."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.bulk.lookup import read_runtimes
from airflow_provider_hfspaces.hub.bulk.progress import Progress, duration
from airflow_provider_hfspaces.hub.bulk.queue import Quota, in_parallel
from airflow_provider_hfspaces.hub.errors import HubRateLimited, SpaceNotFound
from airflow_provider_hfspaces.hub.http.quota import RateBudget
from airflow_provider_hfspaces.hub.models import SpaceRuntime


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def learn(budget: RateBudget, remaining: int, reset: int = 100, status: int = 200) -> None:
    headers = {
        "ratelimit": f'"api";r={remaining};t={reset}',
        "ratelimit-policy": '"fixed window";"api";q=500;w=300',
    }
    budget.learn(headers, status)


class TestTheQuota:
    def test_allows_as_many_requests_as_remain(self) -> None:
        clock = Clock()
        budget = RateBudget(clock)
        quota = Quota(budget, clock=clock)
        assert quota.wait(7) == 0
        learn(budget, 3)
        assert quota.wait(2) == 0
        assert 0 < quota.wait(3) < 1

    def test_counts_every_request_of_an_item(self) -> None:
        clock = Clock()
        budget = RateBudget(clock)
        quota = Quota(budget, per_item=2, clock=clock)
        learn(budget, 5)
        assert quota.wait(1) == 0
        assert 0 < quota.wait(2) < 1
        assert quota.seconds_for(2) == 0
        assert quota.seconds_for(3) > 0

    def test_is_probed_with_one_request_when_a_new_window_begins(self) -> None:
        clock = Clock()
        budget = RateBudget(clock)
        quota = Quota(budget, clock=clock)
        learn(budget, 0)
        wait = quota.wait(0)
        assert 101 <= wait <= 104
        clock.now += wait
        assert quota.wait(0) == 0
        assert quota.wait(1) > 0
        learn(budget, 499, reset=298)
        assert quota.wait(1) == 0

    def test_does_not_grow_by_an_older_answer_that_arrives_later(self) -> None:
        clock = Clock()
        budget = RateBudget(clock)
        learn(budget, 4)
        learn(budget, 9)
        assert budget.remaining == 4
        clock.now += 101
        learn(budget, 499, reset=299)
        assert budget.remaining == 499

    def test_estimates_how_long_a_number_of_requests_has_to_wait(self) -> None:
        clock = Clock()
        budget = RateBudget(clock)
        quota = Quota(budget, clock=clock)
        assert quota.seconds_for(10_000) == 0
        learn(budget, 100)
        assert [quota.seconds_for(number) for number in (100, 101, 600, 601)] == [0, 100, 100, 400]


def double(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    return number * 2


def test_each_item_ends_with_a_result_or_its_error() -> None:
    outcomes = list(
        in_parallel(range(5), double, quota=Quota(RateBudget()), parallel=3, stop=threading.Event())
    )
    assert sorted(each.value for each in outcomes if each.error is None and each.value is not None) == [
        0,
        2,
        4,
        8,
    ]
    assert [str(each.error) for each in outcomes if each.error] == ["three"]


def test_an_item_that_the_rate_limit_refuses_is_retried() -> None:
    refusals = [2]

    def act(number: int) -> int:
        if number == 1 and refusals[0]:
            refusals[0] -= 1
            error = HubRateLimited("too many")
            error.retry_after = -1
            raise error
        return number

    outcomes = in_parallel(range(3), act, quota=Quota(RateBudget()), parallel=2, stop=threading.Event())
    assert sorted(each.value for each in outcomes if each.value is not None) == [0, 1, 2]
    assert refusals == [0]


def test_a_batch_is_prepared_before_its_first_item_starts() -> None:
    events: list[tuple[str, Sequence[int]]] = []

    def prepare(batch: Sequence[int]) -> list[int]:
        events.append(("prepare", tuple(batch)))
        return [each for each in batch if each != 2]

    def act(number: int) -> None:
        events.append(("act", (number,)))

    stop, quota = threading.Event(), Quota(RateBudget())
    outcomes = list(in_parallel(range(5), act, quota=quota, parallel=1, stop=stop, prepare=prepare, batch=2))
    assert [each.item for each in outcomes] == [0, 1, 3, 4]
    assert events[0] == ("prepare", (0, 1))
    for number in (0, 1, 3, 4):
        preparation = next(at for at, (what, of) in enumerate(events) if what == "prepare" and number in of)
        assert preparation < events.index(("act", (number,)))


def test_items_that_waited_long_are_prepared_again() -> None:
    preparations: list[list[int]] = []

    class TightQuota(Quota):
        waits = [0.0, 0.0, 0.0, 31.0]

        def wait(self, under_way: int) -> float:
            return self.waits.pop(0) if self.waits else 0.0

    def prepare(batch: Sequence[int]) -> Sequence[int]:
        preparations.append(list(batch))
        return batch

    stop, quota = threading.Event(), TightQuota(RateBudget())
    outcomes = list(in_parallel(range(4), abs, quota=quota, parallel=2, stop=stop, prepare=prepare))
    assert sorted(each.item for each in outcomes) == [0, 1, 2, 3]
    assert preparations == [[0, 1, 2, 3], [2, 3]]


def test_a_stopped_queue_yields_the_items_in_progress_and_starts_no_others() -> None:
    stop, starts = threading.Event(), []

    def act(number: int) -> int:
        starts.append(number)
        if number == 2:
            stop.set()
        time.sleep(0.01)
        return number

    outcomes = list(in_parallel(range(100), act, quota=Quota(RateBudget()), parallel=2, stop=stop))
    assert len(starts) < 6
    assert {each.item for each in outcomes} == set(starts)


class TestReadRuntimes:
    def test_reads_many_spaces_of_an_owner_from_one_list(self, hub: HubEmulator) -> None:
        names = [hub.add_space(f"acme/s{number}").repo_id for number in range(30)]
        runtimes = read_runtimes(HfSpacesHook().client, names, stop=threading.Event())
        assert {type(each) for each in runtimes.values()} == {SpaceRuntime}
        assert set(runtimes) == set(names)
        assert len(hub.requests) == 1

    def test_reads_at_most_as_many_pages_as_there_are_spaces(self, hub: HubEmulator) -> None:
        hub.settings.change({"largest_page": 1})
        for number in range(20):
            hub.add_space(f"acme/s{number:02}")
        repo_ids = ["acme/s00", "acme/s01", "acme/s18", "acme/s19"]
        runtimes = read_runtimes(HfSpacesHook().client, repo_ids, stop=threading.Event())
        assert set(runtimes) == set(repo_ids)
        assert len(hub.requests) <= 2 * len(repo_ids)

    def test_returns_an_error_for_a_missing_space_and_follows_a_rename(self, hub: HubEmulator) -> None:
        for number in range(4):
            hub.add_space(f"acme/s{number}")
        hub.rename_space("acme/s0", "acme/new")
        names = ["acme/s0", "acme/s1", "acme/s2", "acme/s3", "acme/gone"]
        runtimes = read_runtimes(HfSpacesHook().client, names, stop=threading.Event())
        assert isinstance(runtimes["acme/gone"], SpaceNotFound)
        assert isinstance(runtimes["acme/s0"], SpaceRuntime)

    def test_reads_doubtful_spaces_one_by_one(self, hub: HubEmulator) -> None:
        hub.settings.change({"timings": {"list_lag": 10_000}})
        names = [hub.add_space(f"acme/s{number}", stage="PAUSED").repo_id for number in range(4)]
        hub.advance(20_000)
        HfSpacesHook().restart("acme/s1")
        runtimes = read_runtimes(
            HfSpacesHook().client,
            names,
            stop=threading.Event(),
            doubtful=lambda repo_id, runtime: repo_id == "acme/s1",
        )
        assert isinstance(runtimes["acme/s1"], SpaceRuntime)
        assert runtimes["acme/s1"].stage != "PAUSED"


class TestProgress:
    def test_is_reported_at_most_every_ten_seconds(self) -> None:
        clock, lines = Clock(), []
        progress = Progress("Paused", 1000, lines.append, clock=clock)
        for number in range(1000):
            clock.now += 0.1
            progress.count(failed=number in (5, 6))
        assert lines[0].startswith("Paused 98 of 1,000 Spaces (2 failed), about ")
        assert 8 <= len(lines) <= 10
        assert str(progress) == "Paused 998 of 1,000 Spaces (2 failed)"

    def test_includes_the_wait_for_the_rate_limit(self) -> None:
        clock, lines = Clock(), []
        progress = Progress(
            "Paused", 100, lines.append, waits=lambda remaining: remaining * 10.0, clock=clock
        )
        for _ in range(10):
            clock.now += 1.5
            progress.count()
        assert lines == ["Paused 7 of 100 Spaces, about 16 min left."]

    @pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (180, "3 min"), (9000, "2.5 h")])
    def test_durations_are_one_number(self, seconds: float, text: str) -> None:
        assert duration(seconds) == text
