"""The single steps of a plan: one change with its lost answer, and one property of a Space after the other.

Come here to change how a request is sent and settled. Which steps make an upgrade or a way back is in
:mod:`~airflow_provider_hfspaces.hub.desired`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.http.sequence import Delay, Steps
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE, SpaceRuntime
from airflow_provider_hfspaces.hub.snapshot import NEVER_SLEEP, Activity, DesiredState
from airflow_provider_hfspaces.hub.stages import (
    DORMANT_STAGES,
    NEEDS_RESTART_STAGES,
    STARTING_STAGES,
    SpaceStage,
)
from airflow_provider_hfspaces.hub.waiting.goal import Goal, Pending

__all__ = [
    "HURRIED",
    "PATIENT",
    "Patience",
    "describe",
    "move_activity",
    "move_hardware",
    "move_settings",
    "plan_change",
    "plan_pause",
]

module_log = logging.getLogger(__name__)

T = TypeVar("T")

SHORT_SLEEP_TIME_SECONDS = 60
"""Sleep time of a Space that is to fall asleep as soon as nobody visits it."""


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


PATIENT = Patience()
"""For a caller that has minutes."""

HURRIED = Patience(lost_answer_delays=(0.0, 0.5), stuck_delays=(), asleep_delays=())
"""For a signal handler, which has five seconds in all."""


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
    patience: Patience = PATIENT,
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


def move_hardware(
    desired: DesiredState, runtime: SpaceRuntime, patience: Patience, log: Any
) -> Steps[SpaceRuntime]:
    """Request the hardware, with its sleep time in the same request."""
    hardware = desired.hardware
    if hardware is None:
        return runtime
    if _is_stuck(runtime, hardware):
        runtime = yield from _poll_while_stuck(desired.repo_id, runtime, hardware, patience)
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


def _poll_while_stuck(
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


def move_settings(
    desired: DesiredState, runtime: SpaceRuntime, patience: Patience, log: Any
) -> Steps[SpaceRuntime]:
    """Set the sleep time and the replicas where they differ."""
    seconds = desired.sleep_time
    if seconds is not None and runtime.sleep_time != _as_reported(seconds):
        log.info("Setting the sleep time of Space %s to %s seconds.", desired.repo_id, seconds)
        runtime = yield from plan_change(
            calls.set_sleep_time(desired.repo_id, seconds),
            lambda now: now.sleep_time == _as_reported(seconds),
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


def move_activity(
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


def _as_reported(seconds: int) -> int | None:
    """A sleep time as a runtime reports it."""
    return None if seconds < 0 else seconds


def _is_paused(runtime: SpaceRuntime) -> bool:
    return runtime.stage == SpaceStage.PAUSED
