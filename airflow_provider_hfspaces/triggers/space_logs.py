"""Shows the logs of Spaces in the logs of deferred tasks.

Come here to change how often triggers save how far a log is shown, for a triggerer that restarts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.server import save_xcom, saved_xcom
from airflow_provider_hfspaces.space_log.progress import LogProgress
from airflow_provider_hfspaces.space_log.tail import SpaceLogTail
from airflow_provider_hfspaces.space_log.writer import LogLimits, SpaceLogWriter

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import BaseTrigger
    from airflow_provider_hfspaces.triggers.watches import Waits

__all__ = ["showing_logs"]

_XCOM = "hf_spaces_logs"
_MIN_SAVE_INTERVAL_SECONDS = 1.0
_SAVES_PER_SECOND = 10
"""How often all triggers of a process together save how far they are."""

_open: set[SpaceLogTail] = set()


@asynccontextmanager
async def showing_logs(
    trigger: BaseTrigger, waits: Waits, logs: Mapping[str, Any] | None
) -> AsyncIterator[LogProgress | None]:
    """Show the logs of a Space in the log of a deferred task, as long as the context is open.

    How far they are shown is saved as an XCom of the task, for a triggerer that restarts.

    :param trigger: the trigger of the deferred task.
    :param waits: what the triggers share.
    :param logs: which logs to show, and how far they are shown; ``None`` for none.
    :returns: how far the logs are shown, kept up to date; ``None`` without logs.
    """
    if logs is None:
        yield None
        return
    ti = trigger.task_instance  # None where Airflow runs the trigger inside the task, in dag.test()
    progress = await _saved(ti, logs) or LogProgress.from_dict(logs)
    endpoint = waits.client.endpoint
    writer = SpaceLogWriter(progress, trigger.log, endpoint=endpoint, limits=LogLimits.from_config())

    async def save(values: dict[str, Any], may_begin: Callable[[], bool]) -> None:
        await save_xcom(ti, _XCOM, {"wait": logs.get("wait"), **values}, may_begin)

    tail = SpaceLogTail(
        waits.logs, progress, writer, trigger.log, interval=_interval, save=save if ti is not None else None
    )
    _open.add(tail)
    try:
        async with tail:
            yield progress
    finally:
        _open.discard(tail)


def _interval() -> float:
    """Return the seconds between two saves of one trigger. With many triggers, each saves less often."""
    return max(_MIN_SAVE_INTERVAL_SECONDS, len(_open) / _SAVES_PER_SECOND)


async def _saved(ti: Any, logs: Mapping[str, Any]) -> LogProgress | None:
    """Return how far another triggerer came in the same wait."""
    if ti is None:
        return None
    with suppress(Exception):  # An error only means that lines may be shown twice.
        values = await saved_xcom(ti, _XCOM)
        if isinstance(values, dict) and values.get("wait") == logs.get("wait"):
            return LogProgress.from_dict(values)
    return None
