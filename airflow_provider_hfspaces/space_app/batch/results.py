"""Write the results of a batch from its journal, with one line for each item in the order of the items."""

from __future__ import annotations

import json
import tempfile
from array import array
from collections.abc import Iterator
from typing import IO, Any

from airflow_provider_hfspaces.space_app.batch.folder import MANIFEST, RESULTS, BatchFolder
from airflow_provider_hfspaces.space_app.batch.journal import Journal

__all__ = ["read_manifest", "write_results"]


def write_results(folder: BatchFolder, journal: Journal, items: int, manifest: dict[str, Any]) -> None:
    """Write ``results.jsonl``, and then ``manifest.json``.

    The records are sorted in a temporary file on the local disk, so that memory does not grow with their
    size. If an item has several records, its latest result counts, or without a result its latest error.

    :param folder: the output folder.
    :param journal: the journal in this folder.
    :param items: number of items. Each item must have a record.
    :param manifest: content of ``manifest.json``. Once this file exists, the results are complete.
    :raises RuntimeError: if an item has no record.
    """
    with tempfile.TemporaryFile() as spool:
        offsets, lengths = _spool(journal, items, spool)
        size = folder.write(RESULTS, _in_order(spool, offsets, lengths))
    content = {**manifest, "results": RESULTS, "results_bytes": size}
    folder.write(MANIFEST, [json.dumps(content, indent=2).encode() + b"\n"])


def read_manifest(folder: BatchFolder) -> dict[str, Any] | None:
    """Return the manifest; ``None`` if it is missing or not complete."""
    try:
        content = json.loads(folder.read(MANIFEST) or b"null")
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _spool(journal: Journal, items: int, spool: IO[bytes]) -> tuple[array[int], array[int]]:
    offsets, lengths = array("q", [-1]) * items, array("q", [0]) * items
    results = bytearray(items)
    position = 0
    for index, is_result, line in journal.lines():
        if results[index] and not is_result:
            continue
        results[index] = is_result
        offsets[index], lengths[index] = position, len(line)
        position += spool.write(line)
    missing = offsets.count(-1)
    if missing:
        raise RuntimeError(f"The journal lacks {missing} of {items} items. Run the batch again.")
    return offsets, lengths


def _in_order(spool: IO[bytes], offsets: array[int], lengths: array[int]) -> Iterator[bytes]:
    for offset, length in zip(offsets, lengths, strict=True):
        spool.seek(offset)
        yield spool.read(length) + b"\n"
