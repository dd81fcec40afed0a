"""The logs of a Space."""

from __future__ import annotations

from typing import Any

from airflow_provider_hfspaces.hub.calls.base import Call, get_call
from airflow_provider_hfspaces.hub.checks import checked_number
from airflow_provider_hfspaces.hub.masking import mask_tokens

__all__ = ["get_logs"]


def get_logs(repo_id: str, *, build: bool = False, lines: int | None = None) -> Call[str]:
    """``GET /api/spaces/{repo_id}/logs/run`` or ``/build``: a stream of server-sent events.

    :param build: the log of the build, not of the app.
    :param lines: only the last so many.
    """
    query: tuple[tuple[str, str], ...] = ()
    if lines is not None:
        query = (("tail", str(checked_number(lines, "lines", least=0))),)
    suffix = "/logs/build" if build else "/logs/run"
    return get_call(repo_id, suffix, read_log_text, query=query, needs_token=True, answer="events")


def read_log_text(payload: Any) -> str:
    return mask_tokens(str(payload["data"]))
