"""LoopThread: run async work of a task in a thread of its own, so that a signal ends it in order."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

__all__ = ["LoopThread"]

T = TypeVar("T")

KILL_SECONDS = 4.0
"""Airflow kills a task five seconds after its signal."""

_LOOK_SECONDS = 0.02


class LoopThread(Generic[T]):
    """Runs a coroutine in another thread, while the main thread of the task waits for it.

    Airflow ends a task with exceptions and signals in the main thread. In an event loop they would
    arrive in the middle of any coroutine. Here they arrive in the wait, which stops the work.

    :param work: returns the coroutine.
    :param stop: makes the coroutine end soon, for the reason in its argument.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]], stop: Callable[[str], None]) -> None:
        self._work, self._stop = work, stop
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._is_over = False
        # A daemon: a storage that never answers must not keep the process of the task alive.
        self._thread = threading.Thread(target=self._run, name="space-batch", daemon=True)

    def run(self) -> T:
        """Run the coroutine, and return its result or raise its exception.

        An exception in the main thread, such as Airflow's for ``execution_timeout``, stops the work first.
        """
        self._thread.start()
        try:
            # Neither join() nor an event: an exception in the middle of join() makes Python before 3.13 take
            # the thread for ended, and a signal handler must not wait for a lock that this loop may hold.
            while not self._is_over:
                time.sleep(_LOOK_SECONDS)
        except BaseException as error:
            self.stop(f"{type(error).__name__} in the worker")
            raise
        if self._error is not None:
            raise self._error
        return self._results[0]

    def stop(self, reason: str) -> None:
        """Stop the work, and wait a few seconds for its end. Safe in a signal handler."""
        self._stop(reason)
        ends = time.monotonic() + KILL_SECONDS
        while self._thread.ident is not None and not self._is_over and time.monotonic() < ends:
            time.sleep(_LOOK_SECONDS)

    def _run(self) -> None:
        try:
            self._results.append(asyncio.run(self._work()))
        except BaseException as error:  # the main thread raises it
            self._error = error
        finally:
            self._is_over = True
