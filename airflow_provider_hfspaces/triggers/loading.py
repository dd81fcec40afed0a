"""open_waits: opens what triggers wait with, and imports it without blocking the event loop."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow_provider_hfspaces.hub.collector import quiet_collector

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.triggers.watches import Waits, watching

__all__ = ["open_waits"]

_loading: WeakKeyDictionary[Any, asyncio.Lock] = WeakKeyDictionary()
"""The lock of each event loop. One trigger loads; the others wait for it."""


class open_waits:
    """:class:`~airflow_provider_hfspaces.triggers.watches.watching`, for triggers.

    ::

        async with open_waits(hf_spaces_conn_id) as (waits, hook):
            runtime = await waits.watch.wait_for(repo_id, goal, timeout=1800)

    A worker that only stores a trigger does not import what runs it. The first trigger of a triggerer does,
    in a thread, because the import takes longer than the other triggers of the event loop should wait.

    :raises InvalidInput: for a connection that is missing or not valid.
    """

    __slots__ = ("_conn_id", "_counting", "_watching")

    def __init__(self, hf_spaces_conn_id: str) -> None:
        self._conn_id = hf_spaces_conn_id

    async def __aenter__(self) -> tuple[Waits, HfSpacesHook]:
        self._counting = quiet_collector.counting()
        self._counting.__enter__()
        try:
            async with _loading.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
                opened = await _watching(self._conn_id)
            waits = await opened.__aenter__()
        except BaseException:
            self._counting.__exit__(None, None, None)
            raise
        self._watching = opened
        return waits

    async def __aexit__(self, *error: object) -> None:
        self._counting.__exit__(None, None, None)
        await self._watching.__aexit__(*error)


async def _watching(conn_id: str) -> watching:
    global _is_loaded
    if not _is_loaded:
        for module in ("watches", "space_logs"):
            await asyncio.to_thread(import_module, f"airflow_provider_hfspaces.triggers.{module}")
        _is_loaded = True
    from airflow_provider_hfspaces.triggers.watches import watching

    return watching(conn_id)


_is_loaded = False
