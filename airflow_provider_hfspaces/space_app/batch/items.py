"""The items of a batch, from a list or from a JSON Lines file that is read as a stream.

Each item has an index, which is its position, and a digest of its content. The two show whether a journal
belongs to these items.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_provider_hfspaces.space_app.batch.errors import InvalidItems

__all__ = ["FileItems", "Item", "ItemSource", "ListItems", "digests_of", "items_from"]

_CHUNK_BYTES = 1024 * 1024
_LONGEST_LINE_BYTES = 64 * 1024 * 1024
_SHOWN_CHARACTERS = 80
"""Number of characters of a value that an error shows."""


@dataclass(frozen=True)
class Item:
    """One item of a batch.

    :ivar index: position among the items, from 0.
    :ivar value: the item itself, as JSON.
    :ivar digest: 64-bit hash of the value.
    :ivar place: where the item is, for messages, such as ``items.jsonl, line 17``.
    """

    index: int
    value: Any
    digest: int
    place: str


class ItemSource(Protocol):
    """Items that can be read more than once, in the same order each time."""

    def __iter__(self) -> Iterator[Item]: ...


def items_from(source: Any) -> ItemSource:
    """Return the items of a list or of a JSON Lines file.

    :param source: a list of JSON values, or a path object with ``open``, such as ``pathlib.Path`` or an
        fsspec path. A file whose name ends with ``.gz`` is decompressed.
    :raises InvalidItems: for anything else.
    """
    if callable(getattr(source, "open", None)):
        return FileItems(source)
    if isinstance(source, Sequence) and not isinstance(source, (str, bytes, bytearray)):
        return ListItems(source)
    raise InvalidItems(
        f"items must be a list, or the path of a JSON Lines file; got {type(source).__name__} "
        f"{source!r:.{_SHOWN_CHARACTERS}}."
    )


class ListItems:
    """The items of a list."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values

    def __iter__(self) -> Iterator[Item]:
        for index, value in enumerate(self._values):
            place = f"items[{index}]"
            yield Item(index, value, _digest(value, place), place)


class FileItems:
    """The items of a JSON Lines file: one JSON value in each line; empty lines do not count."""

    def __init__(self, path: Any) -> None:
        self._path = path
        self._name = str(getattr(path, "name", "") or path)

    def __iter__(self) -> Iterator[Item]:
        index = 0
        with self._open() as file:
            for number, line in enumerate(_lines(file, self._name), 1):
                if not line.strip():
                    continue
                place = f"{self._name}, line {number}"
                value = _parse(line, place, is_first=number == 1)
                yield Item(index, value, _digest(value, place), place)
                index += 1

    @contextmanager
    def _open(self) -> Iterator[Any]:
        try:
            with self._path.open("rb") as file:
                if self._name.endswith(".gz"):
                    with gzip.GzipFile(fileobj=file) as inflated:
                        yield inflated
                else:
                    yield file
        except (FileNotFoundError, IsADirectoryError) as error:
            problem = "does not exist" if isinstance(error, FileNotFoundError) else "is a folder"
            raise InvalidItems(
                f"items {str(self._path)!r} {problem}. Set items to the path of a JSON Lines file."
            ) from None
        except (gzip.BadGzipFile, EOFError) as error:
            raise InvalidItems(f"items {str(self._path)!r} cannot be decompressed: {error}.") from None
        except PermissionError as error:
            raise InvalidItems(f"items {str(self._path)!r} cannot be read: {error}.") from None


def digests_of(source: Iterable[Item]) -> array[int]:
    """Read and check all items, and return the digest of each item.

    :raises InvalidItems: for the first item that is not JSON.
    """
    return array("Q", (item.digest for item in source))


def _lines(file: Any, name: str) -> Iterator[bytes]:
    """Yield the lines of a binary file, split only at line feeds: JSON may contain other line separators."""
    rest = b""
    while chunk := file.read(_CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > _LONGEST_LINE_BYTES:
            raise InvalidItems(f"{name} has a line of more than 64 MB. Write one item in each line.")
    yield rest


def _parse(line: bytes, place: str, *, is_first: bool) -> Any:
    encoding = "utf-8-sig" if is_first else "utf-8"
    try:
        return json.loads(line.decode(encoding), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise InvalidItems(f"{place} is not UTF-8. Save the file as UTF-8.") from None
    except (ValueError, RecursionError) as error:
        if is_first and line.strip() in (b"[", b"{"):
            reason = "the file holds one JSON value over several lines"
        else:
            reason = str(error) or "it is nested too deeply"
        shown = line.decode(encoding).strip()[:_SHOWN_CHARACTERS]
        raise InvalidItems(
            f"{place} is not JSON ({reason}): {shown!r}. Write one JSON value in each line."
        ) from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _digest(value: Any, place: str) -> int:
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidItems(f"{place} is not JSON: {error}. An item must be plain JSON.") from None
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
