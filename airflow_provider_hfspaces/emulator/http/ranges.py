"""Responses to ``Range`` requests: a part of a file, or of content in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from starlette.responses import Response, StreamingResponse

from airflow_provider_hfspaces.emulator.http.responses import Refusal

__all__ = ["content_response", "file_response"]

_RANGE = re.compile(r"bytes=(?P<first>\d*)-(?P<last>\d*)")
_READ_BYTES = 1024 * 1024


def content_response(content: bytes, requested: str | None, headers: Mapping[str, str]) -> Response:
    """Respond with content in memory, or with the requested range of it.

    :param requested: the ``Range`` header of the request.
    :raises Refusal: 416 for a range outside the content.
    """
    part = _part(requested, len(content))
    start, stop = part or (0, len(content))
    return Response(
        content[start:stop], 206 if part else 200, {**headers, **_range_headers(part, len(content))}
    )


def file_response(
    path: Path, requested: str | None, headers: Mapping[str, str], *, head: bool = False
) -> Response:
    """Respond with a file on disk, or with the requested range of it. The file is read while it is sent.

    :param requested: the ``Range`` header of the request.
    :param head: whether to send only the headers.
    :raises Refusal: 416 for a range outside the file.
    """
    size = path.stat().st_size
    part = _part(requested, size)
    start, stop = part or (0, size)
    headers = {**headers, **_range_headers(part, size), "Content-Length": str(stop - start)}
    status = 206 if part else 200
    if head:
        return Response(status_code=status, headers=headers)
    return StreamingResponse(_read(path, start, stop), status, headers)


def _part(requested: str | None, size: int) -> tuple[int, int] | None:
    """Start and stop of the requested range; ``None`` for the whole content."""
    match = _RANGE.fullmatch((requested or "").strip())
    if match is None or match["first"] == match["last"] == "":
        return None
    if match["first"] == "":
        start, stop = max(size - int(match["last"]), 0), size
    else:
        start, stop = int(match["first"]), min(int(match["last"] or size) + 1, size)
    if start >= stop:
        raise Refusal(416, "Range Not Satisfiable", headers={"Content-Range": f"bytes */{size}"})
    return start, stop


def _range_headers(part: tuple[int, int] | None, size: int) -> dict[str, str]:
    described = {"Content-Range": f"bytes {part[0]}-{part[1] - 1}/{size}"} if part else {}
    return {"Accept-Ranges": "bytes", **described}


def _read(path: Path, start: int, stop: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        remaining = stop - start
        while remaining and (content := file.read(min(_READ_BYTES, remaining))):
            remaining -= len(content)
            yield content
