"""What a wait for a lease logs, in a worker and in the triggerer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.lease.record import LeaseHolder

__all__ = ["LeaseWaitLog"]

_REPEAT_SECONDS = 600.0
"""Time after which the log names the same holder again."""


class LeaseWaitLog:
    """Logs which run has the lease: at once, when the holder changes, and every ten minutes.

    :param repo_id: the Space, as ``owner/name``.
    :param started: when the wait began, in seconds since 1970.
    :param deadline: when the wait ends, in seconds since 1970.
    :param log: the logger of the task or the trigger.
    :param clock: the present, in seconds since 1970.
    """

    def __init__(
        self,
        repo_id: str,
        started: float,
        deadline: float,
        log: Any,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._repo_id, self._log, self._clock = repo_id, log, clock
        self._started, self._deadline = started, deadline
        self._holder_id: str | None = None
        self._logged_at = 0.0

    def is_due(self, holder: LeaseHolder) -> bool:
        """Return whether the holder has to be logged now."""
        is_new = holder.holder_id != self._holder_id
        return is_new or self._clock() - self._logged_at >= _REPEAT_SECONDS

    def write(self, holder: LeaseHolder, description: str) -> None:
        """Log the holder.

        :param description: the holder in words, from :func:`~.leases.describe_holder`.
        """
        now = self._clock()
        self._log.info(
            "Space %s is leased by %s. Waiting for %.0f seconds so far, and for %.0f more at most.",
            self._repo_id,
            description,
            now - self._started,
            self._deadline - now,
        )
        self._holder_id, self._logged_at = holder.holder_id, now
