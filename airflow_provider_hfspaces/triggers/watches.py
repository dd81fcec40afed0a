"""The watches of a process: one for each event loop, Hub and token, for as long as somebody waits."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from airflow_provider_hfspaces.compat.config import quota_share
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
from airflow_provider_hfspaces.hub.http.quota import Pace
from airflow_provider_hfspaces.hub.waiting.polling import Polling
from airflow_provider_hfspaces.hub.waiting.watch import SpaceWatch

__all__ = ["watching"]

_CONNECTION_GOOD_FOR = 60.0
"""Seconds for which a connection that was read is good for further waits."""


@dataclass
class _Shared:
    """A watch, with all who use it; the pace outlives it, since the quota does."""

    pace: Pace
    client: AsyncHubClient | None = None
    watch: SpaceWatch | None = None
    users: int = 0


@dataclass
class _OfLoop:
    """What there is for one event loop."""

    shared: dict[int, _Shared] = field(default_factory=dict)
    hooks: dict[str, tuple[float, HfSpacesHook]] = field(default_factory=dict)
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


_loops: WeakKeyDictionary[Any, _OfLoop] = WeakKeyDictionary()


class watching:
    """The watch that all waits over a connection's Hub and token share, and the connection's hook.

    ``async with watching(hf_spaces_conn_id) as (watch, hook)``.

    :raises InvalidInput: for a connection that does not exist or cannot be right.
    """

    __slots__ = ("_conn_id", "_shared")

    def __init__(self, hf_spaces_conn_id: str) -> None:
        self._conn_id = hf_spaces_conn_id

    async def __aenter__(self) -> tuple[SpaceWatch, HfSpacesHook]:
        of_loop = _loops.setdefault(asyncio.get_running_loop(), _OfLoop())
        async with of_loop.reading:
            # One at a time, so that a thousand triggers that start together read the connection once.
            hook = await _hook(of_loop, self._conn_id)
            budget = hook.rate_budget
            shared = of_loop.shared.setdefault(id(budget), _Shared(Pace(budget, share=quota_share())))
            if shared.watch is None:
                pace = shared.pace
                client = shared.client = await hook.async_client()
                shared.watch = SpaceWatch(client, source=lambda told: Polling(client, told, pace=pace))
            shared.users += 1
        self._shared = shared
        return shared.watch, hook

    async def __aexit__(self, *error: object) -> None:
        shared = self._shared
        shared.users -= 1
        if not shared.users and shared.watch is not None and shared.client is not None:
            watch, client, shared.watch, shared.client = shared.watch, shared.client, None, None
            await watch.close()
            await client.aclose()


async def _hook(of_loop: _OfLoop, hf_spaces_conn_id: str) -> HfSpacesHook:
    now = time.monotonic()
    read_at, hook = of_loop.hooks.get(hf_spaces_conn_id, (float("-inf"), None))
    if hook is None or now - read_at > _CONNECTION_GOOD_FOR:
        hook = HfSpacesHook(hf_spaces_conn_id)
        await hook.read_connection()
        of_loop.hooks[hf_spaces_conn_id] = (now, hook)
    return hook
