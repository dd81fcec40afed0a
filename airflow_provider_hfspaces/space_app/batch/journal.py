"""The journal of a batch: what has been done, in files that are written once.

Each file begins with a line that says which batch it belongs to and how long its worker has worked so far.
The lines after that are records, one for each item, in the form in which they go into the results::

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

_PENDING, _FAILED, _DONE = 0, 1, 2


def fingerprint_of(request: Mapping[str, Any]) -> str:
    """Return a short text that stands for the endpoint of a batch and the inputs that its items share."""
    text = json.dumps(request, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass
class Segment:
    """A time in which a batch worked on one machine.

    :ivar machine: what the caller says of the machine, such as its hardware.
    :ivar seconds: how long.
    """

    machine: dict[str, Any]
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return this object as plain JSON."""
        return {"machine": self.machine, "seconds": round(self.seconds, 3)}


@dataclass
class JournalState:
    """What a journal says of the items of a batch.

    :ivar states: one byte for each item.
    :ivar segments: the times of all earlier workers.
    :ivar repeated: calls of these items that were sent again.
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
    """The journal in an output folder.

    :param folder: the output folder.
    :param batch: the fingerprint of the batch.
    :param digests: the digest of each item.
    """

    def __init__(self, folder: BatchFolder, batch: str, digests: array[int]) -> None:
        self._folder, self._batch, self._digests = folder, batch, digests
        self._written = 0

    def read(self) -> JournalState:
        """Read what earlier workers have done.

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
        """Yield index, whether it is a result, and line of each record, oldest first."""
        for _, _, records in self._parts():
            for record, line in records:
                yield record["index"], record["status"] == DONE, line

    def write(self, claim: str, segments: Sequence[Segment], records: Sequence[bytes]) -> None:
        """Write one file with records.

        :param claim: the name of the claim under which they are written.
        :param segments: the times of this worker so far.
        """
        header = {"batch": self._batch, "segments": [each.to_dict() for each in segments]}
        # A new name for each try: one that failed, or continues in its thread, may still create its file.
        name = f"{JOURNAL}/part-{claim}-{self._written:06d}.jsonl"
        self._written += 1
        self._folder.write(name, [json.dumps(header).encode() + b"\n", *(line + b"\n" for line in records)])

    def _parts(self) -> Iterator[tuple[str, dict[str, Any], Iterator[tuple[dict[str, Any], bytes]]]]:
        for name, content in self._folder.read_parts():
            # What follows the last line feed was cut off while it was written.
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

    :param key: what identifies the item for the user; left out if it is ``None``.
    :param output: the app's answer, unless there is an error.
    :param tries: how often the item was sent.
    :param seconds: from the first try to the answer.
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
    # ASCII: no reader may split the line at a separator of Unicode.
    return json.dumps(record, separators=(",", ":")).encode()
