"""The time in which apps sleep: emulated time in an emulator, real time outside one."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from airflow_provider_hfspaces.emulator.model.world import World

__all__ = ["AppTime", "EmulatedTime", "RealTime"]

_POLL_SECONDS = 0.02
"""How often sleepers check the clock, which tests move by hand, in real seconds."""

_JUMP_SECONDS = 0.002
"""Real seconds for other tasks to run before the time jumps to the end of the next sleep."""

_ROUNDING_SECONDS = 1e-6
"""A sleep that would end within this many emulated seconds ends now."""


class AppTime(Protocol):
    """The time of an app: a clock and a sleep."""

    def now(self) -> float:
        """Seconds since 1970."""

    async def sleep(self, seconds: float, *, passive: bool = False) -> None:
        """Sleep.

        :param passive: whether the time must not jump for this sleep, as for a heartbeat or a deadline.
        """


class RealTime:
    """The time of the computer, for an app that runs outside an emulator."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    async def sleep(self, seconds: float, *, passive: bool = False) -> None:
        """Sleep for real seconds."""
        await asyncio.sleep(seconds)


class EmulatedTime:
    """The time of an emulated Hub, for all sleeps in one event loop.

    At a speed above 0, a sleep ends when its emulated seconds have passed. At speed 0, a sleep ends when a
    test has moved the time far enough. If requests move the time (``seconds_per_request``), the time jumps to
    the end of the next sleep, because a caller who waits for an answer sends no further requests.

    :param world: the state of the emulated Hub.
    :param after_jump: called after each jump, before the sleep ends.
    """

    def __init__(self, world: World, after_jump: Callable[[], Awaitable[None]]) -> None:
        self._world = world
        self._after_jump = after_jump
        self._sleepers: list[tuple[float, int, bool, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._alarm: asyncio.Task[None] | None = None

    def now(self) -> float:
        """Emulated seconds since 1970."""
        return self._world.clock.now()

    def close(self) -> None:
        """Stop waking sleepers."""
        if self._alarm is not None:
            self._alarm.cancel()

    async def sleep(self, seconds: float, *, passive: bool = False) -> None:
        """Sleep for emulated seconds.

        :param passive: whether the time must not jump for this sleep.
        """
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        awake: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._sleepers, (self.now() + seconds, next(self._numbers), passive, awake))
        if self._alarm is None:
            self._alarm = loop.create_task(self._wake_sleepers())
        await awake

    async def _wake_sleepers(self) -> None:
        try:
            while self._sleepers:
                self._wake_due()
                self._forget_cancelled()
                if self._sleepers:
                    await self._pause()
        finally:
            self._alarm = None

    def _wake_due(self) -> None:
        now = self.now() + _ROUNDING_SECONDS
        while self._sleepers and (self._sleepers[0][0] <= now or self._sleepers[0][3].done()):
            awake = heapq.heappop(self._sleepers)[3]
            if not awake.done():
                awake.set_result(None)

    def _forget_cancelled(self) -> None:
        """Drop cancelled sleeps. Each answered request leaves one: the sleep of its deadline."""
        awake = [sleeper for sleeper in self._sleepers if not sleeper[3].done()]
        if len(awake) < len(self._sleepers) / 2:
            heapq.heapify(awake)
            self._sleepers = awake

    async def _pause(self) -> None:
        speed, remaining = self._world.clock.speed, self._sleepers[0][0] - self.now()
        if speed:
            await asyncio.sleep(min(remaining / speed, _POLL_SECONDS))
        elif self._jumps and any(not passive and not awake.done() for _, _, passive, awake in self._sleepers):
            await asyncio.sleep(_JUMP_SECONDS)
            self._wake_due()
            if self._sleepers:
                with self._world.lock:
                    self._world.clock.pass_time(self._sleepers[0][0] - self.now())
                    self._world.catch_up()
                await self._after_jump()
        else:
            await asyncio.sleep(_POLL_SECONDS)

    @property
    def _jumps(self) -> bool:
        return self._world.settings.seconds_per_request > 0
