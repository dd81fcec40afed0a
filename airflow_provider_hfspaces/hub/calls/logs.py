"""Calls for the build log and the run log of a Space."""

from __future__ import annotations

from typing import Any

from airflow_provider_hfspaces.hub.calls.base import Call, get_call
from airflow_provider_hfspaces.hub.checks import checked_number
from airflow_provider_hfspaces.hub.logs.event import LogEvent
from airflow_provider_hfspaces.hub.masking import mask_tokens

__all__ = ["get_log_events", "get_logs"]


def get_logs(repo_id: str, *, build: bool = False, lines: int | None = None) -> Call[str]:
    """``GET /api/spaces/{repo_id}/logs/run`` or ``/build``: the text of a log, as server-sent events.

    Send it with ``client.lines(call)``. Needs a token, also for a public Space.
    :param build: whether to read the build's log instead of the app's.
    :param lines: the number of lines to return, from the end of the log; by default all.
    """
    query: tuple[tuple[str, str], ...] = ()
    if lines is not None:
        query = (("tail", str(checked_number(lines, "lines", least=0))),)
    return get_call(repo_id, _suffix(build), read_log_text, query=query, needs_token=True, answer="events")


def get_log_events(repo_id: str, *, build: bool = False) -> Call[LogEvent]:
    """``GET /api/spaces/{repo_id}/logs/run`` or ``/build``: the whole log as events with timestamps.

    Send it with ``client.events(call)``. Needs a token, also for a public Space.
    :param build: whether to read the build's log instead of the app's.
    """
    return get_call(repo_id, _suffix(build), LogEvent.from_payload, needs_token=True, answer="events")


def _suffix(build: bool) -> str:
    return "/logs/build" if build else "/logs/run"


def read_log_text(payload: Any) -> str:
    return mask_tokens(str(payload["data"]))
