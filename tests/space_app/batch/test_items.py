"""The items of a batch, from a list and from JSON Lines."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from airflow_provider_hfspaces.space_app.batch.errors import InvalidItems
from airflow_provider_hfspaces.space_app.batch.items import digests_of, items_from

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file with these bytes."""

    def write(content: bytes | str, name: str = "items.jsonl") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def values(source: Any) -> list[Any]:
    return [item.value for item in items_from(source)]


def test_the_items_of_a_file_are_those_of_the_list_with_its_lines(write: Write) -> None:
    items: list[Any] = [{"text": "a"}, ["b", 2], "c", 4, None, True, {"text": "é \u2028 🙂"}]
    path = write("\n".join(json.dumps(item, ensure_ascii=False) for item in items))
    assert values(path) == items
    assert digests_of(items_from(path)) == digests_of(items_from(items))


def test_empty_lines_hold_no_items_but_count_as_lines(write: Write) -> None:
    items = list(items_from(write('\n{"a": 1}\r\n\n  \n{"a": 2}\n\n')))
    assert [(item.index, item.value["a"], item.place) for item in items] == [
        (0, 1, "items.jsonl, line 2"),
        (1, 2, "items.jsonl, line 5"),
    ]


def test_an_empty_file_has_no_items(write: Write) -> None:
    assert values(write("")) == []


def test_a_byte_order_mark_is_ignored(write: Write) -> None:
    assert values(write(b'\xef\xbb\xbf{"a": 1}\n')) == [{"a": 1}]


def test_a_compressed_file_is_read(write: Write) -> None:
    assert values(write(gzip.compress(b'{"a": 1}\n{"a": 2}\n'), "items.jsonl.gz")) == [{"a": 1}, {"a": 2}]


def test_an_object_storage_is_read() -> None:
    path = UPath("memory://batch-items/items.jsonl")
    path.write_bytes(b'{"a": 1}\n[2]')
    assert values(path) == [{"a": 1}, [2]]


def test_a_line_longer_than_one_read_is_one_item(write: Write) -> None:
    text = "x" * 3_000_000
    assert values(write(f'"short"\n"{text}"\n"{text}"')) == ["short", text, text]


def test_the_order_of_keys_does_not_change_an_item(write: Write) -> None:
    assert digests_of(items_from([{"a": 1, "b": 2}])) == digests_of(items_from([{"b": 2, "a": 1}]))
    assert digests_of(items_from([{"a": 1}])) != digests_of(items_from([{"a": 2}]))


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ('{"a": 1}\n{"a": 2\n', 2, "is not JSON"),
        ('{"a": 1}\n\n{"a": NaN}', 3, "NaN is not a JSON number"),
        ('{"a": 1}\nhello\n', 2, "Write one JSON value in each line"),
        (b'{"a": 1}\n"\xff"\n', 2, "is not UTF-8"),
        ('[\n  {"a": 1}\n]\n', 1, "one JSON value over several lines"),
        ("[" * 100_000, 1, "is not JSON"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(
    write: Write, content: bytes | str, line: int, reason: str
) -> None:
    with pytest.raises(InvalidItems, match=rf"^items.jsonl, line {line} .*{reason}"):
        values(write(content))


def test_a_list_with_something_that_is_not_json_is_refused_with_its_position() -> None:
    with pytest.raises(InvalidItems, match=r"^items\[1\] is not JSON: .*set"):
        values([1, {2}])


@pytest.mark.parametrize("source", ["items.jsonl", {"a": 1}, None, 3, {1, 2}])
def test_a_source_that_is_neither_a_list_nor_a_file_is_refused(source: Any) -> None:
    with pytest.raises(InvalidItems, match=r"^items must be a list, or the path of a JSON Lines file"):
        items_from(source)


def test_a_missing_file_a_folder_and_a_broken_archive_are_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(InvalidItems, match=r"missing\.jsonl' does not exist"):
        values(tmp_path / "missing.jsonl")
    with pytest.raises(InvalidItems, match="is a folder"):
        values(tmp_path)
    with pytest.raises(InvalidItems, match="cannot be decompressed"):
        values(write(b"plain text", "items.jsonl.gz"))
