"""The build log and the app log of a Space."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider_hfspaces.emulator.model.clock import iso
from airflow_provider_hfspaces.emulator.settings import Settings
from airflow_provider_hfspaces.hub.stages import APP_START_STAGES, BUILD_STAGES, SpaceStage

__all__ = ["Log", "LogLine", "SpaceLogs"]

_MAX_LINES = 5_000
"""Lines that one log keeps."""


@dataclass(frozen=True)
class LogLine:
    """A line of a log.

    :ivar time: the time of the line, in emulated seconds since 1970.
    """

    time: float
    text: str


class Log:
    """The log of the current build, or of the current run of the app.

    Lines may be written ahead of time. A reader sees each line when its time has come. An event that comes
    before removes the lines that are still ahead.

    :ivar number: number of the build or the run, by which readers notice that a new one has begun.
    :ivar dropped: number of old lines that are no longer kept.
    """

    def __init__(self) -> None:
        self.number = 0
        self.dropped = 0
        self.lines: list[LogLine] = []

    def begin(self, time: float, lines: Iterable[tuple[float, str]]) -> None:
        """Start a new log.

        :param lines: the lines, each with its seconds after ``time``.
        """
        self.number += 1
        self.dropped = 0
        self.lines = [LogLine(time + after, text) for after, text in lines]

    def write(self, time: float, *texts: str) -> None:
        """Write lines at ``time``, and remove lines that were written ahead for a later time."""
        self.lines = [line for line in self.lines if line.time <= time] if self._ahead(time) else self.lines
        self.lines.extend(LogLine(time, text) for text in texts)
        excess = len(self.lines) - _MAX_LINES
        if excess > 0:
            del self.lines[:excess]
            self.dropped += excess

    def until(self, now: float) -> list[LogLine]:
        """The lines up to an emulated time."""
        return [line for line in self.lines if line.time <= now] if self._ahead(now) else list(self.lines)

    def _ahead(self, time: float) -> bool:
        return bool(self.lines) and self.lines[-1].time > time


class SpaceLogs:
    """The two logs of a Space.

    :ivar build: the log of the last build.
    :ivar run: the log of the app.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.build, self.run = Log(), Log()

    def on_creation(self, stage: str, time: float, sha: str, sdk: str, error_message: str | None) -> None:
        """Write the log lines that led to the first stage of a new Space."""
        if stage in (SpaceStage.NO_APP_FILE, SpaceStage.CONFIG_ERROR):
            return
        if stage in BUILD_STAGES:
            self.on_stage(stage, "created", time, sha, sdk)
            return
        lines = _build_lines(time, sha, sdk, self._settings.timings.build)
        self.build.begin(time, [(0.0, text) for _, text in lines])
        if stage == SpaceStage.BUILD_ERROR:
            self.build.write(time, f"error: {error_message}")
            return
        self.on_stage(SpaceStage.APP_STARTING, "created", time, sha, sdk)
        if stage != SpaceStage.APP_STARTING:
            self.on_stage(SpaceStage.RUNNING, "created", time, sha, sdk)
        if stage == SpaceStage.RUNTIME_ERROR and error_message:
            self.run.write(time, error_message)

    def on_stage(self, stage: str, event: str, time: float, sha: str, sdk: str) -> None:
        """Write the log lines of a Space that enters a stage after an event."""
        if stage in BUILD_STAGES:
            self.build.begin(time, _build_lines(time, sha, sdk, self._settings.timings.build))
        elif stage in APP_START_STAGES:
            if event == "built":
                self.build.write(time, "DONE 4.2s")
            self.run.begin(time, [(0.0, f"===== Application Startup at {_log_time(time)} =====")])
        elif stage == SpaceStage.RUNNING:
            self.run.write(time, "Running on local URL:  http://0.0.0.0:7860")
        else:
            # Removes the lines that an interrupted build or start has written ahead.
            self.build.write(time)
            self.run.write(time)


def _build_lines(time: float, sha: str, sdk: str, seconds: float) -> list[tuple[float, str]]:
    """The lines of a build log, each with its seconds after the start of the build.

    :param seconds: duration of the build.
    """
    steps = [
        (0.0, f"===== Build Queued at {_log_time(time)} / Commit SHA: {sha[:7]} ====="),
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


def _log_time(time: float) -> str:
    return iso(time)[:19].replace("T", " ")
