"""The claim on an output folder: at most one worker writes to it.

The claim is a file that its holder rewrites again and again, with a number that grows. Another worker that
finds the file watches it: a claim whose number does not grow belongs to a worker that is dead, and may be
taken over. No two clocks are compared.

A storage without a compare-and-set leaves a short moment in which two workers may both claim the folder. Then
one of them notices it when it renews its claim, and stops. Until then both write files of their own names, so
that nothing is damaged; some items are called twice.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable
from typing import Any

from airflow_provider_hfspaces.space_app.batch.errors import ClaimLost, OutputInUse
from airflow_provider_hfspaces.space_app.batch.folder import JOURNAL, BatchFolder

__all__ = ["BEAT_SECONDS", "WATCH_SECONDS", "Claim"]

BEAT_SECONDS = 15.0
"""Time between two renewals of a claim."""

WATCH_SECONDS = 3 * BEAT_SECONDS
"""Time without a renewal after which a claim counts as abandoned."""

_LOOK_SECONDS = 1.0
_FILE = f"{JOURNAL}/claim.json"


class Claim:
    """The claim of this process on an output folder.

    :ivar number: 1 for the first claim on the folder, then one more each time.
    :ivar name: the name of this claim, which no other claim has.
    """

    def __init__(self, folder: BatchFolder, number: int, holder: str) -> None:
        self.number = number
        self.name = f"{number:06d}-{uuid.uuid4().hex[:8]}"
        self._folder, self._holder = folder, holder
        self._beat = 0

    @classmethod
    def take(
        cls,
        folder: BatchFolder,
        holder: str,
        *,
        sleep: Callable[[float], Any],
        log: logging.Logger | None = None,
    ) -> Claim:
        """Claim a folder. If another holder has not released it, watch whether that one is alive.

        :param holder: who claims it. A claim of the same holder is taken over at once: a holder is never
            active twice.
        :param sleep: waits for some seconds while the claim of another holder is watched. May raise an
            exception to end the wait.
        :param log: says that a claim is watched.
        :raises OutputInUse: if another holder renews its claim.
        """
        seen = _read(folder)
        if seen is not None and not seen.get("released") and seen.get("holder") != holder:
            (log or logging.getLogger(__name__)).info(
                "output %r was last written by %s, which has not said that it has ended. Waiting %.0f "
                "seconds to see whether it still works.",
                str(folder),
                seen.get("holder"),
                WATCH_SECONDS,
            )
            seen = cls._watch(folder, seen, sleep)
        # A storage may have lost the claim of a dead worker half-way, but not the files of its journal.
        numbers = [int(name.split("-")[1]) for name in folder.parts()]
        claim = cls(folder, max([int((seen or {}).get("number", 0)), *numbers]) + 1, holder)
        claim._write()
        return claim

    def renew(self) -> None:
        """Show that this process is alive.

        :raises ClaimLost: if another worker has claimed the folder.
        """
        self._check()
        self._beat += 1
        self._write()

    def release(self) -> None:
        """Release the claim, unless another worker has it. The next claim then needs no watch."""
        seen = _read(self._folder)
        if seen is not None and seen.get("name") == self.name:
            self._write(released=True)

    def _check(self) -> None:
        seen = _read(self._folder)
        if seen is not None and seen.get("name") != self.name:
            raise ClaimLost(
                f"output {str(self._folder)!r} has been taken over by {seen.get('holder')}, so this worker "
                f"stops. Let only one batch at a time write to a folder."
            )

    def _write(self, *, released: bool = False) -> None:
        content = {
            "name": self.name,
            "number": self.number,
            "holder": self._holder,
            "beat": self._beat,
            "released": released,
        }
        self._folder.write(_FILE, [json.dumps(content).encode()])

    @staticmethod
    def _watch(folder: BatchFolder, seen: dict[str, Any], sleep: Callable[[float], Any]) -> dict[str, Any]:
        looks = round(WATCH_SECONDS / _LOOK_SECONDS)
        for _ in range(looks):
            sleep(_LOOK_SECONDS)
            now = _read(folder) or seen
            if now.get("released"):
                return now
            if now != seen:
                raise OutputInUse(
                    f"output {str(folder)!r} is being written by {now.get('holder')}. Wait until that batch "
                    f"has ended, or set output to another folder."
                )
        return seen


def _read(folder: BatchFolder) -> dict[str, Any] | None:
    """The claim on a folder; ``None`` if it is missing or not complete."""
    try:
        content = json.loads(folder.read(_FILE) or b"null")
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
