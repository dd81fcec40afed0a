"""The output folder of a batch: journal, claim and results, on a disk and in object storages."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from airflow_provider_hfspaces.compat.imports import object_storage_path
from airflow_provider_hfspaces.space_app.batch.claim import Claim
from airflow_provider_hfspaces.space_app.batch.errors import ClaimLost, InvalidOutput, OutputInUse
from airflow_provider_hfspaces.space_app.batch.folder import BatchFolder
from airflow_provider_hfspaces.space_app.batch.items import digests_of, items_from
from airflow_provider_hfspaces.space_app.batch.journal import Journal, Segment, fingerprint_of, record_of
from airflow_provider_hfspaces.space_app.batch.results import read_manifest, write_results

BATCH = fingerprint_of({"api": "/predict", "inputs": {}})
SEGMENTS = [Segment({"hardware": "t4-small"}, 12.5)]


@pytest.fixture(params=["disk", "file storage", "memory storage"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A folder. The file storage writes in place, so that a file is visible before it is complete."""
    if request.param == "disk":
        return tmp_path / "new" / "output"
    if request.param == "file storage":
        return object_storage_path(f"file://{tmp_path}/new/output")
    return UPath(f"memory://batch-{uuid.uuid4().hex}/output")


@pytest.fixture
def folder(path: Any) -> BatchFolder:
    return BatchFolder(path)


def journal(folder: BatchFolder, items: list[Any], batch: str = BATCH) -> Journal:
    return Journal(folder, batch, digests_of(items_from(items)))


def records(items: list[Any], *indexes: int, are_failed: bool = False) -> list[bytes]:
    digests = digests_of(items_from(items))
    outcome: dict[str, Any] = {"error": {"type": "AppFailed", "message": "no"}} if are_failed else {}
    return [
        record_of(index, digests[index], tries=1, seconds=0.5, **(outcome or {"output": [f"out {index}"]}))
        for index in indexes
    ]


def results(path: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "results.jsonl").read_bytes().splitlines()]


ITEMS: list[Any] = [{"text": letter} for letter in "abcde"]


def test_the_journal_tells_what_earlier_workers_have_done(folder: BatchFolder) -> None:
    first, second = journal(folder, ITEMS), journal(folder, ITEMS)
    first.write("000001-aaaa", [Segment({"hardware": "t4-small"}, 5)], records(ITEMS, 3))
    first.write("000001-aaaa", [Segment({"hardware": "t4-small"}, 9)], records(ITEMS, 0))
    second.write("000002-bbbb", SEGMENTS, records(ITEMS, 4, are_failed=True))
    state = journal(folder, ITEMS).read()
    assert [state.is_done(index) for index in range(5)] == [True, False, False, True, False]
    assert (state.done, state.failed) == (2, 1)
    assert [each.seconds for each in state.segments] == [9, 12.5]


def test_a_result_is_kept_if_the_item_fails_later(folder: BatchFolder, path: Any) -> None:
    new_journal = journal(folder, ITEMS[:1])
    new_journal.write("000001-aaaa", SEGMENTS, records(ITEMS, 0))
    new_journal.write("000002-bbbb", SEGMENTS, records(ITEMS, 0, are_failed=True))
    write_results(folder, new_journal, 1, {})
    assert [line["status"] for line in results(path)] == ["done"]
    assert new_journal.read().done == 1


def test_a_later_result_replaces_an_error(folder: BatchFolder, path: Any) -> None:
    new_journal = journal(folder, ITEMS[:1])
    new_journal.write("000001-aaaa", SEGMENTS, records(ITEMS, 0, are_failed=True))
    new_journal.write("000002-bbbb", SEGMENTS, records(ITEMS, 0))
    write_results(folder, new_journal, 1, {})
    assert [line["output"] for line in results(path)] == [["out 0"]]
    assert new_journal.read().failed == 0


@pytest.mark.parametrize("cut", [1, 20, 400])
def test_a_file_that_was_cut_off_counts_up_to_its_last_complete_line(
    folder: BatchFolder, path: Any, cut: int
) -> None:
    journal(folder, ITEMS).write("000001-aaaa", SEGMENTS, records(ITEMS, 0, 1, 2))
    part = path / "_journal" / "part-000001-aaaa-000000.jsonl"
    content = part.read_bytes()
    part.write_bytes(content[:-cut])
    complete = content[:-cut].count(b"\n") - 1
    assert journal(folder, ITEMS).read().done == max(complete, 0)


def test_results_have_each_item_once_in_the_order_of_the_items(folder: BatchFolder, path: Any) -> None:
    new_journal = journal(folder, ITEMS)
    new_journal.write("000001-aaaa", SEGMENTS, records(ITEMS, 4, 1))
    new_journal.write("000002-bbbb", SEGMENTS, records(ITEMS, 1, 3, 0))
    new_journal.write("000002-bbbb", SEGMENTS, records(ITEMS, 2, are_failed=True))
    write_results(folder, new_journal, 5, {"items": 5})
    assert [(line["index"], line["status"]) for line in results(path)] == [
        (0, "done"),
        (1, "done"),
        (2, "failed"),
        (3, "done"),
        (4, "done"),
    ]
    size = len((path / "results.jsonl").read_bytes())
    assert read_manifest(folder) == {"items": 5, "results": "results.jsonl", "results_bytes": size}


