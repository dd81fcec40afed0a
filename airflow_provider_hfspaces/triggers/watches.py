"""The SpaceWatches of a process: one for each event loop, Hub and token, for as long as a trigger uses it."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from airflow_provider_hfspaces.compat.config import quota_share
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
from airflow_provider_hfspaces.hub.http.quota import Pace
from airflow_provider_hfspaces.hub.waiting.watch import SpaceWatch

__all__ = ["watching"]

_CONNECTION_SECONDS = 60.0
"""Time for which a connection that was read serves further waits."""


@dataclass
class _Shared:
    """A watch and the number of its users. The pace outlives the watch, as the quota does."""

    pace: Pace
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    client: AsyncHubClient | None = None
    watch: SpaceWatch | None = None
    users: int = 0


@dataclass
class _EventLoop:
    """The watches and connections of one event loop."""

    shared: dict[int, _Shared] = field(default_factory=dict)
    hooks: dict[str, tuple[float, HfSpacesHook]] = field(default_factory=dict)
    reading: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))


_loops: WeakKeyDictionary[Any, _EventLoop] = WeakKeyDictionary()


class watching:
    """The watch that all waits with the Hub and token of a connection share.

    ::

        async with watching(hf_spaces_conn_id) as (watch, hook):
            runtime = await watch.wait_for(repo_id, goal, timeout=1800)

    :raises InvalidInput: for a connection that is missing or not valid.
    """

    __slots__ = ("_conn_id", "_shared")

    def __init__(self, hf_spaces_conn_id: str) -> None:
        self._conn_id = hf_spaces_conn_id

    async def __aenter__(self) -> tuple[SpaceWatch, HfSpacesHook]:
        loop = _loops.setdefault(asyncio.get_running_loop(), _EventLoop())
        async with loop.reading[self._conn_id]:
            # One at a time, so that a thousand triggers that start together read the connection once.
            hook = await _hook(loop, self._conn_id)
        budget = hook.rate_budget
        shared = loop.shared.setdefault(id(budget), _Shared(Pace(budget, share=quota_share())))
        async with shared.opening:
            if shared.watch is None:
                shared.client = await hook.async_client()
                shared.watch = SpaceWatch(shared.client, pace=shared.pace)
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


async def _hook(loop: _EventLoop, hf_spaces_conn_id: str) -> HfSpacesHook:
    now = time.monotonic()
    read_at, hook = loop.hooks.get(hf_spaces_conn_id, (float("-inf"), None))
    if hook is None or now - read_at > _CONNECTION_SECONDS:
        hook = HfSpacesHook(hf_spaces_conn_id)
        await hook.read_connection()
        loop.hooks[hf_spaces_conn_id] = (now, hook)
    return hook
