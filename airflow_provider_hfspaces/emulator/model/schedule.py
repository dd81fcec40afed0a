"""The schedule of a Space: which event time causes next, and when."""

from __future__ import annotations

from airflow_provider_hfspaces.emulator.model.luck import NO_HARDWARE, Luck
from airflow_provider_hfspaces.emulator.settings import Timings
from airflow_provider_hfspaces.hub.stages import APP_START_STAGES, BUILD_STAGES, SpaceStage

__all__ = ["FREE_SLEEP_SECONDS", "Due", "next_event", "revised"]

FREE_SLEEP_SECONDS = 172_800
"""Seconds without a visitor after which a Space on free hardware sleeps, whatever sleep time is set."""

Due = tuple[float, str]
"""The emulated time of an event, and its name in :data:`MACHINE`."""


def next_event(
    stage: str,
    time: float,
    *,
    cause: str,
    hardware: str | None,
    last_visit: float,
    sleep_time: int | None,
    luck: Luck,
    timings: Timings,
) -> Due | None:
    """The event by which time ends a stage; ``None`` if only an action of a caller or the app ends it.

    :param time: start of the stage, in emulated seconds since 1970.
    :param cause: the event that started the stage.
    """
    if stage in BUILD_STAGES:
        return time + timings.build, "build failed" if luck.build else "built"
    if stage in APP_START_STAGES:
        return _end_of_start(time, cause, hardware, luck, timings)
    if stage != SpaceStage.RUNNING:
        return None
    if luck.crash_after is not None and luck.crashes != 0:
        return time + luck.crash_after, "crash"
    if sleep_time is not None:
        # Never in the past: a shorter sleep time does not put the Space to sleep before the change.
        return max(time, last_visit + sleep_time), "idle"
    return None


def _end_of_start(time: float, cause: str, hardware: str | None, luck: Luck, timings: Timings) -> Due:
    if refused := luck.refuses(hardware):
        return time + timings.scheduling, refused
    if luck.start is not None:
        return time + timings.start, "start failed"
    if luck.hang or luck.waits_for_capacity(hardware):
        return time + timings.launch_timeout, "not healthy"
    if cause == "visit":
        return time + timings.wake, "woken"
    return time + timings.start, "started"


def revised(stage: str, due: Due, now: float, hardware: str | None, luck: Luck, timings: Timings) -> Due:
    """The event that ends a build or a start, recomputed after a test injected or removed failures."""
    time, event = due
    if stage in BUILD_STAGES:
        return time, "build failed" if luck.build else "built"
    if refused := luck.refuses(hardware):
        return due if event == refused else (now + timings.scheduling, refused)
    if luck.start is not None:
        return time, "start failed"
    if luck.hang or luck.waits_for_capacity(hardware):
        return due if event == "not healthy" else (now + timings.launch_timeout, "not healthy")
    if event in (*NO_HARDWARE, "not healthy"):
        return now + timings.start, "started"
    return due
