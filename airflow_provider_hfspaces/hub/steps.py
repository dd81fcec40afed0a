"""The steps of which plans consist: send one change safely, and move one property of a Space.

Come here to change what a plan does when an answer is lost, or how it changes hardware, settings or
activity. The plans of upgrades and restores are in :mod:`~airflow_provider_hfspaces.hub.desired`.
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
    NEEDS_START_STAGES,
    STARTING_STAGES,
    SpaceStage,
)
from airflow_provider_hfspaces.hub.waiting.goal import Goal, Pending

__all__ = [
    "HURRIED",
    "PATIENT",
    "Patience",
    "change_in_words",
    "describe",
    "move_activity",
    "move_hardware",
    "move_settings",
    "plan_change",
    "plan_pause",
    "plan_restart",
]

module_log = logging.getLogger(__name__)

T = TypeVar("T")

SHORT_SLEEP_TIME_SECONDS = 60
"""Sleep time that puts a Space to sleep as soon as nobody visits it."""


@dataclass(frozen=True)
class Patience:
    """How often, and after which delays, a plan reads the runtime before it decides.

    :ivar lost_answer_delays: seconds before each read for the effect of a request whose answer is lost.
    :ivar stuck_delays: seconds before each read of a Space that reports the requested hardware but does not
        move to it.
    :ivar asleep_delays: seconds before each read of a Space that should fall asleep.
    """

    lost_answer_delays: Sequence[float] = (0.0, 1.0, 2.0, 4.0)
    stuck_delays: Sequence[float] = (5.0,) * 6
    asleep_delays: Sequence[float] = (15.0,) * 120


PATIENT = Patience()
"""For a caller that can wait for minutes."""

HURRIED = Patience(lost_answer_delays=(0.0, 0.5), stuck_delays=(), asleep_delays=())
"""For a signal handler, which has five seconds in total."""


def plan_pause(repo_id: str, runtime: SpaceRuntime | None = None) -> Steps[SpaceRuntime]:
    """The steps that pause a Space; returns the runtime after them.

    A paused or static Space takes no request.

    :param runtime: the current runtime; by default the first step reads it.
    :raises HubError: if the Hub rejects the pause and the Space is not paused.
    """
    if runtime is None:
        runtime = yield calls.get_runtime(repo_id)
    if runtime.is_static or runtime.stage == SpaceStage.PAUSED:
        return runtime
    return (yield from plan_change(calls.pause(repo_id), _is_paused))


def plan_restart(
    repo_id: str,
    runtime: SpaceRuntime | None = None,
    *,
    factory_reboot: bool = False,
    patience: Patience = PATIENT,
    log: Any = module_log,
) -> Steps[SpaceRuntime]:
    """The steps that restart a Space, or start a paused, sleeping or failed one; returns the runtime.

    :param runtime: the current runtime, with which the plan recognizes a start after a lost answer; by
        default the first step reads it.
    :param factory_reboot: whether to build the image again without caches; by default not.
    :param patience: how long the plan looks for the start after a lost answer; by default seconds.
    :param log: logger for what the plan does.
    :raises HubError: if the Hub rejects the restart, or it is unknown whether the Space restarts.
    """
    if runtime is None:
        runtime = yield calls.get_runtime(repo_id)
    stage = runtime.stage
    call = calls.restart(repo_id, factory_reboot=factory_reboot)
    is_running = stage == SpaceStage.RUNNING
    if stage in STARTING_STAGES or (is_running and runtime.hardware != runtime.configured_hardware):
        # After a lost answer, a start that is already under way would look like the effect of the restart.
        answer: SpaceRuntime = yield call
        return answer
    return (
        yield from plan_change(
            call,
            lambda now: _has_restarted(now, stage),
            # A running Space may have restarted between two looks: a second request would restart it again.
            is_sent_again=not is_running,
            patience=patience,
            log=log,
        )
    )


def _has_restarted(runtime: SpaceRuntime, stage_before: str) -> bool:
    """Return True if a runtime shows that a restart has taken effect.

    :param stage_before: the stage of the Space before the restart.
    """
    if runtime.stage in STARTING_STAGES:
        return True
    return runtime.stage == SpaceStage.RUNNING and runtime.stage != stage_before


def plan_change(
    call: Call[T],
    has_taken_effect: Callable[[SpaceRuntime], bool],
    *,
    is_sent_again: bool = True,
    patience: Patience = PATIENT,
    log: Any = module_log,
) -> Steps[T | SpaceRuntime]:
    """Send one change; if its answer is lost, read the runtime to see whether the change took effect.

    A change without effect is sent once more, unless the client has already repeated it. An error after
    several tries is checked too: the first try may have taken effect, and a later try may have been rejected
    for this reason.

    :param call: the change.
    :param has_taken_effect: returns True if a runtime shows the change.
    :param is_sent_again: whether to send a change without effect once more; by default True.
    :returns: the answer to the call, or the runtime that shows the change.
    :raises HubError: if the change did not take effect, or its effect is unknown. If the repeated request
        fails too, the outcome of the change stays unknown.
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
        log.warning(
            "%s Reading the runtime of Space %s to see whether the change took effect.", lost, call.repo_id
        )
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
    if not lost.outcome_unknown or not is_sent_again:
        raise lost
    log.warning("Space %s does not show the change: sending the request again.", call.repo_id)
    try:
        answer = yield call
    except HubError as error:
        error.outcome_unknown = True
        raise
    return answer


