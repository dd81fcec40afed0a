"""Move a Space from its current runtime to a desired state: upgrade, way back and pause are one plan.

Come here to change which requests move a Space, in which order, and what happens if the Hub rejects a
request or its answer is lost. Nothing here does I/O. A plan is a generator of calls that
:mod:`~airflow_provider_hfspaces.hub.http.sequence` executes with either client::

    desired = DesiredState("acme/whisper", "t4-small", sleep_time=3600, activity=Activity.RUNNING)
    runtime = execute(plan_move(desired), client.send)
    runtime = execute(plan_restore(restored_state(snapshot)), client.send)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeVar

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.checks import checked_hardware, known_hardware
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.http.sequence import Delay, Steps
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE, SpaceRuntime
from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
from airflow_provider_hfspaces.hub.stages import (
    DORMANT_STAGES,
    NEEDS_RESTART_STAGES,
    STARTING_STAGES,
    SpaceStage,
)
from airflow_provider_hfspaces.hub.waiting.goal import Goal, Pending

__all__ = [
    "HURRIED",
    "NEVER_SLEEP",
    "Activity",
    "DesiredState",
    "Patience",
    "RestoreRejected",
    "describe",
    "plan_change",
    "plan_move",
    "plan_pause",
    "plan_restore",
    "restored_state",
]

module_log = logging.getLogger(__name__)

T = TypeVar("T")

NEVER_SLEEP = -1
"""The sleep time that means never, in the Hub's own spelling."""

SHORT_SLEEP_TIME_SECONDS = 60
"""Sleep time of a Space that is to fall asleep as soon as nobody visits it."""


class Activity(str, Enum):
    """Whether a Space should run."""

    UNCHANGED = "unchanged"
    """Do not start and do not stop it. A Space that somebody paused stays paused."""

    RUNNING = "running"
    """Start it if it is paused, asleep or failed."""

    PAUSED = "paused"
    """Pause it. It costs nothing until its owner restarts it."""

    ASLEEP = "asleep"
    """Let it fall asleep. It costs nothing until a visitor wakes it."""


@dataclass(frozen=True)
class DesiredState:
    """The state that a Space should be in. ``None`` leaves a property unchanged.

    :ivar hardware: a flavor that a check has accepted or that the Hub itself has reported.
    :ivar sleep_time: seconds without a visitor until the Space sleeps; :data:`NEVER_SLEEP` for never.
    :ivar replicas: how many copies run. Free hardware runs one, whatever is asked for.
    :ivar activity: whether the Space should run.
    """

    repo_id: str
    hardware: str | None = None
    sleep_time: int | None = None
    replicas: int | None = None
    activity: Activity = Activity.UNCHANGED

    def on(self, hardware: str) -> DesiredState:
        """This state on other hardware: the Hub fixes sleep time and replicas of free hardware."""
        if hardware in FREE_HARDWARE:
            return replace(self, hardware=hardware, sleep_time=None, replicas=None)
        return replace(self, hardware=hardware)


def restored_state(snapshot: SpaceSnapshot, activity: Activity | None = None) -> DesiredState:
    """The state that restores a snapshot.

    :param activity: by default paused if the Space was paused, and unchanged otherwise.
    """
    if activity is None:
        activity = Activity.PAUSED if snapshot.was_paused else Activity.UNCHANGED
    state = DesiredState(
        snapshot.repo_id,
        sleep_time=snapshot.sleep_time or NEVER_SLEEP,
        replicas=snapshot.replicas if isinstance(snapshot.replicas, int) else None,
        activity=activity,
    )
    # Without hardware nothing is known of the sleep time that belongs to it.
    return state.on(snapshot.hardware) if snapshot.hardware else replace(state, sleep_time=None)


@dataclass(frozen=True)
class Patience:
    """How long a plan looks at a Space before it draws a conclusion.

    :ivar lost_answer_delays: seconds before each look for the effect of a request whose answer is lost.
    :ivar stuck_delays: seconds before each look at a Space that reports the requested hardware but does
        not move to it.
    :ivar asleep_delays: seconds before each look at a Space that is to fall asleep.
    """

    lost_answer_delays: Sequence[float] = (0.0, 1.0, 2.0, 4.0)
    stuck_delays: Sequence[float] = (5.0,) * 6
    asleep_delays: Sequence[float] = (15.0,) * 120


HURRIED = Patience(lost_answer_delays=(0.0, 0.5), stuck_delays=(), asleep_delays=())
"""For a signal handler, which has five seconds in all."""