def test_changed_items_are_refused(folder: BatchFolder) -> None:
    journal(folder, ITEMS).write("000001-aaaa", SEGMENTS, records(ITEMS, 0, 1))
    changed_items = [ITEMS[0], {"text": "other"}, *ITEMS[2:]]
    with pytest.raises(InvalidOutput, match=r"^output .* holds the result of another item 1: the items have"):
        journal(folder, changed_items).read()


def test_fewer_items_are_refused_and_more_are_not(folder: BatchFolder) -> None:
    journal(folder, ITEMS).write("000001-aaaa", SEGMENTS, records(ITEMS, 4))
    with pytest.raises(InvalidOutput, match=r"holds a result of item 4, but there are only 4 items now"):
        journal(folder, ITEMS[:4]).read()
    assert journal(folder, [*ITEMS, {"text": "f"}]).read().done == 1


def test_results_of_another_endpoint_are_refused(folder: BatchFolder) -> None:
    journal(folder, ITEMS).write("000001-aaaa", SEGMENTS, records(ITEMS, 4))
    with pytest.raises(InvalidOutput, match=r"holds the results of another batch, with another api"):
        journal(folder, ITEMS, fingerprint_of({"api": "/other", "inputs": {}})).read()


def test_a_damaged_journal_is_refused(folder: BatchFolder, path: Any) -> None:
    journal(folder, ITEMS).write("000001-aaaa", SEGMENTS, records(ITEMS, 4))
    (path / "_journal" / "part-000001-aaaa-000000.jsonl").write_bytes(b"no journal\n")
    with pytest.raises(InvalidOutput, match=r"part-000001-aaaa-000000.jsonl' is not part of a journal"):
        journal(folder, ITEMS).read()


def test_a_folder_that_can_be_written_passes_and_stays_empty(folder: BatchFolder, path: Any) -> None:
    folder.check()
    assert [entry for entry in path.rglob("*") if entry.is_file()] == []


def test_an_output_inside_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidOutput, match=r"^output .* cannot be written: .* Set output to a folder"):
        BatchFolder(tmp_path / "file" / "output").check()


@pytest.mark.parametrize("output", ["folder", None, 3])
def test_an_output_that_is_not_a_path_is_refused(output: Any) -> None:
    with pytest.raises(InvalidOutput, match=r"^output must be the path of a folder"):
        BatchFolder(output)


# The claim


class Watch:
    """Counts the seconds for which a claim is watched, and acts meanwhile."""

    def __init__(self, meanwhile: Callable[[], Any] = lambda: None) -> None:
        self.seconds = 0.0
        self._meanwhile = meanwhile

    def __call__(self, seconds: float) -> None:
        self.seconds += seconds
        self._meanwhile()


def test_a_claim_that_is_renewed_is_refused_to_others(folder: BatchFolder) -> None:
    claim = Claim.take(folder, "run 1", sleep=Watch())
    with pytest.raises(OutputInUse, match=r"is being written by run 1\. Wait until that batch has ended"):
        Claim.take(folder, "run 2", sleep=Watch(claim.renew))


def test_an_abandoned_claim_is_taken_over_after_a_watch(folder: BatchFolder) -> None:
    other_claim, watch = Claim.take(folder, "run 1", sleep=Watch()), Watch()
    claim = Claim.take(folder, "run 2", sleep=watch)
    assert (claim.number, watch.seconds) == (2, 45)
    with pytest.raises(ClaimLost, match=r"has been taken over by run 2"):
        other_claim.renew()
    claim.renew()


def test_a_released_claim_is_taken_at_once(folder: BatchFolder) -> None:
    Claim.take(folder, "run 1", sleep=Watch()).release()
    watch = Watch()
    Claim.take(folder, "run 2", sleep=watch)
    assert watch.seconds == 0


def test_a_claim_released_during_the_watch_is_taken(folder: BatchFolder) -> None:
    watch = Watch(Claim.take(folder, "run 1", sleep=Watch()).release)
    Claim.take(folder, "run 2", sleep=watch)
    assert watch.seconds == 1


def test_the_same_holder_takes_its_own_claim_over_at_once(folder: BatchFolder) -> None:
    earlier, watch = Claim.take(folder, "run 1", sleep=Watch()), Watch()
    Claim.take(folder, "run 1", sleep=watch)
    assert watch.seconds == 0
    with pytest.raises(ClaimLost):
        earlier.renew()


def test_a_worker_that_lost_its_claim_does_not_release_that_of_another(folder: BatchFolder) -> None:
    earlier = Claim.take(folder, "run 1", sleep=Watch())
    claim = Claim.take(folder, "run 2", sleep=Watch())
    earlier.release()
    claim.renew()


def test_a_claim_that_was_cut_off_does_not_hide_the_journal_of_its_worker(
    folder: BatchFolder, path: Any
) -> None:
    claim = Claim.take(folder, "run 1", sleep=Watch())
    journal(folder, ITEMS).write(claim.name, SEGMENTS, records(ITEMS, 0))
    (path / "_journal" / "claim.json").write_bytes(b'{"na')
    assert Claim.take(folder, "run 2", sleep=Watch()).number == 2
