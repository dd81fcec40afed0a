"""A batch as a whole: what is sent, what is written, and how it continues after an interruption."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_hfspaces.hub.cost.prices import PriceList
from airflow_provider_hfspaces.hub.hardware import HardwareFlavor
from airflow_provider_hfspaces.space_app.batch.engine import BatchLimits
from airflow_provider_hfspaces.space_app.batch.errors import (
    BatchStalled,
    BatchStopped,
    BatchTimeout,
    InvalidItems,
    InvalidOutput,
    ItemFailed,
    OutputFailed,
    TooManyFailures,
)
from airflow_provider_hfspaces.space_app.batch.items import Item
from airflow_provider_hfspaces.space_app.batch.journal import Segment
from airflow_provider_hfspaces.space_app.batch.progress import Progress
from airflow_provider_hfspaces.space_app.batch.report import BatchReport
from airflow_provider_hfspaces.space_app.batch.run import SpaceBatch
from airflow_provider_hfspaces.space_app.errors import (
    AppCallLost,
    AppFailed,
    AppLoginRequired,
    AppQueueFull,
    AppUnavailable,
    SpaceAppError,
)
from tests.conftest import TaskLog

SPACE = "acme/upper"
Answer = Callable[[Item], Awaitable[Any]]

QUICK = {"backoff": 0.001, "write_delays": ()}
"""A batch that waits for nothing."""


async def upper(item: Item) -> Any:
    """The app of these tests: text in capital letters."""
    await asyncio.sleep(0)
    return [item.value["text"].upper()]


class Upper:
    """Sends items to a function in this process."""

    request = {"api": "/upper", "inputs": {}}

    def __init__(self, answer: Answer = upper) -> None:
        self.sent_indexes: list[int] = []
        self.visits = 0
        self._answer = answer

    async def prepare(self) -> None:
        pass

    def check(self, item: Item) -> None:
        if not isinstance(item.value.get("text"), str):
            raise InvalidItems(f"{item.place}: text must be text.")

    async def send(self, item: Item) -> Any:
        self.sent_indexes.append(item.index)
        return await self._answer(item)

    async def visit(self) -> None:
        self.visits += 1


def texts(number: int) -> list[dict[str, str]]:
    return [{"text": f"item {index}"} for index in range(number)]


def error(kind: type[SpaceAppError], message: str = "no") -> SpaceAppError:
    return kind(message, repo_id=SPACE)


class Batch(SpaceBatch):
    """A batch with its sender."""

    def __init__(self, sender: Upper, items: Any, output: Path, **options: Any) -> None:
        limits = BatchLimits(**{**QUICK, **options.pop("limits", {})})
        super().__init__(SPACE, items, output, holder="test", limits=limits, **options)
        self._sender = sender

    async def finish(self) -> BatchReport:
        return await self.run(self._sender)


def run(sender: Upper, items: Any, output: Path, **options: Any) -> BatchReport:
    return asyncio.run(Batch(sender, items, output, **options).finish())


def results(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "results.jsonl").read_text().splitlines()]


def outputs(output: Path) -> list[Any]:
    return [line.get("output") for line in results(output)]


def expected(number: int) -> list[Any]:
    return [[f"ITEM {index}"] for index in range(number)]


def test_each_item_is_in_the_results_in_the_order_of_the_items(tmp_path: Path) -> None:
    async def in_any_order(item: Item) -> Any:
        for _ in range(item.index * 7 % 5):
            await asyncio.sleep(0)
        return await upper(item)

    report = run(Upper(in_any_order), texts(50), tmp_path)
    assert outputs(tmp_path) == expected(50)
    assert (report.items, report.done, report.failed, report.called) == (50, 50, 0, 50)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert (manifest["items"], manifest["done"], manifest["api"]) == (50, 50, "/upper")


def test_as_many_calls_are_open_as_allowed_and_no_more(tmp_path: Path) -> None:
    open_calls, most = 0, 0

    async def upper_and_count(item: Item) -> Any:
        nonlocal open_calls, most
        open_calls += 1
        most = max(most, open_calls)
        for _ in range(10):
            await asyncio.sleep(0)
        open_calls -= 1
        return await upper(item)

    run(Upper(upper_and_count), texts(40), tmp_path, limits={"max_in_flight": 7})
    assert most == 7


def test_a_finished_batch_sends_nothing_again(tmp_path: Path, task_log: TaskLog) -> None:
    run(Upper(), texts(5), tmp_path)
    again = Upper()
    report = run(again, texts(5), tmp_path)
    assert again.sent_indexes == []
    assert (report.done, report.called) == (5, 0)
    assert "all 5 items are already done" in task_log.text


def test_new_items_at_the_end_are_sent_alone(tmp_path: Path) -> None:
    run(Upper(), texts(5), tmp_path)
    more = Upper()
    run(more, texts(8), tmp_path)
    assert sorted(more.sent_indexes) == [5, 6, 7]
    assert outputs(tmp_path) == expected(8)


def test_no_items_give_empty_results(tmp_path: Path) -> None:
    report = run(Upper(), [], tmp_path)
    assert results(tmp_path) == []
    assert (report.items, report.items_per_second, report.cost_per_thousand_items) == (0, None, None)


def test_the_key_of_an_item_is_in_its_result(tmp_path: Path) -> None:
    items = [{"text": "a", "id": "first"}, {"text": "b", "id": 2}]
    run(Upper(), items, tmp_path, key="id")
    assert [line["key"] for line in results(tmp_path)] == ["first", 2]


def test_an_item_without_the_key_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    sender = Upper()
    with pytest.raises(InvalidItems, match=r"^items\[1\] has no field 'id', which key names"):
        run(sender, [{"text": "a", "id": 1}, {"text": "b"}], tmp_path, key="id")
    assert sender.sent_indexes == []


def test_an_item_that_does_not_fit_the_endpoint_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    sender = Upper()
    with pytest.raises(InvalidItems, match=r"^items\[3\]: text must be text"):
        run(sender, [*texts(3), {"text": 4}], tmp_path)
    assert sender.sent_indexes == []


def test_a_file_that_changes_while_the_batch_runs_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    # More than is read ahead.
    path.write_text("".join(json.dumps({**each, "more": "x" * 4000}) + "\n" for each in texts(600)))

    async def rewriting(item: Item) -> Any:
        if item.index == 0:
            path.write_text(path.read_text().replace("item 599", "changed"))
        return await upper(item)

    with pytest.raises(InvalidItems, match=r"^items changed while the batch ran, at items\.jsonl, line 600"):
        run(Upper(rewriting), path, tmp_path / "out")


# Errors of the app


def test_a_lost_call_is_sent_again(tmp_path: Path) -> None:
    lost_indexes = {3, 4}

    async def losing(item: Item) -> Any:
        if item.index in lost_indexes:
            lost_indexes.remove(item.index)
            raise error(AppCallLost)
        return await upper(item)

    report = run(Upper(losing), texts(10), tmp_path)
    assert outputs(tmp_path) == expected(10)
    assert (report.repeated, report.called) == (2, 12)
    assert [line["tries"] for line in results(tmp_path)][3] == 2


def test_an_item_that_is_lost_each_time_fails(tmp_path: Path) -> None:
    async def crashing(item: Item) -> Any:
        if item.index == 1:
            raise error(AppCallLost, "the app died")
        return await upper(item)

    sender = Upper(crashing)
    report = run(sender, texts(3), tmp_path, limits={"max_tries": 4})
    assert sender.sent_indexes.count(1) == 4
    assert (report.done, report.failed) == (2, 1)
    assert results(tmp_path)[1]["error"] == {"type": "AppCallLost", "message": "the app died"}


def test_a_full_queue_does_not_count_as_a_try_of_the_item(tmp_path: Path) -> None:
    full = [True] * 20

    async def busy(item: Item) -> Any:
        if full:
            full.pop()
            raise error(AppQueueFull)
        return await upper(item)

    report = run(Upper(busy), texts(4), tmp_path, limits={"max_tries": 1})
    assert outputs(tmp_path) == expected(4)
    assert (report.repeated, report.called) == (0, 4)


def test_an_app_that_is_gone_is_awaited_once_for_all_calls(tmp_path: Path) -> None:
    waits: list[str] = []

    async def unavailable(item: Item) -> Any:
        await asyncio.sleep(0)
        if not waits:
            raise error(AppUnavailable, "503")
        return await upper(item)

    async def recover(reason: Exception | None) -> dict[str, Any]:
        await asyncio.sleep(0)
        if reason is not None:
            waits.append(str(reason))
        return {}

    sender = Upper(unavailable)
    run(sender, texts(10), tmp_path, recover=recover)
    assert outputs(tmp_path) == expected(10)
    assert waits == ["503"]


def test_a_space_that_does_not_come_back_ends_the_batch(tmp_path: Path) -> None:
    async def unavailable(item: Item) -> Any:
        if item.index > 5:
            raise error(AppUnavailable)
        return await upper(item)

    async def raise_pause(reason: Exception | None) -> dict[str, Any]:
        if reason is not None:
            raise RuntimeError("Space acme/upper is PAUSED. Restart it.")
        return {}

    with pytest.raises(RuntimeError, match="is PAUSED"):
        run(Upper(unavailable), texts(10), tmp_path, recover=raise_pause)
    rest = Upper()
    run(rest, texts(10), tmp_path)
    assert sorted(rest.sent_indexes) == [6, 7, 8, 9]


def test_an_app_that_answers_nothing_for_too_long_ends_the_batch(tmp_path: Path) -> None:
    async def unavailable(item: Item) -> Any:
        raise error(AppUnavailable, "502")

    with pytest.raises(
        BatchStalled, match=r"^Space acme/upper: the app has answered no item for 0 seconds: 502"
    ):
        run(Upper(unavailable), texts(3), tmp_path, limits={"stalled": 0.0})


def test_an_error_that_concerns_every_item_ends_the_batch(tmp_path: Path) -> None:
    async def raise_locked(item: Item) -> Any:
        raise error(AppLoginRequired, "log in first")

    with pytest.raises(AppLoginRequired, match="log in first"):
        run(Upper(raise_locked), texts(3), tmp_path)


async def odd_ones_fail(item: Item) -> Any:
    if item.index % 2:
        raise error(AppFailed, f"cannot do {item.index}")
    return await upper(item)


def test_errors_of_items_are_recorded(tmp_path: Path, task_log: TaskLog) -> None:
    report = run(Upper(odd_ones_fail), texts(30), tmp_path)
    assert [line["status"] for line in results(tmp_path)] == ["done", "failed"] * 15
    assert results(tmp_path)[1]["error"] == {"type": "AppFailed", "message": "cannot do 1"}
    assert (report.done, report.failed, len(report.failures)) == (15, 15, 10)
    assert report.failures[0] == {
        "index": 1,
        "place": "items[1]",
        "type": "AppFailed",
        "message": "cannot do 1",
    }
    assert "item 1 (items[1]) failed: cannot do 1" in task_log.text


def test_failed_items_are_sent_again_by_the_next_run(tmp_path: Path) -> None:
    run(Upper(odd_ones_fail), texts(6), tmp_path)
    again = Upper()
    report = run(again, texts(6), tmp_path)
    assert sorted(again.sent_indexes) == [1, 3, 5]
    assert outputs(tmp_path) == expected(6)
    assert (report.done, report.failed) == (6, 0)


def test_one_failed_item_ends_the_batch_if_that_is_wanted(tmp_path: Path) -> None:
    limits = {"stop_on_item_error": True, "max_in_flight": 1}
    with pytest.raises(ItemFailed, match=r"^Space acme/upper: item 1 \(items\[1\]\) failed: cannot do 1"):
        run(Upper(odd_ones_fail), texts(6), tmp_path, limits=limits)
    rest = Upper()
    run(rest, texts(6), tmp_path)
    assert sorted(rest.sent_indexes) == [1, 2, 3, 4, 5]


def test_more_failed_items_than_allowed_end_the_batch(tmp_path: Path) -> None:
    sender = Upper(odd_ones_fail)
    with pytest.raises(TooManyFailures, match=r"3 items failed, and max_failures is 2.*cannot do 5"):
        run(sender, texts(99), tmp_path, limits={"max_failures": 2, "max_in_flight": 1})
    assert max(sender.sent_indexes) == 5


# Early ends


def test_a_batch_ends_at_its_timeout_and_the_next_one_continues(tmp_path: Path) -> None:
    async def hanging(item: Item) -> Any:
        return await (asyncio.sleep(3600) if item.index >= 5 else upper(item))

    with pytest.raises(BatchTimeout, match=r"did not end within 0 seconds; .* items done"):
        run(Upper(hanging), texts(9), tmp_path, limits={"timeout": 0.2})
    rest = Upper()
    run(rest, texts(9), tmp_path)
    assert sorted(rest.sent_indexes) == [5, 6, 7, 8]


def test_a_batch_that_is_stopped_cancels_its_calls_and_keeps_its_answers(tmp_path: Path) -> None:
    cancellations: list[int] = []
    is_stuck = threading.Event()

    async def hanging(item: Item) -> Any:
        if item.index < 5:
            return await upper(item)
        try:
            is_stuck.set()
            return await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancellations.append(item.index)
            raise

    batch = Batch(Upper(hanging), texts(9), tmp_path)

    def stop() -> None:
        is_stuck.wait(60)
        batch.stop("the worker is shut down")

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(
        BatchStopped, match=r"^Space acme/upper: the batch was stopped: the worker is shut down"
    ):
        asyncio.run(batch.finish())
    stopper.join()
    assert sorted(cancellations) == [5, 6, 7, 8]
    rest = Upper()
    run(rest, texts(9), tmp_path)
    assert sorted(rest.sent_indexes) == [5, 6, 7, 8]


def test_a_batch_that_is_stopped_before_it_begins_sends_nothing(tmp_path: Path) -> None:
    sender = Upper()
    batch = Batch(sender, texts(9), tmp_path)
    batch.stop("killed")
    with pytest.raises(BatchStopped):
        asyncio.run(batch.finish())
    assert sender.sent_indexes == []


def test_answers_that_cannot_be_written_end_the_batch(tmp_path: Path) -> None:
    output = tmp_path / "out"

    async def replacing_the_folder(item: Item) -> Any:
        if item.index == 3:
            shutil.rmtree(output)
            output.write_text("a file")
        return await upper(item)

    sender = Upper(replacing_the_folder)
    with pytest.raises(OutputFailed, match=r"answers cannot be written to the output folder"):
        run(sender, texts(9), output, limits={"flush_items": 2})


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sender = Upper()
    with pytest.raises(InvalidOutput, match=r"^output .* cannot be written"):
        run(sender, texts(9), tmp_path / "file")
    assert sender.sent_indexes == []


def test_the_app_is_visited_while_a_long_call_is_open(tmp_path: Path) -> None:
    class Visited(Upper):
        async def send(self, item: Item) -> Any:
            self.enough = asyncio.Event()
            await self.enough.wait()
            return await upper(item)

        async def visit(self) -> None:
            await super().visit()
            if self.visits == 3:
                self.enough.set()

    sender = Visited()
    run(sender, texts(1), tmp_path, limits={"keep_awake": 0.001})
    assert outputs(tmp_path) == expected(1)


# Progress and report


def progress_lines(
    items: int, seconds_per_item: float, log: pytest.LogCaptureFixture, done_count: int = 0
) -> list[str]:
    """Returns the progress lines of a batch whose items each take this long."""
    seconds = 0.0
    log.set_level("INFO")
    progress = Progress(
        "Space acme/upper", items, done_count, log=logging.getLogger("batch"), clock=lambda: seconds
    )
    for _ in range(done_count, items):
        seconds += seconds_per_item
        progress.note(is_result=True)
        progress.show_if_quiet()
    return [line for line in log.messages if "items done (" in line]


def test_the_log_shows_each_tenth_of_the_items(caplog: pytest.LogCaptureFixture) -> None:
    lines = progress_lines(100, 1.0, caplog)
    assert len(lines) == 10
    assert "Space acme/upper: 10 of 100 items done (10%), 1.0 items/s, about 2 min left." in lines[0]
    assert "Space acme/upper: 100 of 100 items done (100%), 1.0 items/s." in lines[9]


def test_the_log_of_a_slow_batch_has_a_line_each_minute(caplog: pytest.LogCaptureFixture) -> None:
    lines = progress_lines(20, 30.0, caplog)
    assert len(lines) == 10
    assert "4 of 20 items done (20%), 0.0 items/s, about 8 min left." in lines[1]


def test_the_log_of_a_fast_batch_has_a_line_in_five_seconds(caplog: pytest.LogCaptureFixture) -> None:
    assert len(progress_lines(1000, 0.011, caplog)) == 2


def test_the_rate_counts_only_the_items_of_this_run(caplog: pytest.LogCaptureFixture) -> None:
    assert (
        "60 of 100 items done (60%), 1.0 items/s, about 40 s left."
        in progress_lines(100, 1.0, caplog, done_count=50)[0]
    )


def test_the_report_covers_the_time_of_all_runs_by_machine(tmp_path: Path) -> None:
    async def on_t4(reason: Exception | None) -> dict[str, Any]:
        return {"hardware": "t4-small", "replicas": 1}

    async def on_l4(reason: Exception | None) -> dict[str, Any]:
        return {"hardware": "l4x1", "replicas": 2}

    limits = {"stop_on_item_error": True, "max_in_flight": 1}
    with pytest.raises(ItemFailed):
        run(Upper(odd_ones_fail), texts(6), tmp_path, limits=limits, recover=on_t4)
    report = run(Upper(), texts(6), tmp_path, recover=on_l4)
    assert [each.machine["hardware"] for each in report.segments] == ["t4-small", "l4x1"]
    assert (report.hardware, report.done) == ("l4x1", 6)


def test_a_change_of_the_hardware_is_part_of_the_report(tmp_path: Path, task_log: TaskLog) -> None:
    machines = iter([{"hardware": "t4-small"}, {"hardware": "cpu-basic"}])
    restarts = [True]

    async def restarting(item: Item) -> Any:
        if item.index == 3 and restarts:
            restarts.pop()
            raise error(AppUnavailable)
        return await upper(item)

    async def recover(reason: Exception | None) -> dict[str, Any]:
        return next(machines)

    report = run(Upper(restarting), texts(6), tmp_path, recover=recover)
    assert [each.machine["hardware"] for each in report.segments] == ["t4-small", "cpu-basic"]
    assert "the machine has changed, from hardware t4-small to hardware cpu-basic" in task_log.text


def test_the_cost_is_that_of_each_machine_by_the_begun_minute_and_for_each_replica() -> None:
    prices = PriceList.from_flavors(
        HardwareFlavor(name, name, "", "", None, usd, "minute")
        for name, usd in (("t4-small", 0.01), ("l4x1", 0.02))
    )

    def report(*segments: Segment) -> BatchReport:
        return BatchReport(SPACE, "out", "out/results.jsonl", 500, 500, 0, 500, 0, segments)

    t4, l4 = {"hardware": "t4-small", "replicas": 1}, {"hardware": "l4x1", "replicas": 2}
    assert report(Segment(t4, 61)).cost_from(prices) == 0.02
    assert report(Segment(t4, 30), Segment(t4, 30)).cost_from(prices) == 0.01
    assert report(Segment(t4, 60), Segment(l4, 60)).cost_from(prices) == 0.05
    assert report(Segment({"hardware": "cpu-basic"}, 60)).cost_from(prices) == 0
    assert report(Segment({"hardware": "unknown"}, 60)).cost_from(prices) is None
    report_with_price = replace(report(Segment(t4, 61)), cost_usd=0.02)
    assert report_with_price.cost_per_thousand_items == 0.04
    assert "estimated cost $0.0200, $0.0400 per thousand items" in report_with_price.in_words()