class RestoreRejected(HubError):
    """The Hub rejected the hardware to restore, and the Space was put into a cheaper state instead.

    :ivar runtime: the Space as it was left.
    """

    def __init__(self, message: str, *, runtime: SpaceRuntime | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.runtime = runtime

    @classmethod
    def from_rejection(
        cls, rejection: HubError, repo_id: str, message: str, runtime: SpaceRuntime
    ) -> RestoreRejected:
        """The error of a way back that ended elsewhere because of another error."""
        error = cls(
            message,
            runtime=runtime,
            repo_id=repo_id,
            method=rejection.method,
            path=rejection.path,
            status=rejection.status,
            request_id=rejection.request_id,
            hub_message=rejection.hub_message,
        )
        error.permanent = rejection.permanent
        return error


def plan_move(
    desired: DesiredState,
    runtime: SpaceRuntime | None = None,
    *,
    patience: Patience = Patience(),
    log: Any = module_log,
) -> Steps[SpaceRuntime]:
    """The steps from the current runtime to the desired state; none for what is as desired already.

    A lost answer is settled by reading the runtime. A static Space is left alone.

    :param runtime: the current runtime if it is known; otherwise the first step reads it.
    :raises HubError: if the Hub rejects a step. A Space that should be paused is paused all the same.
    """
    if runtime is None:
        runtime = yield calls.get_runtime(desired.repo_id)
    if runtime.is_static:
        return runtime
    failure: HubError | None = None
    try:
        runtime = yield from _move_hardware(desired, runtime, patience, log)
        runtime = yield from _move_settings(desired, runtime, patience, log)
    except HubError as error:
        if desired.activity is not Activity.PAUSED:
            raise
        failure = error
    runtime = yield from _move_activity(desired, runtime, patience, log)
    if failure is not None:
        raise failure
    return runtime


def plan_restore(
    desired: DesiredState,
    runtime: SpaceRuntime | None = None,
    *,
    fallback: str = "cpu-basic",
    is_last_try: bool = False,
    retried: frozenset[int] = frozenset(),
    patience: Patience = Patience(),
    log: Any = module_log,
) -> Steps[SpaceRuntime]:
    """The way back: :func:`plan_move`, and a way to end the bill if the Hub rejects it.

    If the Hub rejects the hardware for good, the Space moves to ``fallback``. If the Hub rejects that
    too, the Space is paused, because a paused Space costs nothing.

    :param fallback: a flavor. An unknown one is checked against the Hub's list before anything changes.
    :param retried: statuses of a rejection that a later try may not meet again; the Space stays where it is.
    :param is_last_try: pause the Space too if the Hub fails to move it, because nobody tries again.
    :raises InvalidHardware: if the Hub does not offer the fallback.
    :raises RestoreRejected: after the fallback or the pause, saying which.
    :raises HubError: if the Space is where it was, and a later try may restore it.
    """
    offered = None if known_hardware(fallback) else (yield calls.list_hardware())
    fallback = checked_hardware(fallback, offered)
    if runtime is None:
        runtime = yield calls.get_runtime(desired.repo_id)
    if runtime.is_static:
        return runtime
    try:
        runtime = yield from _move_hardware(desired, runtime, patience, log)
    except HubError as rejection:
        if rejection.status in retried:
            raise
        outcome = yield from _end_the_bill(desired, runtime, rejection, fallback, is_last_try, patience, log)
        raise outcome from None
    failure: HubError | None = None
    try:
        runtime = yield from _move_settings(desired, runtime, patience, log)
    except HubError as error:
        failure = error
    runtime = yield from _move_activity(desired, runtime, patience, log)
    if failure is not None:
        raise failure
    return runtime


def plan_pause(repo_id: str, runtime: SpaceRuntime | None = None) -> Steps[SpaceRuntime]:
    """The steps that pause a Space; none if it is paused already or static.

    :raises HubError: if the Hub rejects it and the Space is not paused.
    """
    if runtime is None:
        runtime = yield calls.get_runtime(repo_id)
    if runtime.is_static or runtime.stage == SpaceStage.PAUSED:
        return runtime
    return (yield from plan_change(calls.pause(repo_id), _is_paused))


def plan_change(
    call: Call[T],
    has_taken_effect: Callable[[SpaceRuntime], bool],
    *,
    patience: Patience = Patience(),
    log: Any = module_log,
) -> Steps[T | SpaceRuntime]:
    """Send one change; if its answer is lost, the runtime tells whether it took effect.

    A change that left no trace is sent once more, unless the client has repeated it already. An error
    after several tries is checked too: the first try may have taken effect, and the second may have
    been rejected because of that.

    :param has_taken_effect: whether a runtime shows the change.
    """
    answer: T
    runtime: SpaceRuntime
    try:
        answer = yield call
        return answer
    except HubError as error:
        if not error.outcome_unknown and error.tries == 1:
            raise
        lost = error
    assert call.repo_id is not None
    if lost.outcome_unknown:
        log.warning("%s Reading the runtime of Space %s to find out.", lost, call.repo_id)
    for seconds in patience.lost_answer_delays:
        yield Delay(seconds)
        try:
            runtime = yield calls.get_runtime(call.repo_id)
        except HubError:
            raise lost from None
        if has_taken_effect(runtime):
            return runtime
        if call.repeatable:
            raise lost
    if not lost.outcome_unknown:
        raise lost
    log.warning("Space %s shows no trace of the request: sending it again.", call.repo_id)
    answer = yield call
    return answer


def describe(runtime: SpaceRuntime) -> str:
    """A runtime in a few words, for logs: ``RUNNING_BUILDING on cpu-basic, t4-small requested``."""
    text = runtime.stage
    if runtime.hardware:
        text += f" on {runtime.hardware}"
    if runtime.requested_hardware and runtime.requested_hardware != runtime.hardware:
        text += f", {runtime.requested_hardware} requested"
    if runtime.error_message:
        text += f" ({runtime.error_message})"
    return text


def _move_hardware(
    desired: DesiredState, runtime: SpaceRuntime, patience: Patience, log: Any
) -> Steps[SpaceRuntime]:
    """Request the hardware, with its sleep time in the same request."""
    hardware = desired.hardware
    if hardware is None:
        return runtime
    if _is_stuck(runtime, hardware):
        runtime = yield from _look_while_stuck(desired.repo_id, runtime, hardware, patience)
        if _is_stuck(runtime, hardware) and patience.stuck_delays:
            log.warning("Space %s does not move to %s: requesting it again.", desired.repo_id, hardware)
            return (yield from _request_hardware(desired, hardware, patience, log))
    if runtime.configured_hardware == hardware:
        return runtime
    return (yield from _request_hardware(desired, hardware, patience, log))


def _request_hardware(
    desired: DesiredState, hardware: str, patience: Patience, log: Any
) -> Steps[SpaceRuntime]:
    call = calls.request_hardware(desired.repo_id, hardware, sleep_time=desired.sleep_time, is_checked=True)
    return (
        yield from plan_change(
            call, lambda runtime: runtime.requested_hardware == hardware, patience=patience, log=log
        )
    )


def _look_while_stuck(
    repo_id: str, runtime: SpaceRuntime, hardware: str, patience: Patience
) -> Steps[SpaceRuntime]:
    for seconds in patience.stuck_delays:
        yield Delay(seconds)
        runtime = yield calls.get_runtime(repo_id)
        if not _is_stuck(runtime, hardware):
            break
    return runtime


def _is_stuck(runtime: SpaceRuntime, hardware: str) -> bool:
    """Whether the hardware is requested, but the Space runs on other hardware and does not restart."""
    return (
        runtime.stage == SpaceStage.RUNNING
        and runtime.requested_hardware == hardware
        and runtime.hardware is not None
        and isinstance(Goal(hardware=hardware).judge(runtime), Pending)
    )


def _move_settings(
    desired: DesiredState, runtime: SpaceRuntime, patience: Patience, log: Any
) -> Steps[SpaceRuntime]:
    """Set the sleep time and the replicas where they differ."""
    seconds = desired.sleep_time
    if seconds is not None and runtime.sleep_time != _reported(seconds):
        log.info("Setting the sleep time of Space %s to %s seconds.", desired.repo_id, seconds)
        runtime = yield from plan_change(
            calls.set_sleep_time(desired.repo_id, seconds),
            lambda now: now.sleep_time == _reported(seconds),
            patience=patience,
            log=log,
        )
    replicas = desired.replicas
    if replicas is not None and (runtime.replicas.requested or 1) != replicas:
        log.info("Setting the replicas of Space %s to %s.", desired.repo_id, replicas)
        answer = yield from plan_change(
            calls.set_replicas(desired.repo_id, replicas),
            lambda now: now.replicas.requested == replicas,
            patience=patience,
            log=log,
        )
        # The Hub does not document what it answers here.
        runtime = answer or replace(runtime, replicas=replace(runtime.replicas, requested=replicas))
    return runtime


def _move_activity(
    desired: DesiredState, runtime: SpaceRuntime, patience: Patience, log: Any
) -> Steps[SpaceRuntime]:
    """Start, pause or put the Space to sleep where that is desired."""
    if desired.activity is Activity.RUNNING and runtime.stage in DORMANT_STAGES | NEEDS_RESTART_STAGES:
        log.info("Space %s is %s: starting it.", desired.repo_id, runtime.stage)
        started = STARTING_STAGES | {SpaceStage.RUNNING.value}
        return (
            yield from plan_change(
                calls.restart(desired.repo_id),
                lambda now: now.stage in started,
                patience=patience,
                log=log,
            )
        )
    if desired.activity is Activity.PAUSED:
        return (yield from plan_pause(desired.repo_id, runtime))
    if desired.activity is Activity.ASLEEP:
        return (yield from _put_to_sleep(desired, runtime, patience, log))
    return runtime


def _put_to_sleep(
    desired: DesiredState, runtime: SpaceRuntime, patience: Patience, log: Any
) -> Steps[SpaceRuntime]:
    """Set a short sleep time until the Space sleeps; the Hub has no request for it."""
    if runtime.stage in DORMANT_STAGES or runtime.configured_hardware in FREE_HARDWARE:
        return runtime
    seconds = desired.sleep_time or runtime.sleep_time or NEVER_SLEEP
    log.info(
        "Waiting until Space %s sleeps, with a sleep time of %s seconds.",
        desired.repo_id,
        SHORT_SLEEP_TIME_SECONDS,
    )
    runtime = yield calls.set_sleep_time(desired.repo_id, SHORT_SLEEP_TIME_SECONDS)
    for delay in patience.asleep_delays:
        if runtime.stage in DORMANT_STAGES:
            break
        yield Delay(delay)
        runtime = yield calls.get_runtime(desired.repo_id)
    after: SpaceRuntime = yield calls.set_sleep_time(desired.repo_id, seconds)
    if runtime.stage in DORMANT_STAGES:
        return after
    log.warning("Space %s does not fall asleep: it is %s. Pausing it.", desired.repo_id, describe(runtime))
    return (yield from plan_pause(desired.repo_id, after))


def _end_the_bill(
    desired: DesiredState,
    runtime: SpaceRuntime,
    rejection: HubError,
    fallback: str,
    is_last_try: bool,
    patience: Patience,
    log: Any,
) -> Steps[HubError]:
    """Fall back, and pause as the last resort. Returns the error that says what became of the Space."""
    repo_id, rejected = desired.repo_id, str(desired.hardware)
    last = rejection
    if rejection.permanent and fallback != desired.hardware:
        log.error("%s Putting Space %s on %s instead.", rejection, repo_id, fallback)
        on_fallback = desired.on(fallback)
        try:
            runtime = yield from _move_hardware(on_fallback, runtime, patience, log)
            runtime = yield from _move_activity(on_fallback, runtime, patience, log)
        except HubError as error:
            rejected, last = f"{rejected} and {fallback}", error
        else:
            return RestoreRejected.from_rejection(
                rejection,
                repo_id,
                f"Space {repo_id} is on {fallback}, because the Hub rejected {desired.hardware}: "
                f"{_reason(rejection)} Choose its hardware in the Space's settings.",
                runtime,
            )
    if not (last.permanent or is_last_try or desired.activity is Activity.PAUSED):
        return last
    try:
        runtime = yield from plan_pause(repo_id, runtime)
    except HubError as error:
        log.error(
            "Space %s may go on costing money: the Hub accepted neither %s nor a pause. %s",
            repo_id,
            rejected,
            error,
        )
        return last
    if not last.permanent and not is_last_try:
        return last
    verb = "rejected" if last.permanent else "did not accept"
    paused = RestoreRejected.from_rejection(
        last,
        repo_id,
        f"Space {repo_id} is paused and costs nothing, because the Hub {verb} {rejected}: "
        f"{_reason(last)} Restart the Space when the Hub accepts its hardware again.",
        runtime,
    )
    log.error("%s", paused)
    return paused


def _reason(error: HubError) -> str:
    text = error.hub_message or error.message
    status = f"{error.status}, " if error.status else ""
    return f"{status}{text if text.endswith('.') else f'{text}.'}"


def _reported(seconds: int) -> int | None:
    """A sleep time as a runtime reports it."""
    return None if seconds < 0 else seconds


def _is_paused(runtime: SpaceRuntime) -> bool:
    return runtime.stage == SpaceStage.PAUSED
