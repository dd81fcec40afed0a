"""Journal: the finished items of a batch, in files that are written only once.

The first line of each file identifies the batch, and has the working times of its worker so far. The other
lines are records, one for each item, in the format of the results::

    {"index": 3, "digest": "9f86d081884c7d65", "status": "done", "output": ["a cat"],
     "tries": 1, "seconds": 0.8}
    {"index": 4, "digest": "60303ae22b998861", "status": "failed",
     "error": {"type": "AppFailed", "message": "…"}, "tries": 1, "seconds": 0.1}
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.space_app.batch.errors import InvalidOutput
from airflow_provider_hfspaces.space_app.batch.folder import JOURNAL, BatchFolder

__all__ = ["DONE", "FAILED", "Journal", "JournalState", "Segment", "fingerprint_of", "record_of"]

DONE = "done"
FAILED = "failed"
"""The values of ``status`` in a record."""

_PENDING, _FAILED, _DONE = 0, 1, 2


def fingerprint_of(request: Mapping[str, Any]) -> str:
    """Return a hash of the endpoint of a batch and the inputs that its items share.

    :param request: ``request`` of a sender.
    """
    text = json.dumps(request, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass
class Segment:
    """A working time of a batch on one machine.

    :ivar machine: the caller's description of the machine, such as its hardware and replicas.
    :ivar seconds: length of the time.
    """

    machine: dict[str, Any]
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return this object as plain JSON."""
        return {"machine": self.machine, "seconds": round(self.seconds, 3)}


@dataclass
class JournalState:
    """The state of a batch in its journal.

    :ivar states: one byte for each item: pending, failed or done.
    :ivar segments: the working times of all workers.
    :ivar repeated: number of calls that were sent again.
    """

    states: bytearray
    segments: list[Segment] = field(default_factory=list)
    repeated: int = 0

    def is_done(self, index: int) -> bool:
        """Return True if the app has answered the item with a result."""
        return self.states[index] == _DONE

    @property
    def done(self) -> int:
        """Number of items with a result."""
        return self.states.count(_DONE)

    @property
    def failed(self) -> int:
        """Number of items that the app answered with an error."""
        return self.states.count(_FAILED)


class Journal:
    """Reads and writes the journal in an output folder.

    :param folder: the output folder.
    :param batch: the fingerprint of the batch, from :func:`fingerprint_of`.
    :param digests: the digest of each item.
    """

    def __init__(self, folder: BatchFolder, batch: str, digests: array[int]) -> None:
        self._folder, self._batch, self._digests = folder, batch, digests
        self._written = 0

    def read(self) -> JournalState:
        """Return the state that all workers so far have written.

        :raises InvalidOutput: if the journal belongs to another batch, or to other items.
        """
        state = JournalState(bytearray(len(self._digests)))
        segments: dict[str, list[Segment]] = {}
        for name, header, records in self._parts():
            claim = name.split("-")[2]
            segments[claim] = [Segment(each["machine"], each["seconds"]) for each in header["segments"]]
            for record, _ in records:
                index = record["index"]
                status = _DONE if record["status"] == DONE else _FAILED
                if status >= state.states[index]:
                    state.states[index] = status
                state.repeated += record["tries"] - 1
        state.segments = [segment for each in segments.values() for segment in each]
        return state

    def lines(self) -> Iterator[tuple[int, bool, bytes]]:
        """Yield each record, the oldest first: its index, True for a result, and its line."""
        for _, _, records in self._parts():
            for record, line in records:
                yield record["index"], record["status"] == DONE, line

    def write(self, claim: str, segments: Sequence[Segment], records: Sequence[bytes]) -> None:
        """Write one file with records.

        :param claim: name of the worker's claim.
        :param segments: the working times of this worker so far.
        :param records: the lines, from :func:`record_of`.
        """
        header = {"batch": self._batch, "segments": [each.to_dict() for each in segments]}
        # A new name for each try, because a failed try may still create its file later, in its thread.
        name = f"{JOURNAL}/part-{claim}-{self._written:06d}.jsonl"
        self._written += 1
        self._folder.write(name, [json.dumps(header).encode() + b"\n", *(line + b"\n" for line in records)])

    def _parts(self) -> Iterator[tuple[str, dict[str, Any], Iterator[tuple[dict[str, Any], bytes]]]]:
        for name, content in self._folder.read_parts():
            # The rest after the last line feed is incomplete, because the file was cut off.
            lines = content.split(b"\n")[:-1]
            if not lines:
                continue
            header = self._header(lines[0], name)
            if header["batch"] != self._batch:
                raise InvalidOutput(
                    f"output {str(self._folder)!r} holds the results of another batch, with another api or "
                    f"other inputs. Set output to another folder, or delete this one."
                )
            yield name, header, self._records(lines[1:])

    def _header(self, line: bytes, name: str) -> dict[str, Any]:
        try:
            header = json.loads(line)
            if {"batch", "segments"} <= header.keys():
                return dict(header)
        except (ValueError, AttributeError):
            pass
        raise InvalidOutput(
            f"output {str(self._folder)!r}: the file {name!r} is not part of a journal. Set output to "
            f"another folder, or delete this one."
        )

    def _records(self, lines: list[bytes]) -> Iterator[tuple[dict[str, Any], bytes]]:
        for line in lines:
            record = json.loads(line)
            index = record["index"]
            if index >= len(self._digests):
                raise InvalidOutput(
                    f"output {str(self._folder)!r} holds a result of item {index}, but there are only "
                    f"{len(self._digests)} items now. Restore the items, or set output to another folder."
                )
            if record["digest"] != f"{self._digests[index]:016x}":
                raise InvalidOutput(
                    f"output {str(self._folder)!r} holds the result of another item {index}: the items have "
                    f"changed since. Restore the items, or set output to another folder."
                )
            yield record, line


def record_of(
    index: int,
    digest: int,
    *,
    key: Any = None,
    output: Any = None,
    error: Mapping[str, Any] | None = None,
    tries: int,
    seconds: float,
) -> bytes:
    """Return one line of the journal and of the results, without its line feed.

    :param key: the user's key of the item; ``None`` for none.
    :param output: the app's answer, for a result.
    :param error: type and message of the error, for a failed item.
    :param tries: number of times that the item was sent.
    :param seconds: time from the first try to the answer.
    """
    record: dict[str, Any] = {"index": index, "digest": f"{digest:016x}"}
    if key is not None:
        record["key"] = key
    record["status"] = DONE if error is None else FAILED
    if error is None:
        record["output"] = output
    else:
        record["error"] = dict(error)
    record.update({"tries": tries, "seconds": round(seconds, 3)})
    # ASCII only, so that no reader splits the line at a Unicode line separator.
    return json.dumps(record, separators=(",", ":")).encode()
