"""Goal: the state that a wait is for, and the only place that decides whether a Space has reached it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.hub.checks import is_commit
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.stages import (
    ASLEEP_STAGES,
    FAILED_STAGES,
    KNOWN_STAGES,
    PERMANENT_STAGES,
    SpaceStage,
)

__all__ = ["Failed", "Goal", "Pending", "Reached", "Verdict"]

log = logging.getLogger(__name__)

_SHORT_SHA_DIGITS = 7

_WAKE = "Restart the Space, or visit its page to wake it."

_FAILURES = {
    SpaceStage.BUILD_ERROR.value: (
        "its build failed",
        "Read the build log, fix the build and restart the Space.",
    ),
    SpaceStage.RUNTIME_ERROR.value: ("its app failed", "Read the log, fix the app and restart the Space."),
    SpaceStage.CONFIG_ERROR.value: (
        "its configuration is not valid",
        "Fix the metadata in the Space's README.md.",
    ),
    SpaceStage.NO_APP_FILE.value: ("it has no app file", "Add an app file to the Space's repository."),
    SpaceStage.PAUSED.value: ("it is paused", "Restart the Space: it does not start by itself."),
    SpaceStage.STOPPED.value: ("it sleeps", _WAKE),
    SpaceStage.SLEEPING.value: ("it sleeps", _WAKE),
    SpaceStage.DELETING.value: ("it is being deleted", ""),
}
"""For each stage in which a wait fails, the cause and the remedy."""


@dataclass(frozen=True, slots=True)
class Reached:
    """The Space has reached the goal."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The Space has not reached the goal yet and still can.

    :ivar reason: what is missing, in a few words.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The Space can no longer reach the goal by itself.

    :ivar reason: the cause, in a few words.
    :ivar permanent: True if a retry of the wait cannot succeed.
    :ivar remedy: what the user can do, as a sentence.
    """

    reason: str
    permanent: bool = False
    remedy: str = ""


Verdict = Reached | Pending | Failed


@dataclass(frozen=True, slots=True)
class Goal:
    """The state of a Space that a wait is for.
    >>> Goal(hardware="t4-small").judge(SpaceRuntime("RUNNING", "cpu-basic", "t4-small"))
    Pending(reason='RUNNING, still on cpu-basic')

    :param stages: the Space must be in one of these stages; by default RUNNING. STOPPED and SLEEPING count as
        one stage.
    :param hardware: the flavor on which the Space must run; by default any. A request that the Hub has only
        accepted is not enough.
    :param sha: the commit that must run, in full or its first digits; by default any. While the Hub does not
        report which commit runs, the goal is not reached.
    :param failed_stages: stages that end the wait with an error; by default the stages that a Space does not
        leave by itself, except those in ``stages``.
    :raises ValueError: if ``stages`` is empty.
    """

    stages: frozenset[str] = frozenset({SpaceStage.RUNNING.value})
    hardware: str | None = None
    sha: str | None = None
    failed_stages: frozenset[str] | None = field(default=None)

    def __post_init__(self) -> None:
        stages = _stage_set(self.stages)
        if not stages:
            raise ValueError("stages must not be empty: a goal needs at least one stage.")
        object.__setattr__(self, "stages", stages)
        if self.failed_stages is not None:
            object.__setattr__(self, "failed_stages", _stage_set(self.failed_stages) - stages)

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> Goal:
        """Return the goal from its :meth:`to_dict`."""
        failed = payload.get("failed_stages")
        return cls(
            stages=frozenset(payload["stages"]),
            hardware=payload.get("hardware"),
            sha=payload.get("sha"),
            failed_stages=None if failed is None else frozenset(failed),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the goal as plain JSON."""
        return {
            "stages": sorted(self.stages),
            "hardware": self.hardware,
            "sha": self.sha,
            "failed_stages": None if self.failed_stages is None else sorted(self.failed_stages),
        }

    def judge(self, runtime: SpaceRuntime) -> Verdict:
        """Return the verdict for a Space with this runtime: reached, pending or failed."""
        stage = runtime.stage
        if self.hardware is not None and runtime.is_static:
            return Failed(
                "a static Space runs on no hardware", permanent=True, remedy="Wait for it without hardware."
            )
        if stage in self.stages:
            return self._judge_version(runtime)
        if stage in (FAILED_STAGES if self.failed_stages is None else self.failed_stages):
            cause, remedy = _FAILURES.get(stage, ("this stage ends the wait", ""))
            return Failed(f"{cause} ({stage})", stage in PERMANENT_STAGES, remedy)
        if stage not in KNOWN_STAGES:
            _log_unknown_once(stage)
        return Pending(f"stage {stage}")

    def is_reached_by(self, runtime: SpaceRuntime, *, or_asleep: bool = False) -> bool:
        """Return True if a Space with this runtime has reached the goal.

        :param or_asleep: whether a Space that sleeps on the goal's hardware counts as well, because the next
            visitor wakes it there; by default not. The commit of a sleeping Space is not compared.
        """
        if or_asleep and runtime.stage in ASLEEP_STAGES:
            return self.hardware is None or runtime.is_set_to(self.hardware)
        return isinstance(self.judge(runtime), Reached)

    def may_be_reached(self, runtime: SpaceRuntime) -> bool:
        """Return True if only the commit is unknown: an answer about the Space alone may report it."""
        return self.sha is not None and runtime.sha is None and runtime.stage in self.stages

    def _judge_version(self, runtime: SpaceRuntime) -> Verdict:
        """Judge hardware and commit: after a request, the Hub still reports RUNNING with the old ones."""
        if self.hardware is not None and runtime.stage == SpaceStage.RUNNING:
            if runtime.hardware != self.hardware:
                return Pending(f"{runtime.stage}, still on {runtime.hardware}")
            if runtime.requested_hardware not in (None, self.hardware):
                return Pending(f"{runtime.stage}, about to move to {runtime.requested_hardware}")
        if self.sha is None:
            return Reached()
        if runtime.sha is None:
            return Pending(f"{runtime.stage}, at a commit that the Hub does not report")
        if not is_commit(runtime.sha, self.sha):
            return Pending(f"{runtime.stage}, still at commit {runtime.sha[:_SHORT_SHA_DIGITS]}")
        return Reached()

    def __str__(self) -> str:
        text = " or ".join(sorted(self.stages))
        if self.hardware:
            text += f" on {self.hardware}"
        if self.sha:
            text += f" at commit {self.sha[:_SHORT_SHA_DIGITS]}"
        return text


def _stage_set(stages: Iterable[str]) -> frozenset[str]:
    if isinstance(stages, str):
        stages = {stages}
    names = frozenset(str(stage) for stage in stages)
    return names | ASLEEP_STAGES if names & ASLEEP_STAGES else names


_logged_stages: set[str] = set()


def _log_unknown_once(stage: str) -> None:
    if stage not in _logged_stages:
        _logged_stages.add(stage)
        log.warning(
            "The Hub reports the stage %r, which this version does not know. The wait continues; check "
            "whether a newer version of this package knows the stage.",
            stage,
        )
