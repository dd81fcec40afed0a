"""The argument ``stream_logs``: the log of a Space in the log of the task that waits for it or calls it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

from airflow_provider_hfspaces.hub.errors import InvalidInput
from airflow_provider_hfspaces.hub.logs.position import LogPosition
from airflow_provider_hfspaces.space_log.progress import LogProgress
from airflow_provider_hfspaces.space_log.writer import LogLimits, SpaceLogWriter

__all__ = ["SpaceLogs", "refuse_bad_stream_logs", "refuse_unused_stream_logs"]

_KINDS = {"build": ("build",), "run": ("run",), "both": ("build", "run")}


def refuse_bad_stream_logs(value: Any, owner: str) -> None:
    """Refuse any other value than ``"build"``, ``"run"``, ``"both"`` and ``None``.

    :param owner: the task or group, for the error.
    :raises InvalidInput: naming the owner.
    """
    if value is None or (isinstance(value, str) and value in _KINDS):
        return

    raise InvalidInput(f"stream_logs of {owner} must be 'build', 'run', 'both' or None; got {value!r:.100}.")


def refuse_unused_stream_logs(task: Any, default_args: Any) -> None:
    """Refuse ``stream_logs`` on a task that does not wait, unless it comes from ``default_args``.

    :raises ValueError: naming the task.
    """
    if not task.stream_logs or "stream_logs" in (default_args or {}):
        return
    raise ValueError(
        f"stream_logs of task {task.task_id!r} has no effect with wait=False: set wait=True, or leave "
        f"stream_logs out."
    )


class SpaceLogs:
    """Shows the log of a Space in the log of the task that waits for it or calls it.

    :param task: the operator or sensor, with its ``stream_logs``.
    """

    def __init__(self, task: Any) -> None:
        self._task = task
        self.forget()

    def forget(self) -> None:
        """Begin anew, for another try."""
        self._progress: LogProgress | None = None
        self._since: float | None = None

    def begin(self, *, at: float | None = None) -> None:
        """Show the logs from now on, by the Hub's clock. The first call in a try counts.

        Call this after a request to the Hub and before the one that changes the Space.

        :param at: show the logs from this moment on, in seconds since 1970 by the Hub's clock.
        """
        if self._task.stream_logs is None or self._since is not None:
            return
        if at is None:
            at = self._task.hook.client.hub_time
        self._since = float(int(time.time() if at is None else at))  # Logs show whole seconds.

    def progress(self, repo_id: str) -> LogProgress | None:
        """Returns which logs are shown, and how far; ``None`` without ``stream_logs``."""
        if self._task.stream_logs is None:
            return None

        self.begin()
        if self._progress is None or self._progress.repo_id != repo_id:
            position = LogPosition(since=self._since or 0.0)
            self._progress = LogProgress(repo_id, dict.fromkeys(_KINDS[self._task.stream_logs], position))
        return self._progress

    def progress_values(self, repo_id: str) -> dict[str, Any] | None:
        """Returns :meth:`progress` as plain JSON, for a trigger."""
        progress = self.progress(repo_id)
        # The id tells a restart of this wait's triggerer apart from another wait of the task.
        return None if progress is None else {**progress.to_dict(), "wait": uuid.uuid4().hex}

    def resume(self, event: Mapping[str, Any]) -> None:
        """Continue where the trigger of a deferred wait has stopped.

        :param event: the trigger's event.
        """
        if event.get("logs"):
            from airflow_provider_hfspaces.space_log.progress import LogProgress

            self._progress = LogProgress.from_dict(event["logs"])

    def has_shown(self, kind: str) -> bool:
        """Returns whether the task's log has lines of the Space's log.

        :param kind: ``build`` or ``run``.
        """
        return self._progress is not None and kind in self._progress.read

    @contextmanager
    def showing(self, repo_id: str) -> Iterator[None]:
        """Show the logs of a Space while this worker waits."""
        progress = self.progress(repo_id)
        with nullcontext() if progress is None else self._thread(progress):
            yield

    def _thread(self, progress: LogProgress) -> Any:
        from airflow_provider_hfspaces.space_log.thread import SpaceLogThread

        hook, log = self._task.hook, self._task.log
        limits = LogLimits.from_config()
        writer = SpaceLogWriter(progress, log, endpoint=hook.settings.endpoint, limits=limits)
        client = hook.streaming_client(connections=len(progress.positions))
        return SpaceLogThread(client, progress, writer, log, self._task.killed.is_set)
