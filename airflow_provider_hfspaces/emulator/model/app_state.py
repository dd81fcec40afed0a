"""AppState, the part of a Space's state that concerns its app: the choice, the process and the requests."""

from __future__ import annotations

import hashlib
import itertools
from collections import deque
from typing import Any

from airflow_provider_hfspaces.emulator.apps.choice import AppChoice, checked_app
from airflow_provider_hfspaces.emulator.model.request_log import MAX_APP_REQUESTS, AppRequest

__all__ = ["AppState"]

_PROCESSES = itertools.count(1)


class AppState:
    """The app of a Space.

    :param app: the value of ``app=``, as for :func:`checked_app`.
    :ivar choice: the app to serve; ``None`` for the built-in app of the sdk.
    :ivar process: number of the running process, which is unique in this program; ``None`` while nothing
        runs.
    :ivar serves_from: time from which the process answers, in emulated seconds since 1970.
    :ivar requests: the requests that reached the app, oldest first.
    """

    def __init__(self, app: Any) -> None:
        self.choice: AppChoice | None = checked_app(app)
        self.process: int | None = None
        self.serves_from = 0.0
        self.requests: deque[AppRequest] = deque(maxlen=MAX_APP_REQUESTS)

    def start(self, time: float, silent_seconds: float = 0.0) -> None:
        """Start a process, in place of the one that runs.

        :param silent_seconds: emulated seconds until the new process answers.
        """
        self.process = next(_PROCESSES)
        self.serves_from = time + silent_seconds

    def end(self) -> None:
        """End the process."""
        self.process = None

    def replica_names(self, replicas: int) -> list[str]:
        """The names of the replicas, such as ``kx7q2m-dspr4``. Each process has new ones."""
        digests = [
            hashlib.sha256(f"{self.process}/{number}".encode()).hexdigest() for number in range(replicas)
        ]
        group = hashlib.sha256(f"{self.process}".encode()).hexdigest()[:6]
        return [f"{group}-{digest[:5]}" for digest in digests]
