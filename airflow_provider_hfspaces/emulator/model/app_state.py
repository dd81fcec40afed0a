"""What a Space remembers about its app: which one it is, which process runs, and who has called it."""

from __future__ import annotations

import hashlib
import itertools
from collections import deque
from typing import Any

from airflow_provider_hfspaces.emulator.apps.choice import AppChoice, checked_app
from airflow_provider_hfspaces.emulator.model.request_log import MOST_APP_REQUESTS, AppRequest

__all__ = ["AppState"]

_PROCESSES = itertools.count(1)


class AppState:
    """The app of a Space.

    :param app: what it serves, as :func:`checked_app` takes it.
    :ivar choice: what it serves; ``None`` for the built-in app of the sdk.
    :ivar process: number of the process that runs, which no other process in this program has; ``None``
        while nothing runs.
    :ivar serves_from: emulated time from which the process answers.
    :ivar requests: the requests that reached it, oldest first.
    """

    def __init__(self, app: Any) -> None:
        self.choice: AppChoice | None = checked_app(app)
        self.process: int | None = None
        self.serves_from = 0.0
        self.requests: deque[AppRequest] = deque(maxlen=MOST_APP_REQUESTS)

    def start(self, time: float, silent_seconds: float = 0.0) -> None:
        """Replace the process by a new one.

        :param silent_seconds: emulated seconds in which it does not answer yet.
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
