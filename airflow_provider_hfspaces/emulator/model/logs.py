"""The logs of a Space: what its builds and its app write, and when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider_hfspaces.emulator.model.clock import iso

__all__ = ["Log", "LogLine", "build_script", "start_script"]

_MOST_LINES = 5_000


@dataclass(frozen=True)
class LogLine:
    """A line, with the emulated time at which it is written."""

    time: float
    text: str


class Log:
    """The log of one build, or of one run of the app, until the next one begins.

    Lines may be written ahead of their time: they show when it has come, unless something else
    happens first.

    :ivar number: of the build or the run; a reader sees by it that a new one has begun.
    :ivar dropped: how many of the oldest lines are no longer kept.
    """

    def __init__(self) -> None:
        self.number = 0
        self.dropped = 0
        self.lines: list[LogLine] = []

    def begin(self, time: float, lines: Iterable[tuple[float, str]]) -> None:
        """Forget the last one; ``lines`` come so many seconds after ``time``."""
        self.number += 1
        self.dropped = 0
        self.lines = [LogLine(time + after, text) for after, text in lines]

    def write(self, time: float, *texts: str) -> None:
        """Write lines now; those that were still to come will not come any more."""
        self.lines = [line for line in self.lines if line.time <= time] if self._ahead(time) else self.lines
        self.lines.extend(LogLine(time, text) for text in texts)
        excess = len(self.lines) - _MOST_LINES
        if excess > 0:
            del self.lines[:excess]
            self.dropped += excess

    def until(self, now: float) -> list[LogLine]:
        """What can be read by now."""
        return [line for line in self.lines if line.time <= now] if self._ahead(now) else list(self.lines)

    def _ahead(self, time: float) -> bool:
        return bool(self.lines) and self.lines[-1].time > time


def build_script(time: float, sha: str, sdk: str, seconds: float) -> list[tuple[float, str]]:
    """What a build of so many seconds writes."""
    steps = [
        (0.0, f"===== Build Queued at {_spoken(time)} / Commit SHA: {sha[:7]} ====="),
        (0.02, "--> FROM docker.io/library/python:3.10"),
        (0.1, "DONE 0.0s"),
        (0.15, "--> RUN pip install --no-cache-dir pip -U"),
        (0.2, "CACHED"),
    ]
    if sdk == "docker":
        steps += [(0.3, "--> COPY . /app"), (0.6, f"DONE {0.3 * seconds:.1f}s")]
    else:
        steps += [(0.3, "--> RUN pip install --no-cache-dir -r requirements.txt"), (0.7, "DONE 11.9s")]
    steps.append((0.9, "--> Pushing image"))
    return [(share * seconds, text) for share, text in steps]


def start_script(time: float) -> list[tuple[float, str]]:
    """What an app writes first."""
    return [(0.0, f"===== Application Startup at {_spoken(time)} =====")]


def _spoken(time: float) -> str:
    return iso(time)[:19].replace("T", " ")
