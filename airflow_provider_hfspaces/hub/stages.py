"""The stages of a Space, and the sets of stages on which decisions depend.

Come here to add a stage, or to see what a stage means for waits, restores and cost. The emulator's state
machine is the only other module that spells stages.
"""

from __future__ import annotations

from enum import Enum

__all__ = [
    "ACTIVE_STAGES",
    "APP_START_STAGES",
    "ASLEEP_STAGES",
    "BILLED_STAGES",
    "BUILD_STAGES",
    "DORMANT_STAGES",
    "ERROR_STAGES",
    "FAILED_COPY_STAGES",
    "FAILED_STAGES",
    "IDLE_STAGES",
    "KNOWN_STAGES",
    "NEEDS_COMMIT_STAGES",
    "NEEDS_RESTART_STAGES",
    "NEEDS_START_STAGES",
    "NOT_RESTARTABLE_STAGES",
    "PERMANENT_STAGES",
    "REACHABLE_STAGES",
    "SERVING_STAGES",
    "STARTING_STAGES",
    "UNPAUSABLE_STAGES",
    "WILL_BE_BILLED_STAGES",
    "SpaceStage",
]


class SpaceStage(str, Enum):
    """The 13 stages of a Space in the Hub's schema.

    A member equals its plain string: ``runtime.stage == SpaceStage.RUNNING`` works although
    :attr:`SpaceRuntime.stage` is a string. It is a string because the Hub may report a stage that this
    version does not know.
    """

    NO_APP_FILE = "NO_APP_FILE"
    CONFIG_ERROR = "CONFIG_ERROR"
    BUILDING = "BUILDING"
    BUILD_ERROR = "BUILD_ERROR"
    APP_STARTING = "APP_STARTING"
    RUNNING = "RUNNING"
    RUNNING_BUILDING = "RUNNING_BUILDING"
    RUNNING_APP_STARTING = "RUNNING_APP_STARTING"
    RUNTIME_ERROR = "RUNTIME_ERROR"
    STOPPED = "STOPPED"
    PAUSED = "PAUSED"
    SLEEPING = "SLEEPING"
    DELETING = "DELETING"

    def __str__(self) -> str:
        return str(self.value)


def _plain(*stages: SpaceStage) -> frozenset[str]:
    return frozenset(stage.value for stage in stages)


KNOWN_STAGES = _plain(*SpaceStage)
"""All stages that this version knows."""

BUILD_STAGES = _plain(SpaceStage.BUILDING, SpaceStage.RUNNING_BUILDING)
"""The image is being built."""

APP_START_STAGES = _plain(SpaceStage.APP_STARTING, SpaceStage.RUNNING_APP_STARTING)
"""The container is being scheduled, or the app is starting in it."""

STARTING_STAGES = BUILD_STAGES | APP_START_STAGES
"""Stages that a Space leaves by itself: something is being built or started."""

SERVING_STAGES = _plain(SpaceStage.RUNNING, SpaceStage.RUNNING_BUILDING, SpaceStage.RUNNING_APP_STARTING)
"""Some version of the app answers visitors."""

ACTIVE_STAGES = SERVING_STAGES | STARTING_STAGES
"""The app runs, or a build or start is under way that ends with it running."""

ASLEEP_STAGES = _plain(SpaceStage.STOPPED, SpaceStage.SLEEPING)
"""The Hub's two names for a Space that sleeps until a visitor or a restart wakes it."""

DORMANT_STAGES = ASLEEP_STAGES | _plain(SpaceStage.PAUSED)
"""Nothing runs and nothing is wrong."""

NEEDS_RESTART_STAGES = _plain(SpaceStage.BUILD_ERROR, SpaceStage.RUNTIME_ERROR)
"""The last build or start failed; a restart or other hardware may succeed."""

NEEDS_START_STAGES = DORMANT_STAGES | NEEDS_RESTART_STAGES
"""Nothing runs, and a restart may start it."""

IDLE_STAGES = ASLEEP_STAGES | NEEDS_RESTART_STAGES
"""Nothing runs, although nobody has paused the Space: it costs nothing, and new hardware starts it."""

REACHABLE_STAGES = SERVING_STAGES | ASLEEP_STAGES
"""A visitor reaches the app, which runs or wakes up."""

NEEDS_COMMIT_STAGES = _plain(SpaceStage.CONFIG_ERROR, SpaceStage.NO_APP_FILE)
"""The repository has to change before the Space can start."""

ERROR_STAGES = NEEDS_RESTART_STAGES | NEEDS_COMMIT_STAGES
"""Stages that need a restart, other hardware or a commit."""

PERMANENT_STAGES = NEEDS_COMMIT_STAGES | _plain(SpaceStage.DELETING)
"""Stages in which neither a restart nor another wait helps."""

UNPAUSABLE_STAGES = PERMANENT_STAGES | _plain(SpaceStage.PAUSED)
"""A pause would change nothing."""

NOT_RESTARTABLE_STAGES = ACTIVE_STAGES | _plain(SpaceStage.DELETING)
"""The Space runs or starts already, or will no longer exist."""

FAILED_STAGES = ERROR_STAGES | DORMANT_STAGES | _plain(SpaceStage.DELETING)
"""Stages that a Space does not leave for RUNNING by itself."""

FAILED_COPY_STAGES = FAILED_STAGES - _plain(SpaceStage.NO_APP_FILE)
"""The failed stages of a new copy, which has no app file until the Hub has copied its files."""

BILLED_STAGES = SERVING_STAGES | _plain(SpaceStage.APP_STARTING)
"""Stages that the Hub bills by the minute on paid hardware: the app is starting or running."""

WILL_BE_BILLED_STAGES = BILLED_STAGES | _plain(SpaceStage.BUILDING)
"""The billed stages, and BUILDING, after which the Hub starts to bill."""
