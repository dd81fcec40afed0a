"""What the triggers of a process share: one watch for each event loop, Hub and token, while they use it."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from airflow_provider_hfspaces.compat.config import app_connections, log_streams, quota_share
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
from airflow_provider_hfspaces.hub.http.pace import Pace
from airflow_provider_hfspaces.hub.logs.streams import LogStreams
from airflow_provider_hfspaces.hub.waiting.watch import SpaceWatch
from airflow_provider_hfspaces.space_app.app import SpaceApp
from airflow_provider_hfspaces.space_app.health_check import HealthCheck
from airflow_provider_hfspaces.space_app.health_watch import HealthWatch
from airflow_provider_hfspaces.triggers.queues import AppQueue

__all__ = ["Waits", "watching"]

_CONNECTION_SECONDS = 60.0
"""Time for which a connection that was read serves further waits."""

_ADDRESS_SECONDS = 300.0
"""Time for which the address of an app that the Hub has named is used."""


@dataclass(eq=False)
class Waits:
    """What all triggers with the Hub and token of a connection share.

    :ivar hook: a hook with this Hub and token.
    :ivar client: sends requests to the Hub.
    :ivar watch: waits for the stages of Spaces.
    :ivar slots: limits how many logs are read at a time, for all connections together.
    :ivar health: waits for the answers of apps.
    """

    hook: HfSpacesHook
    client: AsyncHubClient
    watch: SpaceWatch
    slots: asyncio.Semaphore
    health: HealthWatch = field(init=False)

    def __post_init__(self) -> None:
        self.health = HealthWatch(self.watch, self._probe, endpoint=self.client.endpoint)
        self._apps: dict[tuple[str, str | None], tuple[float, SpaceApp]] = {}
        self._former: list[SpaceApp] = []
        self._queues: dict[SpaceApp, AppQueue] = {}
        self._opening = asyncio.Lock()
        self._log_client: AsyncHubClient | None = None

    async def app(self, repo_id: str, app_conn_id: str | None) -> SpaceApp:
        """Return the client of an app that all calls of it share.

        :param app_conn_id: the connection with the login of the app itself.
        :raises SpaceNotFound: if the Space does not exist or the token cannot see it.
        :raises InvalidInput: for a static Space, and for a connection that is not valid.
        """
        key = (repo_id.lower(), app_conn_id)
        async with self._opening:
            now = time.monotonic()
            read_at, known = self._apps.get(key, (float("-inf"), None))
            if known is not None and now - read_at < _ADDRESS_SECONDS:
                return known
            app = await self.hook.async_app(
                repo_id, self.client, app_conn_id=app_conn_id, connections=app_connections()
            )
            if known is not None and known.host == app.host:
                app = known
            elif known is not None:
                self._former.append(known)  # calls of its may be under way
            self._apps[key] = (now, app)
            return app

    def queue(self, app: SpaceApp) -> AppQueue:
        """Return the queue of an app that all refused calls of it share."""
        if app not in self._queues:
            self._queues[app] = AppQueue(app.aqueue_length)
        return self._queues[app]

    @cached_property
    def logs(self) -> LogStreams:
        """The logs of Spaces, over connections of their own."""
        self._log_client = self.hook.streaming_client(connections=max(1, log_streams()))
        return LogStreams(self._log_client, self.slots)

    async def close(self) -> None:
        """Close the watch and its connections."""
        if self._log_client is not None:
            await self.logs.close()
            await self._log_client.aclose()
        await self.watch.close()
        await self.client.aclose()
        for app in [*self._former, *(app for _, app in self._apps.values())]:
            await app.aclose()

    async def _probe(self, repo_id: str, check: HealthCheck) -> str | None:
        app = await self.app(repo_id, None)
        health = await app.ahealth(check)
        return None if health else health.cause


@dataclass
class _Shared:
    """What triggers share, and the number of them. The pace outlives the watch, as the quota does."""

    pace: Pace
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    waits: Waits | None = None
    users: int = 0


@dataclass
class _EventLoop:
    """The watches and connections of one event loop."""

    shared: dict[int, _Shared] = field(default_factory=dict)
    hooks: dict[str, tuple[float, HfSpacesHook]] = field(default_factory=dict)
    reading: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(log_streams()))


_loops: WeakKeyDictionary[Any, _EventLoop] = WeakKeyDictionary()


class watching:
    """The watch that all waits with the Hub and token of a connection share.

    ::

        async with watching(hf_spaces_conn_id) as (waits, hook):
            runtime = await waits.watch.wait_for(repo_id, goal, timeout=1800)

    :raises InvalidInput: for a connection that is missing or not valid.
    """

    __slots__ = ("_conn_id", "_shared")

    def __init__(self, hf_spaces_conn_id: str) -> None:
        self._conn_id = hf_spaces_conn_id

    async def __aenter__(self) -> tuple[Waits, HfSpacesHook]:
        loop = _loops.setdefault(asyncio.get_running_loop(), _EventLoop())
        async with loop.reading[self._conn_id]:
            # One at a time: a thousand triggers that start together read the connection once.
            hook = await _hook(loop, self._conn_id)
        budget = hook.rate_budget
        shared = loop.shared.setdefault(id(budget), _Shared(Pace(budget, share=quota_share())))
        async with shared.opening:
            if shared.waits is None:
                client = await hook.async_client()
                shared.waits = Waits(hook, client, SpaceWatch(client, pace=shared.pace), loop.slots)
            shared.users += 1
        self._shared = shared
        return shared.waits, hook

    async def __aexit__(self, *error: object) -> None:
        shared = self._shared
        shared.users -= 1
        if not shared.users and shared.waits is not None:
            waits, shared.waits = shared.waits, None
            await waits.close()


async def _hook(loop: _EventLoop, hf_spaces_conn_id: str) -> HfSpacesHook:
    now = time.monotonic()
    read_at, hook = loop.hooks.get(hf_spaces_conn_id, (float("-inf"), None))
    if hook is None or now - read_at > _CONNECTION_SECONDS:
        hook = HfSpacesHook(hf_spaces_conn_id)
        await hook.read_connection()
        loop.hooks[hf_spaces_conn_id] = (now, hook)
    return hook
