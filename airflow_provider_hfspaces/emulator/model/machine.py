"""The state machine of a Space: the stage that follows each stage after each event."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ASLEEP", "MACHINE", "NEXT", "STILL_SERVING", "Transition", "as_markdown"]


@dataclass(frozen=True)
class Transition:
    """A Space in ``stage`` enters ``then`` after ``event``.

    :ivar takes: the duration in :class:`Timings` after which time causes the event; ``None`` for an event
        that the owner, a visitor or the app causes.
    """

    stage: str
    event: str
    then: str
    takes: str | None = None


ASLEEP = "SLEEPING"
"""The stage of a sleeping Space. With the setting ``asleep="STOPPED"``, the Hub shows STOPPED instead."""

_RESTED = ("PAUSED", ASLEEP, "BUILD_ERROR", "RUNTIME_ERROR", "CONFIG_ERROR", "STOPPED")
_SERVING = ("RUNNING", "RUNNING_BUILDING", "RUNNING_APP_STARTING")
_STARTING = ("BUILDING", "APP_STARTING")
_ALL = ("NO_APP_FILE", *_RESTED, *_SERVING, *_STARTING)

MACHINE: tuple[Transition, ...] = (
    # events that time causes
    Transition("BUILDING", "built", "APP_STARTING", "build"),
    Transition("BUILDING", "build failed", "BUILD_ERROR", "build"),
    Transition("APP_STARTING", "started", "RUNNING", "start"),
    Transition("APP_STARTING", "woken", "RUNNING", "wake"),
    Transition("APP_STARTING", "start failed", "RUNTIME_ERROR", "start"),
    Transition("APP_STARTING", "no capacity", "RUNTIME_ERROR", "scheduling"),
    Transition("APP_STARTING", "over quota", "PAUSED", "scheduling"),
    Transition("APP_STARTING", "not healthy", "RUNTIME_ERROR", "launch_timeout"),
    Transition("RUNNING_BUILDING", "built", "RUNNING_APP_STARTING", "build"),
    Transition("RUNNING_BUILDING", "build failed", "BUILD_ERROR", "build"),
    Transition("RUNNING_APP_STARTING", "started", "RUNNING", "start"),
    Transition("RUNNING_APP_STARTING", "start failed", "RUNTIME_ERROR", "start"),
    Transition("RUNNING_APP_STARTING", "no capacity", "RUNTIME_ERROR", "scheduling"),
    Transition("RUNNING_APP_STARTING", "over quota", "PAUSED", "scheduling"),
    Transition("RUNNING_APP_STARTING", "not healthy", "RUNTIME_ERROR", "launch_timeout"),
    Transition("RUNNING", "idle", ASLEEP, "the sleep time"),
    # events that the owner, a visitor or the app causes
    *(Transition(stage, "restart", "BUILDING") for stage in (*_RESTED, *_STARTING)),
    *(Transition(stage, "restart", "RUNNING_BUILDING") for stage in _SERVING),
    *(Transition(stage, "cold restart", "BUILDING") for stage in _SERVING),
    *(
        Transition(stage, "change", "BUILDING")
        for stage in ("BUILDING", "APP_STARTING", "BUILD_ERROR", "RUNTIME_ERROR")
    ),
    *(Transition(stage, "change", "RUNNING_BUILDING") for stage in _SERVING),
    *(
        Transition(stage, "commit", "BUILDING")
        for stage in ("NO_APP_FILE", *_RESTED, *_STARTING)
        if stage != "PAUSED"
    ),
    *(Transition(stage, "commit", "RUNNING_BUILDING") for stage in _SERVING),
    *(Transition(stage, "invalid card", "CONFIG_ERROR") for stage in _ALL),
    *(Transition(stage, "no app file", "NO_APP_FILE") for stage in _ALL),
    *(Transition(stage, "visit", "APP_STARTING") for stage in (ASLEEP, "STOPPED")),
    *(Transition(stage, "crash", "RUNTIME_ERROR") for stage in _SERVING),
    *(Transition(stage, "pause", "PAUSED") for stage in _ALL if stage != "PAUSED"),
    *(Transition(stage, "delete", "DELETING") for stage in _ALL),
)
"""The transitions of a Space.

``change`` is a change of hardware, secrets, variables or volumes, which does not start a paused or sleeping
Space. ``invalid card`` and ``no app file`` replace an event that starts a build if the files on ``main``
cannot be built.
"""

NEXT = {(each.stage, each.event): each.then for each in MACHINE}
"""The following stage, by stage and event. An event that is missing here does nothing in that stage."""

STILL_SERVING = {"BUILDING": "RUNNING_BUILDING"}
"""The stage of a build while an older version of the app serves, by the stage of a build without one."""


def as_markdown() -> str:
    """The state machine as a Markdown table, for the documentation."""
    from airflow_provider_hfspaces.hub.stages import BILLED_STAGES

    lines = ["| stage | billed | after | follows | takes |", "|---|---|---|---|---|"]
    lines.extend(
        f"| {each.stage} | {'yes' if each.stage in BILLED_STAGES else 'no'} | {each.event} | {each.then} "
        f"| {each.takes or 'at once'} |"
        for each in MACHINE
    )
    return "\n".join(lines)
