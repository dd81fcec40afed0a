"""AppQueue: lets one refused call continue for each free place in the queue of an app."""

from __future__ import annotations

import asyncio
import copy
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from airflow_provider_hfspaces.space_app.errors import SpaceAppError

__all__ = ["AppQueue"]

_POLL_SECONDS = 3.0
"""Time between two looks at the queue, with jitter."""

_IN_FLIGHT_POLLS = 3
"""Number of looks for which a call that may continue counts as on its way to the queue."""


class AppQueue:
    """The calls that wait for a place in the queue of one app.

    :param length: returns how many calls wait in the queue of the app.
    :param sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        length: Callable[[], Awaitable[int]],
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._length, self._sleep = length, sleep
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._in_flight: deque[int] = deque([0] * _IN_FLIGHT_POLLS, maxlen=_IN_FLIGHT_POLLS)
        self._places: int | None = None
        self._task: asyncio.Task[None] | None = None

    async def turn(self, places: int | None) -> None:
        """Return when a call may be sent again.

        :param places: calls that may wait in the queue, if the app has said so.
        """
        self._places = places if places is not None else self._places
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            await turn
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)
            if not self._waiting and self._task is not None:
                self._task.cancel()

    async def _run(self) -> None:
        try:
            await self._release_turns()
        except Exception as error:
            for turn in self._waiting:
                if not turn.done():
                    turn.set_exception(copy.copy(error))

    async def _release_turns(self) -> None:
        while self._waiting:
            await self._sleep(_POLL_SECONDS * random.uniform(0.5, 1.5))
            released = min(await self._free_places(), len(self._waiting))
            self._in_flight.append(released)
            for _ in range(released):
                turn = self._waiting.popleft()
                if not turn.done():
                    turn.set_result(None)

    async def _free_places(self) -> int:
        if self._places is None:
            return 1
        try:
            length = await self._length()
        except SpaceAppError:
            # The worker that sends the call finds out what is wrong with the app.
            return 1
        return max(0, self._places - length - sum(self._in_flight))
