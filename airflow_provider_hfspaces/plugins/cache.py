"""A short-lived cache for the fleet page, which reads in threads and limits how long a request waits.

Come here to change what happens while the Hub or the database is slow.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["Cache", "TooSlow"]

T = TypeVar("T")


class TooSlow(Exception):
    """Reading a value takes longer than a request may wait."""


class Cache:
    """Reads values in threads of their own and keeps them for some seconds.

    Requests for a value that is being read wait for that reading. A reading that hangs blocks neither the
    event loop nor the API server's own threads, and is not started a second time.

    :param keep: seconds for which a value is fresh.
    :param patience: seconds that a request waits for a value at most.
    :param clock: returns the time in seconds.
    """

    def __init__(self, *, keep: float, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.keep, self.patience = keep, patience
        self._clock = clock
        self._lock = threading.Lock()
        self._readings: dict[Hashable, tuple[Future[Any], list[float]]] = {}

    async def get(self, key: Hashable, read: Callable[[], T]) -> T:
        """Return the value of a key, and call ``read`` for it if no fresh value is kept.

        :raises TooSlow: if reading takes longer than ``patience``. The reading continues for later requests.
        :raises Exception: what ``read`` has raised; an error is kept as long as a value.
        """
        waiting = asyncio.wrap_future(self._reading(key, read))
        try:
            return await asyncio.wait_for(asyncio.shield(waiting), self.patience)
        except (asyncio.TimeoutError, TimeoutError):
            # An exception that is raised later belongs to a later request.
            waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise TooSlow(f"no answer within {self.patience:.0f} seconds") from None

    def forget(self, key: Hashable) -> None:
        """Read the value of a key again at the next request."""
        with self._lock:
            self._readings.pop(key, None)

    def _reading(self, key: Hashable, read: Callable[[], T]) -> Future[T]:
        with self._lock:
            for old in [each for each, (_, ended) in self._readings.items() if self._is_old(ended)]:
                del self._readings[old]
            known = self._readings.get(key)
            if known is not None:
                return known[0]
            future: Future[T] = Future()
            ended: list[float] = []
            self._readings[key] = (future, ended)
        # A thread of a pool would keep the API server from stopping while the Hub hangs.
        threading.Thread(
            target=self._run, args=(future, ended, read), name="hf-spaces-page", daemon=True
        ).start()
        return future

    def _is_old(self, ended: list[float]) -> bool:
        return bool(ended) and self._clock() - ended[0] >= self.keep

    def _run(self, future: Future[T], ended: list[float], read: Callable[[], T]) -> None:
        try:
            result = read()
        except BaseException as error:
            ended.append(self._clock())
            future.set_exception(error)
        else:
            ended.append(self._clock())
            future.set_result(result)
