"""AppLog: writes what an app says about a call into the log of the task."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from airflow_provider_hfspaces.hub.masking import brief
from airflow_provider_hfspaces.space_app.listener import AcceptedCall, AppListener, AppProgress

__all__ = ["AppLog"]

_QUIET_SECONDS = 10.0
"""Time between two lines about the queue or about progress."""

_LONGEST_MESSAGE = 500


class AppLog(AppListener):
    """Logs the place in the queue, progress and messages of a call, a few lines a minute at most.

    :param repo_id: the Space.
    :param log: the log of the task.
    :param clock: returns the time in seconds.
    """

    def __init__(self, repo_id: str, log: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._repo_id, self._log, self._clock = repo_id, log, clock
        self._spoke_at = float("-inf")
        self._place: int | None = None

    def accepted(self, call: AcceptedCall) -> None:
        self._log.info("Space %s has accepted the call of %s.", self._repo_id, call.api)

    def queued(self, position: int, length: int, eta_seconds: float | None) -> None:
        if position == self._place or position == 0 or not self._may_speak():
            return
        self._place = position
        eta = "" if eta_seconds is None else f", {eta_seconds:.0f} s to go by its own estimate"
        self._log.info("Space %s: %d calls are before this one%s.", self._repo_id, position, eta)

    def progress(self, bars: list[AppProgress]) -> None:
        shown = [_brief(str(bar)) for bar in bars if str(bar)]
        if shown and self._may_speak():
            self._log.info("Space %s: %s", self._repo_id, ", ".join(shown))

    def log(self, level: str, message: str) -> None:
        write = self._log.warning if level in ("warning", "error") else self._log.info
        write("Space %s says: %s", self._repo_id, _brief(message))

    def waiting(self, reason: str, seconds: float) -> None:
        self._log.warning("%s The call is sent again in %.0f seconds.", reason, seconds)

    def _may_speak(self) -> bool:
        now = self._clock()
        if now - self._spoke_at < _QUIET_SECONDS:
            return False
        self._spoke_at = now
        return True


def _brief(text: str) -> str:
    return brief(text, longest=_LONGEST_MESSAGE)
