"""Wait: decides what each runtime of a Space means for one wait, without I/O and without a clock.

Come here to change when a wait ends, or the text of its error. Blocking waits and waits on an event loop both
use :class:`Wait`, so that they end at the same time and with the same error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from airflow_provider_hfspaces.hub.checks import InvalidInput, is_commit
from airflow_provider_hfspaces.hub.errors import SpaceNotStarted, SpaceWaitFailed, SpaceWaitTimeout
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.observing import Observer, notify
from airflow_provider_hfspaces.hub.seconds import checked_seconds
from airflow_provider_hfspaces.hub.stages import BUILD_STAGES, DORMANT_STAGES, NEEDS_RESTART_STAGES
from airflow_provider_hfspaces.hub.waiting.goal import Failed, Goal, Pending, Reached, Verdict

__all__ = ["GRACE_SECONDS", "PROBED_SPACE_SECONDS", "Changes", "OnChange", "Wait", "wait_failed"]

GRACE_SECONDS = 30.0
"""Time after a request for which the Hub may still report the state before the request."""

PROBED_SPACE_SECONDS = 10.0
"""Time between two looks at a Space that runs and whose app is checked, for waits without an interval."""

_STOPPED_AGAIN = "The Space was stopped after the request: its page on the Hub may say why."

OnChange = Callable[[SpaceRuntime, float], None]
"""Called with each new state and the seconds since the wait began."""


class Wait:
    """Judges the runtimes of one Space for one wait. The caller polls the Space and passes each runtime.

    >>> wait = Wait("acme/whisper", Goal(hardware="t4-small"), timeout=1800)
    >>> wait.observe(SpaceRuntime(SpaceStage.BUILDING, "cpu-basic", "t4-small"), elapsed=12)
    >>> wait.observe(SpaceRuntime(SpaceStage.RUNNING, "t4-small", "t4-small"), elapsed=95).hardware
    't4-small'

    :param repo_id: the Space, as ``owner/name``.
    :param goal: the state to wait for.
    :param timeout: seconds after which the wait ends, for the error. The caller measures the time.
    :param before: for a wait after a request, the runtime before the request; otherwise ``None``. While the
        Space still reports this state, the wait continues for up to ``grace`` seconds.
    :param answer: for a wait after a request, the runtime in the Hub's answer.
    :param grace: seconds after the request; by default 30, and at most half of ``timeout``.
    :param on_change: called with each new state and the seconds since the wait began.
    :param start_timeout: seconds that the Space may take to start after its build; by default no limit.
    :raises InvalidInput: for a goal or a duration that is not valid.
    """

    def __init__(
        self,
        repo_id: str,
        goal: Goal,
        *,
        timeout: float,
        before: SpaceRuntime | None = None,
        answer: SpaceRuntime | None = None,
        grace: float = GRACE_SECONDS,
        on_change: OnChange | None = None,
        start_timeout: float | None = None,
    ) -> None:
        self.repo_id = repo_id
        self.goal = goal
        self.timeout = checked_seconds(timeout, "timeout", zero=True)
        self.runtime: SpaceRuntime | None = None
        grace = min(checked_seconds(grace, "grace", zero=True), self.timeout / 2)
        self._start_timeout = (
            None if start_timeout is None else checked_seconds(start_timeout, "start_timeout")
        )
        self._built_at: float | None = None
        if not isinstance(goal, Goal):
            raise InvalidInput(f"goal must be a Goal; got {goal!r:.100}.")
        self._before = before
        self._grace = grace if before is not None else 0.0
        self._has_moved = before is None
        self._awaits_commit = before is not None and _runs_another_commit(before, goal)
        self._is_accepted = answer is not None and answer.requested_hardware == goal.hardware
        self._on_change = on_change
        self._state: tuple[str | None, ...] | None = None
        self._missing = "the Hub has not answered yet"
        self._has_ended = False
        self._elapsed = 0.0

    def observe(self, runtime: SpaceRuntime, elapsed: float) -> SpaceRuntime | None:
        """Judge a current runtime of the Space.

        :param elapsed: seconds since the wait began.
        :returns: the runtime if the goal is reached, ``None`` while the wait continues.
        :raises SpaceWaitFailed: if the Space can no longer reach the goal by itself.
        """
        self._note(runtime, elapsed)
        verdict = self.judge(runtime, elapsed)
        if isinstance(verdict, Failed):
            self._end("failed", elapsed)
            raise wait_failed(self.repo_id, self.goal, verdict, runtime)
        if isinstance(verdict, Pending):
            self._missing = verdict.reason
            if self._starts_too_slowly(elapsed):
                self._end("failed", elapsed)
                raise self._not_started(runtime)
            return None
        self._end("reached", elapsed)
        return runtime

    def glance(self, runtime: SpaceRuntime, elapsed: float) -> bool:
        """Judge a runtime that may be out of date, such as an entry of a list.

        :param elapsed: seconds since the wait began.
        :returns: True if the runtime might end the wait, so that the caller has to read a current one.
        """
        verdict = self.goal.judge(runtime)
        is_slow = runtime.stage not in BUILD_STAGES and self._starts_too_slowly(elapsed)
        if not isinstance(verdict, Pending) or self._might_end(runtime, elapsed) or is_slow:
            self.runtime = runtime
            self._missing = f"the Hub's list shows {runtime.stage}, which the Hub has not confirmed"
            return True
        self._note(runtime, elapsed)
        self._missing = verdict.reason
        return False

    def judge(self, runtime: SpaceRuntime, elapsed: float) -> Verdict:
        """Return the verdict for a current runtime, with what earlier runtimes have shown.

        :param elapsed: seconds since the wait began.
        """
        verdict = self.goal.judge(runtime)
        if self._before is None:
            return verdict
        if isinstance(verdict, Failed) and verdict.permanent and runtime.is_static:
            return verdict
        self._has_moved = self._has_moved or _place(self._before) != _place(runtime)
        if self._awaits_commit and isinstance(verdict, Reached):
            self._has_moved = True  # Before the request, the Space ran another commit.
        self._is_accepted = self._is_accepted or runtime.requested_hardware == self.goal.hardware
        if not self._has_moved and elapsed < self._grace:
            return Pending(f"{runtime.stage}, as before the request")
        if isinstance(verdict, Pending) and elapsed >= self._grace:
            return self._superseded(runtime) or verdict
        if isinstance(verdict, Failed) and runtime.stage in DORMANT_STAGES:
            return replace(verdict, remedy=_STOPPED_AGAIN)
        return verdict

    def not_answered(self, error: Exception) -> None:
        """Remember that a request about the Space failed, for the text of a timeout."""
        self._missing = f"the last request failed: {error}".rstrip(".")

    def timed_out(self, endpoint: str) -> SpaceWaitTimeout:
        """Return the error for a Space that did not reach the goal in time.

        :param endpoint: the address of the Hub, for the link to the Space's log.
        """
        self._end("timeout", self.timeout)
        is_building = self.runtime is not None and self.runtime.stage in BUILD_STAGES
        log = "build" if is_building else "container"
        return SpaceWaitTimeout(
            f"Space {self.repo_id} did not reach {self.goal} in {self.timeout:.0f} seconds: {self._missing}. "
            f"Raise timeout, or read the Space's log: {endpoint}/spaces/{self.repo_id}?logs={log}",
            repo_id=self.repo_id,
            runtime=self.runtime,
        )

    def stopped(self) -> SpaceWaitFailed:
        """Return the error for a wait whose watch was closed before the Space reached the goal."""
        self._end("stopped", self._elapsed)
        return SpaceWaitFailed(
            f"The wait for Space {self.repo_id} to reach {self.goal} was stopped.",
            repo_id=self.repo_id,
            runtime=self.runtime,
        )

    def _note(self, runtime: SpaceRuntime, elapsed: float) -> None:
        """Remember a runtime, and report its state if the state is new."""
        self.runtime, self._elapsed = runtime, elapsed
        if runtime.stage in BUILD_STAGES:
            self._built_at = None
        elif self._built_at is None:
            self._built_at = elapsed
        if self._on_change and _state(runtime) != self._state:
            self._state = _state(runtime)
            self._on_change(runtime, elapsed)

    def _end(self, outcome: str, elapsed: float) -> None:
        """Report the end of the wait to the observers, once."""
        if not self._has_ended:
            self._has_ended = True
            notify(Observer.wait_ended, outcome, elapsed)

    def _starts_too_slowly(self, elapsed: float) -> bool:
        limit, built_at = self._start_timeout, self._built_at
        return limit is not None and built_at is not None and elapsed - built_at >= limit

    def _not_started(self, runtime: SpaceRuntime) -> SpaceNotStarted:
        reason = f"it did not start within {self._start_timeout:.0f} seconds: {self._missing}"
        error = SpaceNotStarted(
            f"Space {self.repo_id} did not reach {self.goal}: {reason}. Allow more time for its start, or "
            f"choose other hardware.",
            repo_id=self.repo_id,
            runtime=runtime,
        )
        error.reason = reason
        return error

    def _might_end(self, runtime: SpaceRuntime, elapsed: float) -> bool:
        """Return True if a runtime in a list may lack the commit or the request that would end the wait."""
        wanted, requested = self.goal.hardware, runtime.requested_hardware
        superseded = elapsed >= self._grace and wanted is not None and requested not in (None, wanted)
        return superseded or self.goal.may_be_reached(runtime)

    def _superseded(self, runtime: SpaceRuntime) -> Failed | None:
        """Return a failure if another request has set other hardware after this one was accepted."""
        wanted, requested = self.goal.hardware, runtime.requested_hardware
        if not self._is_accepted or wanted is None or requested in (None, wanted):
            return None
        return Failed(
            f"another request set it to {requested} in the meantime",
            remedy="Let only one process at a time change its hardware.",
        )


class Changes:
    """Reports each change of one Space, without end.

    :param repo_id: the Space, as ``owner/name``.
    :param report: called with the runtimes before and after the change; first with ``None`` and the current
        runtime.
    """

    def __init__(self, repo_id: str, report: Callable[[SpaceRuntime | None, SpaceRuntime], None]) -> None:
        self.repo_id = repo_id
        self._report = report
        self._last: SpaceRuntime | None = None

    def observe(self, runtime: SpaceRuntime, elapsed: float) -> None:
        """Report a current runtime if its state is new."""
        if self.glance(runtime, elapsed):
            self._last, before = runtime, self._last
            self._report(before, runtime)

    def glance(self, runtime: SpaceRuntime, elapsed: float) -> bool:
        """Return True if a runtime that may be out of date shows a change."""
        return self._last is None or _state(self._last) != _state(runtime)

    def not_answered(self, error: Exception) -> None:
        """Do nothing, because a failed request is not a change of the Space."""

    def stopped(self) -> SpaceWaitFailed:
        """Return the error for changes whose watch was closed."""
        return SpaceWaitFailed(
            f"The watch for changes of Space {self.repo_id} was stopped.",
            repo_id=self.repo_id,
            runtime=self._last,
        )


def wait_failed(repo_id: str, goal: Goal, failure: Failed, runtime: SpaceRuntime) -> SpaceWaitFailed:
    """Return the error for a Space that can no longer reach a goal: cause, remedy and the Hub's message."""
    parts = [f"Space {repo_id} did not reach {goal}: {failure.reason}.", failure.remedy]
    if runtime.error_message:
        parts.append(f"The Hub reports: {runtime.error_message.rstrip('.')}.")
    elif runtime.stage in NEEDS_RESTART_STAGES:
        parts.append("The Hub gives no reason.")
    return SpaceWaitFailed(
        " ".join(part for part in parts if part),
        repo_id=repo_id,
        runtime=runtime,
        permanent=failure.permanent,
    )


def _state(runtime: SpaceRuntime) -> tuple[str | None, ...]:
    return runtime.stage, runtime.hardware, runtime.requested_hardware


def _runs_another_commit(runtime: SpaceRuntime, goal: Goal) -> bool:
    """Return True if the runtime reports a commit other than the goal's."""
    if goal.sha is None or runtime.sha is None:
        return False
    return not is_commit(runtime.sha, goal.sha)


def _place(runtime: SpaceRuntime) -> tuple[str | None, ...]:
    return runtime.stage, runtime.hardware
