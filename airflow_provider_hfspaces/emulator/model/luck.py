"""Luck, the failures that a test injects into a Space: of builds, starts, hardware and the app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_provider_hfspaces.emulator.model.logs import SpaceLogs
from airflow_provider_hfspaces.hub.stages import SpaceStage

__all__ = ["CRASH_MESSAGE", "NO_HARDWARE", "USUAL_ERRORS", "Luck"]

CRASH_MESSAGE = "Exit code: 1. Reason: application crashed"

USUAL_ERRORS = {
    SpaceStage.BUILD_ERROR.value: "Job failed with exit code: 1",
    SpaceStage.RUNTIME_ERROR.value: CRASH_MESSAGE,
    SpaceStage.CONFIG_ERROR.value: "ConfigError: Gradio version does not exist",
}
"""The default error message of a Space that is created in an error stage, by stage."""

NO_HARDWARE = {
    "no capacity": "Scheduling failure: not enough hardware capacity",
    "over quota": "You've reached your hardware quota limit across all your Spaces!",
}
"""The error messages of the events that end a start because the hardware is not available."""


@dataclass
class Luck:
    """The failures that a test has injected into a Space.

    :ivar build: message and last log lines of the next build if it fails; otherwise ``None``.
    :ivar start: message and last log lines of the next start if it fails; otherwise ``None``.
    :ivar no_capacity: flavors without machines.
    :ivar capacity_failures: number of starts that still fail without machines; ``None`` for all.
    :ivar capacity_waits: whether a start without machines waits for them instead of failing.
    :ivar over_quota: flavors whose quota the account has used up.
    :ivar hang: whether the next start never becomes healthy.
    :ivar crash_after: emulated seconds from each start of the app to its crash; ``None`` for no crash.
    :ivar crashes: number of crashes that remain; ``None`` for no limit.
    """

    build: tuple[str, tuple[str, ...]] | None = None
    start: tuple[str, tuple[str, ...]] | None = None
    no_capacity: set[str] = field(default_factory=set)
    capacity_failures: int | None = None
    capacity_waits: bool = False
    over_quota: set[str] = field(default_factory=set)
    hang: bool = False
    crash_after: float | None = None
    crashes: int | None = None

    def refuses(self, hardware: str | None) -> str | None:
        """The event of :data:`NO_HARDWARE` that ends a start on this hardware, or ``None``."""
        if hardware in self.no_capacity and not self.capacity_waits:
            return "no capacity"
        return "over quota" if hardware in self.over_quota else None

    def waits_for_capacity(self, hardware: str | None) -> bool:
        """Whether a start on this hardware hangs until machines are available."""
        return self.capacity_waits and hardware in self.no_capacity

    def strike(self, event: str, logs: SpaceLogs, time: float) -> str | None:
        """Use up the failure that an event stands for, and write it to the logs.

        :param event: name of the event that is due, as in the state machine.
        :return: the error message of the failure; ``None`` if the event is not a failure.
        """
        if event in NO_HARDWARE:
            if event == "no capacity" and self.capacity_failures is not None:
                self.capacity_failures -= 1
                if self.capacity_failures <= 0:
                    self.no_capacity, self.capacity_failures = set(), None
            return NO_HARDWARE[event]
        if event == "build failed" and self.build is not None:
            (message, lines), self.build = self.build, None
            logs.build.write(time, *(lines or (f"error: {message}",)))
            return message
        if event == "start failed" and self.start is not None:
            (message, lines), self.start = self.start, None
            logs.run.write(time, *(lines or (message,)))
            return message
        if event == "not healthy":
            self.hang = False
            return "launch timed out, space was not healthy after 30 min"
        if event == "crash":
            logs.run.write(time, CRASH_MESSAGE)
            if self.crashes is not None:
                self.crashes -= 1
            return CRASH_MESSAGE
        return None

    def to_dict(self) -> dict[str, Any]:
        """The failures as plain JSON."""
        sets = {"no_capacity": sorted(self.no_capacity), "over_quota": sorted(self.over_quota)}
        return {**asdict(self), **sets}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Luck:
        """The failures from the dictionary that :meth:`to_dict` returned."""
        failures = {
            name: state[name] and (state[name][0], tuple(state[name][1])) for name in ("build", "start")
        }
        sets = {name: set(state[name]) for name in ("no_capacity", "over_quota")}
        return cls(**{**state, **failures, **sets})
