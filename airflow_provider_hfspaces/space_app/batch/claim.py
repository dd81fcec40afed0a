"""Claim: lets at most one worker write to an output folder.

Come here to change how workers are kept apart. A claim is a file that its holder rewrites every 15 seconds
with a counter. Another worker that finds the file watches it: if the counter does not change, the holder is
dead, and the worker takes over the folder. Clocks of different hosts are never compared.

Without a compare-and-set in the storage, two workers may claim a folder at the same time. One of them notices
the other when it renews its claim, and stops. Until then, both write files with names of their own, so no
file is damaged, but some items are sent twice.
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

_READ_SECONDS = 1.0
"""Time between two reads of a claim that is watched."""
_FILE = f"{JOURNAL}/claim.json"


class Claim:
    """The claim of this process on an output folder, from :meth:`take`.

    :ivar number: number of the claim. Each new claim on a folder has a higher number.
    :ivar name: unique name of the claim.
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
        """Claim a folder.

        If another holder has not released its claim, the method watches the claim for 45 seconds.

        :param folder: the output folder.
        :param holder: name of the caller. An earlier claim with this name is taken over at once, because a
            holder is never active twice.
        :param sleep: waits for a number of seconds while a claim is watched. It may raise an exception to end
            the wait.
        :param log: logger for the message about the watch; by default this module's.
        :returns: the claim of the caller.
        :raises OutputInUse: if another holder renews its claim.
        """
        seen = _read(folder)
        if seen is not None and not seen.get("released") and seen.get("holder") != holder:
            (log or logging.getLogger(__name__)).info(
                "output %r is claimed by %s. Waiting %.0f seconds to see whether this holder is still "
                "active.",
                str(folder),
                seen.get("holder"),
                WATCH_SECONDS,
            )
            seen = cls._watch(folder, seen, sleep)
        # The claim file of a dead worker may be incomplete, but the names of journal files have its number.
        numbers = [int(name.split("-")[1]) for name in folder.parts()]
        claim = cls(folder, max([int((seen or {}).get("number", 0)), *numbers]) + 1, holder)
        claim._write()
        return claim

    def renew(self) -> None:
        """Renew the claim, which shows other workers that this process is alive.

        :raises ClaimLost: if another worker has claimed the folder.
        """
        self._check()
        self._beat += 1
        self._write()

    def release(self) -> None:
        """Release the claim, unless another worker has claimed the folder, so that the next claim is fast."""
        seen = _read(self._folder)
        if seen is not None and seen.get("name") == self.name:
            self._write(released=True)

    def _check(self) -> None:
        seen = _read(self._folder)
        if seen is not None and seen.get("name") != self.name:
            raise ClaimLost(
                f"output {str(self._folder)!r} has been taken over by {seen.get('holder')}, and this worker "
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
        for _ in range(round(WATCH_SECONDS / _READ_SECONDS)):
            sleep(_READ_SECONDS)
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
    """Return the claim on a folder; ``None`` if it is missing or incomplete."""
    try:
        content = json.loads(folder.read(_FILE) or b"null")
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
