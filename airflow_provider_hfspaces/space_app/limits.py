"""AppLimits: how large an answer of an app may be, and how long the app may stay silent."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_hfspaces.hub.checks import check_limits

__all__ = ["AppLimits"]

_MEBIBYTE = 2**20


@dataclass(frozen=True)
class AppLimits:
    """Limits on the answers of an app. Beyond a size limit, the call fails with an ``AppProtocolError``.

    .. code-block:: python

        SpaceApp(repo_id, host, token, limits=AppLimits(answer_bytes=512 * 2**20))

    :param answer_bytes: bytes of one answer, and of one message of a stream; by default 64 MiB.
    :param messages: messages of one call's stream; by default 1,000,000.
    :param download_bytes: bytes of one downloaded file; by default 8 GiB.
    :param connect_seconds: seconds to connect; by default 10.
    :param silent_seconds: seconds without a byte after which a connection counts as broken; by default 60. A
        Gradio app sends a heartbeat every 15 seconds.
    :raises InvalidNumber: for a limit that is not above 0.
    """

    answer_bytes: int = 64 * _MEBIBYTE
    messages: int = 1_000_000
    download_bytes: int = 8 * 1024 * _MEBIBYTE
    connect_seconds: float = 10.0
    silent_seconds: float = 60.0

    def __post_init__(self) -> None:
        check_limits(self)
