"""BodyReader: reads the body of an answer chunk by chunk, and enforces the limits on its size and time."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.error_responses import (
    answer_too_large,
    answer_too_slow,
    protocol_error,
    unavailable,
)
from airflow_provider_hfspaces.hub.http.limits import AnswerLimits

__all__ = ["BodyReader"]

_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS


class BodyReader:
    """Reads the raw chunks of an answer and returns its text.

    The reader decompresses the chunks itself, so it can reject a small body that unpacks to gigabytes.

    :param call: the call, for errors.
    :param status: HTTP status of the answer.
    :param headers: headers of the answer, with case-insensitive names.
    :param limits: limits on the bytes and seconds of the answer.
    :param clock: returns the time in seconds.
    :param token: the token of the request, which errors mask.
    :raises HubProtocolError: for a content encoding that the request did not accept.
    """

    def __init__(
        self,
        call: Call[Any],
        status: int,
        headers: Mapping[str, str],
        limits: AnswerLimits,
        *,
        clock: Callable[[], float],
        token: str | None,
    ) -> None:
        self._call, self._status, self._headers = call, status, headers
        self._limits, self._clock, self._token = limits, clock, token
        self._ends = clock() + limits.max_seconds
        self._chunks: list[bytes] = []
        self._size = 0
        encoding = (headers.get("content-encoding") or "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip"):
            raise self._unexpected_error(f"gzip or no compression (content encoding {encoding[:40]!r})")
        self._gzip = zlib.decompressobj(_GZIP_WINDOW_BITS) if "gzip" in encoding else None
        self._has_content = False

    def feed(self, chunk: bytes) -> None:
        """Read the next chunk.

        :raises HubProtocolError: if the answer is too large, too slow, or does not match its encoding.
        """
        if self._clock() > self._ends:
            raise answer_too_slow(self._call, self._status, self._limits.max_seconds)
        self._has_content |= bool(chunk)
        if self._gzip is not None:
            try:
                chunk = self._gzip.decompress(chunk, self._limits.max_bytes - self._size + 1)
            except zlib.error:
                raise self._unexpected_error("a gzip stream") from None
        self._size += len(chunk)
        if self._size > self._limits.max_bytes:
            raise answer_too_large(self._call, self._status, self._limits.max_bytes)
        self._chunks.append(chunk)

    def text(self) -> str:
        """Return the whole text, decoded as UTF-8 whatever charset a header names.

        :raises HubUnavailable: if the compressed body ended too early.
        """
        if self._gzip is not None and self._has_content and not self._gzip.eof:
            raise unavailable(self._call, "the answer ended too early", sent=True, token=self._token)
        return b"".join(self._chunks).decode("utf-8", errors="replace")

    def _unexpected_error(self, expected: str) -> Exception:
        start = b"".join(self._chunks)[:400].decode("utf-8", errors="replace")
        return protocol_error(
            self._call, self._status, self._headers, start, expected=expected, token=self._token
        )
