"""The formats of Xet, in which recent official clients upload all large files.

A client cuts files into chunks, packs chunks into *xorbs*, uploads the xorbs, and then uploads a *shard*,
which lists the chunks of each file. The formats are documented at https://huggingface.co/docs/xet.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from airflow_provider_hfspaces.emulator.model.large_files import LargeFiles, WrongContent

__all__ = ["XetFile", "read_shard", "rebuild", "xorb_name"]

_HEADER_BYTES, _ENTRY_BYTES = 48, 48
_SHARD_TAG = b"HFRepoMetaData"
_END_OF_SECTION = b"\xff" * 32
_HAS_VERIFICATION, _HAS_METADATA = 1 << 31, 1 << 30
_CHUNK_HEADER_BYTES = 8
_STORED, _LZ4, _GROUPED_LZ4 = range(3)
_GROUPS = 4
_LZ4_MAGIC = b"\x04\x22\x4d\x18"


class Segment(NamedTuple):
    """A range of chunks in a xorb.

    :ivar xorb: hash of the xorb.
    :ivar first: number of the first chunk.
    :ivar after_last: number of the last chunk plus 1.
    """

    xorb: str
    first: int
    after_last: int


class XetFile(NamedTuple):
    """A file as a shard describes it.

    :ivar segments: the parts of the file, in order.
    :ivar sha256: SHA-256 of the file; ``None`` if the shard does not contain it.
    """

    segments: list[Segment]
    sha256: str | None


def xorb_name(xorb: str) -> str:
    """The name under which a xorb is kept among the large files."""
    return f"xorb-{xorb}"


def read_shard(shard: bytes) -> list[XetFile]:
    """The files that a shard describes.

    :raises WrongContent: if the content is not a complete shard.
    """
    if not shard.startswith(_SHARD_TAG):
        raise WrongContent("this is not a shard")
    files, position = [], _HEADER_BYTES
    try:
        while shard[position : position + 32] != _END_OF_SECTION:
            flags, count = struct.unpack_from("<II", shard, position + 32)
            position += _HEADER_BYTES
            segments = []
            for _ in range(count):
                _, _, first, after_last = struct.unpack_from("<IIII", shard, position + 32)
                segments.append(Segment(_hex(shard[position : position + 32]), first, after_last))
                position += _ENTRY_BYTES
            if flags & _HAS_VERIFICATION:
                position += count * _ENTRY_BYTES
            sha256 = None
            if flags & _HAS_METADATA:
                sha256 = _hex(shard[position : position + 32])
                position += _ENTRY_BYTES
            files.append(XetFile(segments, sha256))
    except struct.error:
        raise WrongContent("the shard ends too early") from None
    return files


def rebuild(file: XetFile, large_files: LargeFiles) -> str:
    """Assemble a file from uploaded xorbs, and keep it as a large file. Returns its SHA-256.

    :raises WrongContent: if a xorb is missing or cannot be read, or the result has another SHA-256.
    """
    if file.sha256 is not None and file.sha256 in large_files:
        return file.sha256
    draft = large_files.draft()
    try:
        for segment in file.segments:
            path = large_files.path(xorb_name(segment.xorb))
            if not path.exists():
                raise WrongContent(f"the xorb {segment.xorb} has not been uploaded")
            for content in _chunks(path, segment.first, segment.after_last):
                draft.write(content)
    except (WrongContent, struct.error, IndexError) as problem:
        draft.discard()
        raise WrongContent(str(problem)) from None
    return large_files.keep(draft, oid=file.sha256)


def _hex(digest: bytes) -> str:
    """A hash in the notation of Xet: groups of eight bytes, each in reverse order."""
    return "".join(digest[start : start + 8][::-1].hex() for start in range(0, 32, 8))


def _chunks(path: Path, first: int, after_last: int) -> Iterator[bytes]:
    with path.open("rb") as xorb:
        for number in range(after_last):
            header = xorb.read(_CHUNK_HEADER_BYTES)
            if len(header) < _CHUNK_HEADER_BYTES or header[0] != 0:
                raise WrongContent(f"the xorb has {number} chunks, not {after_last}")
            stored = int.from_bytes(header[1:4], "little")
            if number < first:
                xorb.seek(stored, 1)
                continue
            content = _decompress(xorb.read(stored), header[4])
            if len(content) != int.from_bytes(header[5:8], "little"):
                raise WrongContent(f"chunk {number} of the xorb is damaged")
            yield content


def _decompress(content: bytes, scheme: int) -> bytes:
    if scheme == _STORED:
        return content
    if scheme == _LZ4:
        return bytes(_lz4_frame(content))
    if scheme == _GROUPED_LZ4:
        return _ungroup(_lz4_frame(content))
    raise WrongContent(f"the xorb is compressed in an unknown way ({scheme})")


def _ungroup(content: bytearray) -> bytes:
    """Undo the byte grouping, which stores every fourth byte side by side."""
    result, start = bytearray(len(content)), 0
    for group in range(_GROUPS):
        size = len(range(group, len(content), _GROUPS))
        result[group::_GROUPS] = content[start : start + size]
        start += size
    return bytes(result)


def _lz4_frame(frame: bytes) -> bytearray:
    """The content of a frame in the LZ4 format."""
    if not frame.startswith(_LZ4_MAGIC):
        raise WrongContent("a chunk of the xorb is not in the LZ4 format")
    flags, position = frame[4], 7
    position += 8 if flags & 0x08 else 0  # the size of the content
    position += 4 if flags & 0x01 else 0  # the id of a dictionary
    checksum = 4 if flags & 0x10 else 0
    content = bytearray()
    while True:
        (size,) = struct.unpack_from("<I", frame, position)
        position += 4
        if size == 0:
            return content
        stored, size = bool(size & 0x80000000), size & 0x7FFFFFFF
        block = frame[position : position + size]
        position += size + checksum
        if stored:
            content += block
        else:
            _lz4_block(block, content)


def _lz4_block(block: bytes, content: bytearray) -> None:
    """Decompress a block and append it to ``content``, whose earlier bytes the block may repeat."""
    position, end = 0, len(block)
    while position < end:
        token = block[position]
        literals, position = _length(block, position + 1, token >> 4)
        content += block[position : position + literals]
        position += literals
        if position >= end:
            return
        offset = block[position] | block[position + 1] << 8
        length, position = _length(block, position + 2, token & 0x0F)
        length += 4
        start = len(content) - offset
        if start < 0 or offset == 0:
            raise WrongContent("a chunk of the xorb is damaged")
        repeated = content[start : start + length]
        content += repeated if offset >= length else (repeated * (length // offset + 1))[:length]


def _length(block: bytes, position: int, length: int) -> tuple[int, int]:
    """Read a length: 15 means that the following bytes add to it. Returns the next position too."""
    if length == 0x0F:
        while True:
            more = block[position]
            position += 1
            length += more
            if more != 0xFF:
                break
    return length, position
