"""LoopThread: run async work of a task in a thread of its own, so that a signal ends it in order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

__all__ = ["LoopThread"]

T = TypeVar("T")

KILL_SECONDS = 4.0
"""Airflow kills a task five seconds after its signal."""


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
        # A daemon: a storage that never answers must not keep the process of the task alive.
        self._thread = threading.Thread(target=self._run, name="space-batch", daemon=True)

    def run(self) -> T:
        """Run the coroutine, and return its result or raise its exception.

        An exception in the main thread, such as Airflow's for ``execution_timeout``, stops the work first.
        """
        self._thread.start()
        try:
            self._thread.join()
        except BaseException as error:
            self.stop(f"{type(error).__name__} in the worker")
            raise
        if self._error is not None:
            raise self._error
        return self._results[0]

    def stop(self, reason: str) -> None:
        """Stop the work, and wait a few seconds for its end. Safe in a signal handler."""
        self._stop(reason)
        if self._thread.is_alive():
            self._thread.join(KILL_SECONDS)

    def _run(self) -> None:
        try:
            self._results.append(asyncio.run(self._work()))
        except BaseException as error:  # the main thread raises it
            self._error = error
