"""SpaceLogWriter: writes lines of a Space's log into the log of a task: plain, masked and within limits."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from airflow_provider_hfspaces.compat.config import log_lines, log_lines_per_second
from airflow_provider_hfspaces.compat.imports import redact
from airflow_provider_hfspaces.hub.logs.event import LogEvent
from airflow_provider_hfspaces.hub.masking import mask_tokens
from airflow_provider_hfspaces.hub.text import plain_lines
from airflow_provider_hfspaces.space_log.progress import LogProgress

__all__ = ["LogLimits", "SpaceLogWriter"]

_MAX_LINE_CHARACTERS = 1_000
"""An ellipsis replaces the rest of a longer line."""

_BURST_SECONDS = 10
"""After a quiet time, a log may show at once as many lines as it may show in this time."""

_LOG_PAGES = {"build": "build", "run": "container"}


@dataclass(frozen=True)
class LogLimits:
    """How many lines the log of one task shows.

    :param lines: lines in all.
    :param per_second: lines a second, on average over ten seconds.
    """

    lines: int
    per_second: int

    @classmethod
    def from_config(cls) -> LogLimits:
        """Return the limits of Airflow's configuration."""

        return cls(log_lines(), log_lines_per_second())


class SpaceLogWriter:
    """Writes lines of a Space's log into the log of a task.

    :param progress: what the task has shown so far. It is kept up to date.
    :param log: the log of the task.
    :param endpoint: the address of the Hub, for links.
    :param limits: how many lines to show.
    :param clock: returns the time in seconds.
    """

    def __init__(
        self,
        progress: LogProgress,
        log: Any,
        *,
        endpoint: str,
        limits: LogLimits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._progress, self._log, self._limits, self._clock = progress, log, limits, clock
        self._page = f"{endpoint}/spaces/{progress.repo_id}?logs="
        self._burst = float(limits.per_second * _BURST_SECONDS)
        self._allowance, self._refilled_at = self._burst, clock()
        self._missing: Counter[str] = Counter()

    def write(self, kind: str, events: Iterable[LogEvent], *, left_out: int = 0) -> None:
        """Write the lines of events.

        :param kind: ``build`` or ``run``.
        :param left_out: number of further events that came too fast to be kept.
        """
        for event in events:
            self._progress.read.add(kind)
            for line in plain_lines(event.text):
                if self._may_write(kind):
                    self.close(kind)
                    self._line(kind, line)
                else:
                    self._leave_out(kind, 1)
        if left_out:
            self._leave_out(kind, left_out)

    def warn(self, kind: str, about: str, reason: str) -> None:
        """Write a warning about a log, once.

        :param about: the subject of the warning. A second warning on one subject is not written.
        :param reason: the rest of the sentence, after "The build log of Space acme/whisper".
        """
        if f"{kind}: {about}" not in self._progress.warned:
            self._progress.warned.add(f"{kind}: {about}")
            self._log.warning("The %s log of Space %s %s", kind, self._progress.repo_id, reason)

    def page(self, kind: str) -> str:
        """Return the address of the page with the whole log."""
        return self._page + _LOG_PAGES[kind]

    def close(self, kind: str) -> None:
        """Write how many lines are missing at this place, if any are."""
        missing = self._missing.pop(kind, 0)
        if missing:
            self._log.info(
                "%s %s | … %s lines are left out here. The whole log: %s",
                self._progress.repo_id,
                kind,
                f"{missing:,}",
                self.page(kind),
            )

    def _may_write(self, kind: str) -> bool:
        now = self._clock()
        gained = (now - self._refilled_at) * self._limits.per_second
        self._allowance, self._refilled_at = min(self._burst, self._allowance + gained), now
        if self._progress.shown >= self._limits.lines:
            self.warn(
                kind,
                "lines",
                f"is no longer shown: the task shows {self._limits.lines:,} lines at most, as "
                f"[hf_spaces] log_lines sets. The whole log: {self.page(kind)}",
            )
            return False
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    def _leave_out(self, kind: str, number: int) -> None:
        self._missing[kind] += number
        self._progress.left_out += number

    def _line(self, kind: str, line: str) -> None:
        self._progress.shown += 1
        # Secrets are masked before the line is cut: Airflow does not recognize half a secret.
        text = redact(mask_tokens(line))
        if len(text) > _MAX_LINE_CHARACTERS:
            text = text[: _MAX_LINE_CHARACTERS - 1] + "…"
        self._log.info("%s %s | %s", self._progress.repo_id, kind, text)
