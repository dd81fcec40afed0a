"""Progress: logs how far a batch has come, for each tenth of the items and at least every minute."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from airflow_provider_hfspaces.space_app.batch.journal import DONE, FAILED

__all__ = ["Progress", "duration"]

_LEAST_SECONDS = 5.0
"""Shortest time between two lines."""

_QUIET_SECONDS = 60.0
"""Longest time between two lines."""

_SHARES = 10
"""Number of parts of the items after each of which a line is due."""


class Progress:
    """Counts the finished items, and logs how far the batch has come.

    :param name: the beginning of each line, such as ``Space acme/caption``.
    :param items: total number of items.
    :param done: number of items that earlier runs have done.
    :param log: receives the lines.
    :param clock: returns the time in seconds.
    """

    def __init__(
        self,
        name: str,
        items: int,
        done: int,
        *,
        log: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._log, self._clock = name, log, clock
        self._items, self._earlier = items, done
        self.done, self.failed = 0, 0
        self._began = self._logged_at = clock()
        self._share = self._current_share

    @property
    def remaining(self) -> int:
        """The number of items that are not finished."""
        return self._items - self._earlier - self.done - self.failed

    def note(self, *, is_result: bool) -> None:
        """Count a finished item, and log a line if one is due.

        :param is_result: True for a result, False for an error.
        """
        if is_result:
            self.done += 1
        else:
            self.failed += 1
        has_news = self._current_share > self._share
        if has_news and self._clock() - self._logged_at >= _LEAST_SECONDS:
            self.show()

    def show_if_quiet(self) -> None:
        """Log the progress if no line was logged for a minute."""
        if self._clock() - self._logged_at >= _QUIET_SECONDS:
            self.show()

    def show(self) -> None:
        """Log the progress."""
        self._share, self._logged_at = self._current_share, self._clock()
        self._log.info("%s: %s.", self._name, self.in_words())

    def in_words(self) -> str:
        """Return the progress as text, with the rate of this run and the remaining time."""
        over = self._earlier + self.done + self.failed
        text = f"{over:,} of {self._items:,} items {DONE} ({over / self._items:.0%})"
        if self.failed:
            text += f", {self.failed:,} of them {FAILED}"
        elapsed = self._clock() - self._began
        rate = (self.done + self.failed) / elapsed if elapsed else 0.0
        if rate:
            text += f", {rate:,.1f} items/s"
            if over < self._items:
                text += f", about {duration((self._items - over) / rate)} left"
        return text

    @property
    def _current_share(self) -> int:
        return (self._earlier + self.done + self.failed) * _SHARES // max(self._items, 1)


def duration(seconds: float) -> str:
    """Return a duration as text: ``45 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