def describe(runtime: SpaceRuntime) -> str:
    """Return a runtime in a few words, for logs: ``RUNNING_BUILDING on cpu-basic, t4-small requested``."""
    text = runtime.stage
    if runtime.hardware:
        text += f" on {runtime.hardware}"
    if runtime.requested_hardware and runtime.requested_hardware != runtime.hardware:
        text += f", {runtime.requested_hardware} requested"
    if runtime.error_message:
        text += f" ({runtime.error_message})"
    return text


def change_in_words(repo_id: str, runtime: SpaceRuntime, elapsed: float) -> str:
    """Return the line of a log about the new state of a Space during a wait.

    :param elapsed: seconds since the wait began.
    """
    return f"{elapsed:4.0f} s  {repo_id} is {describe(runtime)}"


def move_hardware(
    desired: DesiredState, runtime: SpaceRuntime, patience: Patience, log: Any
) -> Steps[SpaceRuntime]:
    """The steps that request the desired hardware and its sleep time, in one request."""
    hardware = desired.hardware
    if hardware is None:
        return runtime
    if _is_stuck(runtime, hardware):
        runtime = yield from _poll_while_stuck(desired.repo_id, runtime, hardware, patience)
        if _is_stuck(runtime, hardware) and patience.stuck_delays:
            log.warning(
                "Space %s does not move to %s: requesting the hardware again.", desired.repo_id, hardware
            )
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
    """Return True if the hardware is requested, but the Space still runs on other hardware."""
    return (
        runtime.stage == SpaceStage.RUNNING
        and runtime.requested_hardware == hardware
        and runtime.hardware is not None
        and isinstance(Goal(hardware=hardware).judge(runtime), Pending)
    )


def move_settings(
    desired: DesiredState, runtime: SpaceRuntime, patience: Patience, log: Any
) -> Steps[SpaceRuntime]:
    """The steps that set the sleep time and the replicas, each only if it differs."""
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
    """The steps that start the Space, pause it or put it to sleep, as the desired activity says."""
    if desired.activity is Activity.RUNNING and runtime.stage in NEEDS_START_STAGES:
        log.info("Space %s is %s: starting it.", desired.repo_id, runtime.stage)
        return (yield from plan_restart(desired.repo_id, runtime, patience=patience, log=log))
    if desired.activity is Activity.PAUSED:
        return (yield from plan_pause(desired.repo_id, runtime))
    if desired.activity is Activity.ASLEEP:
        return (yield from _put_to_sleep(desired, runtime, patience, log))
    return runtime


def _put_to_sleep(
    desired: DesiredState, runtime: SpaceRuntime, patience: Patience, log: Any
) -> Steps[SpaceRuntime]:
    """Set a short sleep time until the Space sleeps, because the Hub has no request that puts it to sleep."""
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
    """Return a sleep time as a runtime reports it: ``None`` for never."""
    return None if seconds < 0 else seconds


def _is_paused(runtime: SpaceRuntime) -> bool:
    return runtime.stage == SpaceStage.PAUSED
