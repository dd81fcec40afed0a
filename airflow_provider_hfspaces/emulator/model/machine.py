"""The state machine of a Space, written down once: which stage follows which, after what."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ASLEEP", "MACHINE", "NEXT", "Transition", "as_markdown"]


@dataclass(frozen=True)
class Transition:
    """In ``stage``, after ``event``, a Space is in ``then``.

    :ivar takes: what names the time until an event that comes by itself; ``None`` for one that
        somebody causes.
    """

    stage: str
    event: str
    then: str
    takes: str | None = None


ASLEEP = "SLEEPING"
"""Stands for STOPPED as well: a setting says which of the two the Hub shows."""

_RESTED = ("PAUSED", ASLEEP, "BUILD_ERROR", "RUNTIME_ERROR", "CONFIG_ERROR", "STOPPED")
_SERVING = ("RUNNING", "RUNNING_BUILDING", "RUNNING_APP_STARTING")
_STARTING = ("BUILDING", "APP_STARTING")
_ALL = ("NO_APP_FILE", *_RESTED, *_SERVING, *_STARTING)

MACHINE: tuple[Transition, ...] = (
    # by themselves
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
    # caused by the owner, a visitor or bad luck
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
    *(Transition(stage, "visit", "APP_STARTING") for stage in (ASLEEP, "STOPPED")),
    *(Transition(stage, "crash", "RUNTIME_ERROR") for stage in _SERVING),
    *(Transition(stage, "pause", "PAUSED") for stage in _ALL if stage != "PAUSED"),
    *(Transition(stage, "delete", "DELETING") for stage in _ALL),
)
"""``change`` is a new hardware, secret, variable or volume; a paused or sleeping Space stays as it is."""

NEXT = {(each.stage, each.event): each.then for each in MACHINE}


def as_markdown() -> str:
    """The table for the documentation."""
    from airflow_provider_hfspaces.hub.stages import BILLED_STAGES

    lines = ["| stage | billed | after | follows | takes |", "|---|---|---|---|---|"]
    lines.extend(
        f"| {each.stage} | {'yes' if each.stage in BILLED_STAGES else 'no'} | {each.event} | {each.then} "
        f"| {each.takes or 'at once'} |"
        for each in MACHINE
    )
    return "\n".join(lines)
