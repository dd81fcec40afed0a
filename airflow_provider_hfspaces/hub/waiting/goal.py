"""Has a Space got where it should be, may it still, can it no more? Decided here and nowhere else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.stages import (
    ASLEEP_STAGES,
    FAILED_STAGES,
    KNOWN_STAGES,
    NEEDS_COMMIT_STAGES,
    SpaceStage,
)

__all__ = ["Changes", "Failed", "Goal", "Pending", "Reached", "Verdict", "Wait"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reached:
    """The Space is where it should be."""


@dataclass(frozen=True, slots=True)
class Pending:
    """It is not there, but may get there. ``reason`` says what is missing."""

    reason: str


@dataclass(frozen=True)
class Failed:
    """It does not get there by itself any more.

    :ivar permanent: True where another try of the same would end the same.
    """

    reason: str
    permanent: bool = False


Verdict = Reached | Pending | Failed


@dataclass(frozen=True, slots=True)
class Goal:
    """What should be true of a Space.

    :param stages: any of these; STOPPED and SLEEPING stand for each other.
    :param hardware: the flavor that it must run on, not only have been promised.
    :param sha: the commit that it must run, where the Hub says which one does.
    :param failed_stages: stages that end the wait without success; by default those that a Space
        does not leave by itself, less the ones that are waited for.
    """

    stages: frozenset[str] = frozenset({SpaceStage.RUNNING})
    hardware: str | None = None
    sha: str | None = None
    failed_stages: frozenset[str] | None = field(default=None)

    def __post_init__(self) -> None:
        stages = _stages(self.stages)
        if not stages:
            raise ValueError("A goal needs at least one stage.")
        object.__setattr__(self, "stages", stages)
        if self.failed_stages is not None:
            object.__setattr__(self, "failed_stages", _stages(self.failed_stages) - stages)

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> Goal:
        """The goal that :meth:`to_dict` described."""
        failed = payload.get("failed_stages")
        return cls(
            stages=frozenset(payload["stages"]),
            hardware=payload.get("hardware"),
            sha=payload.get("sha"),
            failed_stages=None if failed is None else frozenset(failed),
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "stages": sorted(self.stages),
            "hardware": self.hardware,
            "sha": self.sha,
            "failed_stages": None if self.failed_stages is None else sorted(self.failed_stages),
        }

    def judge(self, runtime: SpaceRuntime) -> Verdict:
        """What one look at a Space says about this goal."""
        stage = runtime.stage
        if self.hardware is not None and runtime.is_static:
            return Failed("a static Space runs on no hardware at all", permanent=True)
        if stage in self.stages:
            return self._judge_details(runtime)
        failing = FAILED_STAGES if self.failed_stages is None else self.failed_stages
        if stage in failing:
            return Failed(
                _why(runtime), permanent=stage in NEEDS_COMMIT_STAGES or stage == SpaceStage.DELETING
            )
        if stage not in KNOWN_STAGES:
            _log_unknown_once(stage)
        return Pending(f"stage {stage}")

    def _judge_details(self, runtime: SpaceRuntime) -> Verdict:
        if self.hardware is not None and runtime.stage == SpaceStage.RUNNING:
            if runtime.hardware != self.hardware:
                return Pending(f"{runtime.stage}, still on {runtime.hardware}")
            if runtime.requested_hardware not in (None, self.hardware):
                return Pending(f"{runtime.stage}, but about to go to {runtime.requested_hardware}")
        if self.sha is not None and runtime.sha is not None and runtime.sha != self.sha:
            return Pending(f"{runtime.stage}, still at commit {runtime.sha[:7]}")
        return Reached()

    def __str__(self) -> str:
        text = " or ".join(sorted(self.stages))
        if self.hardware:
            text += f" on {self.hardware}"
        if self.sha:
            text += f" at commit {self.sha[:7]}"
        return text


class Changes:
    """The looks at one Space by somebody who wants to know of every change, in the place of a goal.

    :param tell: called with what was before (``None`` at first) and what is.
    """

    def __init__(self, tell: Callable[[SpaceRuntime | None, SpaceRuntime], None]) -> None:
        self.goal = "any change"
        self._tell = tell
        self._last: SpaceRuntime | None = None

    def wants_certainty(self, runtime: SpaceRuntime, elapsed: float) -> bool:
        """Whether a look that may be out of date shows something new."""
        return self._last is None or _state(self._last) != _state(runtime)

    def look(self, runtime: SpaceRuntime, elapsed: float) -> Verdict:
        """Tell of what is new."""
        if self.wants_certainty(runtime, elapsed):
            self._last, before = runtime, self._last
            self._tell(before, runtime)
        return Pending(f"stage {runtime.stage}")


class Wait:
    """The looks at one Space on its way to a goal.

    Right after an action the Hub may go on reporting what was there before. Given what that was,
    a look that shows nothing new proves nothing until the grace time is over.

    :param before: the runtime when the action was sent; ``None`` for a wait without an action.
    :param answer: what the Hub answered to the action.
    :param grace: seconds for which an unchanged runtime proves nothing.
    """

    def __init__(
        self,
        goal: Goal,
        *,
        before: SpaceRuntime | None = None,
        answer: SpaceRuntime | None = None,
        grace: float = 30.0,
    ) -> None:
        self.goal = goal
        self._before = before
        self._grace = grace if before is not None else 0.0
        self._moved = before is None
        self._accepted = answer is not None and answer.requested_hardware == goal.hardware

    def look(self, runtime: SpaceRuntime, elapsed: float) -> Verdict:
        """Judge a look.

        :param elapsed: seconds since the action, or since the wait began.
        """
        verdict = self.goal.judge(runtime)
        if self._before is None:
            return verdict
        if isinstance(verdict, Failed) and verdict.permanent and runtime.is_static:
            return verdict
        self._moved = self._moved or _changed(self._before, runtime)
        self._accepted = self._accepted or runtime.requested_hardware == self.goal.hardware
        settled = self._moved or elapsed >= self._grace
        if not settled:
            return Pending(f"{runtime.stage}, as before the request")
        if isinstance(verdict, Pending) and elapsed >= self._grace:
            return self._superseded(runtime) or verdict
        return verdict

    def wants_certainty(self, runtime: SpaceRuntime, elapsed: float) -> bool:
        """Whether a look that may be out of date says that the wait might end."""
        if not isinstance(self.goal.judge(runtime), Pending):
            return True
        wanted, asked = self.goal.hardware, runtime.requested_hardware
        return elapsed >= self._grace and wanted is not None and asked not in (None, wanted)

    def _superseded(self, runtime: SpaceRuntime) -> Failed | None:
        wanted, asked = self.goal.hardware, runtime.requested_hardware
        if not self._accepted or wanted is None or asked is None or asked == wanted:
            return None
        return Failed(f"somebody else has asked for {asked} meanwhile")


def _state(runtime: SpaceRuntime) -> tuple[str | None, ...]:
    return runtime.stage, runtime.hardware, runtime.requested_hardware


def _changed(before: SpaceRuntime, now: SpaceRuntime) -> bool:
    return (before.stage, before.hardware) != (now.stage, now.hardware)


def _stages(stages: Iterable[str]) -> frozenset[str]:
    if isinstance(stages, str):
        stages = {stages}
    found = frozenset(str(each) for each in stages)
    return found | ASLEEP_STAGES if found & ASLEEP_STAGES else found


def _why(runtime: SpaceRuntime) -> str:
    said = f": {runtime.error_message}" if runtime.error_message else ""
    if runtime.stage == SpaceStage.PAUSED:
        return f"it is paused and stays so until its owner restarts it{said}"
    if runtime.stage in ASLEEP_STAGES:
        return f"it sleeps until a visitor or a restart wakes it{said}"
    if runtime.stage == SpaceStage.DELETING:
        return "it is being deleted"
    return f"it is in stage {runtime.stage}{said or ', and the Hub gives no reason'}"


_logged_stages: set[str] = set()


def _log_unknown_once(stage: str) -> None:
    if stage not in _logged_stages:
        _logged_stages.add(stage)
        log.warning(
            "The Hub reports the stage %r, which this version does not know. Waiting goes on; see "
            "whether a newer version of the provider knows it.",
            stage,
        )
