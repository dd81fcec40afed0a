"""AppLog: writes what an app reports about a call to the log of the task.

Come here to change which messages of an app a task shows, and how many.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from airflow_provider_hfspaces.hub.masking import brief
from airflow_provider_hfspaces.space_app.listener import AcceptedCall, AppListener, AppProgress

__all__ = ["AppLog"]

_QUIET_SECONDS = 10.0
"""Shortest time between two lines about the queue or about progress."""

_MAX_MESSAGE_CHARACTERS = 500
"""Characters of a message that are shown; the end of a longer message is left out."""


class AppLog(AppListener):
    """Logs the place in the queue, progress and messages of a call, a few lines a minute at most.

    :param repo_id: the Space.
    :param log: the log of the task.
    :param clock: returns the time in seconds.
    """

    def __init__(self, repo_id: str, log: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._repo_id, self._log, self._clock = repo_id, log, clock
        self._logged_at = float("-inf")
        self._place: int | None = None

    def accepted(self, call: AcceptedCall) -> None:
        self._log.info("Space %s has accepted the call of %s.", self._repo_id, call.api)

    def queued(self, position: int, length: int, eta_seconds: float | None) -> None:
        if position == self._place or position == 0 or not self._may_log():
            return
        self._place = position
        eta = "" if eta_seconds is None else f", about {eta_seconds:.0f} s by the app's estimate"
        self._log.info(
            "Space %s: %d calls are ahead of this one in the queue%s.", self._repo_id, position, eta
        )

    def progress(self, bars: list[AppProgress]) -> None:
        shown = [_brief(str(bar)) for bar in bars if str(bar)]
        if shown and self._may_log():
            self._log.info("Space %s: %s", self._repo_id, ", ".join(shown))

    def log(self, level: str, message: str) -> None:
        write = self._log.warning if level in ("warning", "error") else self._log.info
        write("Space %s says: %s", self._repo_id, _brief(message))

    def waiting(self, reason: str, seconds: float) -> None:
        self._log.warning("%s The call is sent again in %.0f seconds.", reason, seconds)

    def _may_log(self) -> bool:
        now = self._clock()
        if now - self._logged_at < _QUIET_SECONDS:
            return False
        self._logged_at = now
        return True


def _brief(text: str) -> str:
    return brief(text, longest=_MAX_MESSAGE_CHARACTERS)
