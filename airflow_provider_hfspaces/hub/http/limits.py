"""AnswerLimits: how many bytes, seconds, pages and entries a client accepts in one answer."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_hfspaces.hub.checks import check_limits

__all__ = ["MOST_REDIRECTS", "AnswerLimits"]

MOST_REDIRECTS = 5
"""Number of redirects that one request follows."""

_MEBIBYTE = 2**20


@dataclass(frozen=True)
class AnswerLimits:
    """Limits on one answer of the Hub. Beyond a limit, the call fails with a ``HubProtocolError``.

    .. code-block:: python

        HubClient(token, limits=AnswerLimits(max_bytes=8 * 2**20, max_entries=5_000))

    :param max_bytes: bytes of one answer, after decompression; by default 64 MiB.
    :param max_seconds: seconds from the headers of an answer to its last byte; by default 120.
    :param max_pages: pages of one list; by default 1,000.
    :param max_entries: entries of all pages of one list together; by default 100,000.
    :param max_line: characters of one line of a log; by default 1,048,576. While a log is followed, a longer
        line is skipped instead.
    :raises InvalidNumber: for a limit that is not above 0.
    """

    max_bytes: int = 64 * _MEBIBYTE
    max_seconds: float = 120.0
    max_pages: int = 1_000
    max_entries: int = 100_000
    max_line: int = _MEBIBYTE

    def __post_init__(self) -> None:
        check_limits(self)
