"""Plans that move a Space to a desired state, for upgrades and for restores.

Come here to change which requests move a Space, in which order, and how the cost stops if the Hub rejects a
restore. Nothing here does I/O. A plan is a generator of calls, which
:mod:`~airflow_provider_hfspaces.hub.http.sequence` executes with either client::

    desired = DesiredState("acme/whisper", "t4-small", sleep_time=3600, activity=Activity.RUNNING)
    runtime = execute(plan_move(desired), client.send)
    runtime = execute(plan_restore(restored_state(snapshot)), client.send)
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.checks import checked_hardware, known_hardware
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.http.sequence import Steps
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE, SpaceRuntime
from airflow_provider_hfspaces.hub.snapshot import NEVER_SLEEP, Activity, DesiredState, restored_state
from airflow_provider_hfspaces.hub.stages import NEEDS_START_STAGES, SpaceStage
from airflow_provider_hfspaces.hub.steps import (
    HURRIED,
    PATIENT,
    Patience,
    describe,
    move_activity,
    move_hardware,
    move_settings,
    plan_change,
    plan_pause,
    plan_restart,
)

__all__ = [
    "HURRIED",
    "NEVER_SLEEP",
    "PATIENT",
    "Activity",
    "DesiredState",
    "Patience",
    "RestoreRejected",
    "describe",
    "plan_change",
    "plan_move",
    "plan_pause",
    "plan_restart",
    "plan_restore",
    "restored_state",
]

module_log = logging.getLogger(__name__)


class RestoreRejected(HubError):
    """The Hub rejected the hardware to restore, and the Space was moved to a cheaper state instead.

    :ivar runtime: the Space's runtime after the fallback or the pause.
    :ivar desired: the state that the Hub rejected; ``None`` if the caller keeps this state elsewhere.
    """

    def __init__(
        self,
        message: str,
        *,
        runtime: SpaceRuntime | None = None,
        desired: DesiredState | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.runtime = runtime
        self.desired = desired

    @classmethod
    def from_rejection(
        cls, rejection: HubError, desired: DesiredState, message: str, runtime: SpaceRuntime
    ) -> RestoreRejected:
        """Return the error for a Space that was moved to another state after the Hub's rejection.

        :param rejection: the Hub's error.
        :param desired: the state that the Hub rejected.
        :param message: the text of the error.
        :param runtime: the Space's runtime after the move.
        """
        error = cls.from_error(rejection, message, runtime=runtime, desired=desired, repo_id=desired.repo_id)
        error.permanent = rejection.permanent
        return error


def plan_move(
    desired: DesiredState,
    runtime: SpaceRuntime | None = None,
    *,
    patience: Patience = PATIENT,
    log: Any = module_log,
) -> Steps[SpaceRuntime]:
    """The steps from the current runtime to the desired state; returns the runtime after them.

    A property that already has the desired value takes no request. If an answer is lost, the plan reads the
    runtime to see whether the change took effect. A static Space stays unchanged.

    :param runtime: the current runtime; by default the first step reads it.
    :param patience: how long the plan waits for the effect of a request; by default minutes.
    :param log: logger for what the plan does.
    :raises HubError: if the Hub rejects a step. If the Space should be paused or asleep, it is stopped before
        the error is raised.
    """
    if runtime is None:
        runtime = yield calls.get_runtime(desired.repo_id)
    if runtime.is_static:
        return runtime
    try:
        runtime = yield from move_hardware(desired, runtime, patience, log)
    except HubError:
        if desired.activity is Activity.PAUSED:
            yield from plan_pause(desired.repo_id, runtime)
        raise
    return (yield from _move_beside_hardware(desired, runtime, patience, log))


def _move_beside_hardware(
    desired: DesiredState, runtime: SpaceRuntime, patience: Patience, log: Any
) -> Steps[SpaceRuntime]:
    """Move everything but the hardware. If the settings fail, the Space still stops as desired."""
    try:
        runtime = yield from move_settings(desired, runtime, patience, log)
    except HubError:
        if desired.activity in (Activity.PAUSED, Activity.ASLEEP):
            yield from move_activity(desired, runtime, patience, log)
        raise
    return (yield from move_activity(desired, runtime, patience, log))


def plan_restore(
    desired: DesiredState,
    runtime: SpaceRuntime | None = None,
    *,
    fallback: str = "cpu-basic",
    is_last_try: bool = False,
    retried: frozenset[int] = frozenset(),
    patience: Patience = PATIENT,
    log: Any = module_log,
) -> Steps[SpaceRuntime]:
    """The steps of a restore: :func:`plan_move`, and a fallback that stops the cost if the Hub rejects it.

    If the Hub permanently rejects the hardware, the Space moves to ``fallback``. If the Hub also rejects the
    fallback, the Space is paused, because a paused Space costs nothing.

    :param runtime: the current runtime; by default a step reads it.
    :param fallback: a flavor; by default ``cpu-basic``. A flavor that this version does not know is validated
        with the Hub's list before anything changes.
    :param is_last_try: whether to pause the Space after any error, because no later try follows; by default
        not.
    :param retried: HTTP statuses of rejections that may be temporary; by default none. After such a
        rejection, the Space keeps its hardware for a later try.
    :param patience: how long the plan waits for the effect of a request; by default minutes.
    :param log: logger for what the plan does.
    :raises InvalidHardware: if the Hub does not offer the fallback.
    :raises RestoreRejected: after the fallback or the pause; the message names the new state of the Space.
    :raises HubError: if the Space is unchanged and a later try may restore it.
    """
    offered = None if known_hardware(fallback) else (yield calls.list_hardware())
    fallback = checked_hardware(fallback, offered)
    if runtime is None:
        runtime = yield calls.get_runtime(desired.repo_id)
    if runtime.is_static:
        return runtime
    desired = _without_paid_start(desired, runtime, log)
    try:
        runtime = yield from move_hardware(desired, runtime, patience, log)
    except HubError as rejection:
        if rejection.status in retried:
            rejection.permanent = False
        outcome = yield from _stop_cost(desired, runtime, rejection, fallback, is_last_try, patience, log)
        raise outcome from None
    return (yield from _move_beside_hardware(desired, runtime, patience, log))


def _without_paid_start(desired: DesiredState, runtime: SpaceRuntime, log: Any) -> DesiredState:
    """Return the desired state with its ``restore_dormant``, if the restore would start a bill."""
    if not (desired.cost_nothing and _starts_paid(desired, runtime)):
        return desired
    if desired.restore_dormant is Activity.PAUSED:
        log.warning(
            "Space %s cost nothing before and would now run on %s: pausing it instead. A visitor does not "
            "wake a paused Space; with restore_dormant='sleep' it falls asleep instead.",
            desired.repo_id,
            desired.hardware,
        )
    return replace(desired, activity=desired.restore_dormant)


def _starts_paid(desired: DesiredState, runtime: SpaceRuntime) -> bool:
    """Return True if a move to the desired hardware would start the Space on paid hardware.

    New hardware starts a sleeping or failed Space, but not a paused Space.
    """
    hardware = desired.hardware
    if hardware is None or hardware in FREE_HARDWARE or runtime.stage == SpaceStage.PAUSED:
        return False
    return runtime.configured_hardware != hardware or runtime.stage not in NEEDS_START_STAGES


def _stop_cost(
    desired: DesiredState,
    runtime: SpaceRuntime,
    rejection: HubError,
    fallback: str,
    is_last_try: bool,
    patience: Patience,
    log: Any,
) -> Steps[HubError]:
    """Move the Space to the fallback, or pause it; return the error that names its new state."""
    repo_id, rejected = desired.repo_id, str(desired.hardware)
    last = rejection
    if rejection.permanent and fallback != desired.hardware:
        log.error("%s Moving Space %s to %s instead.", rejection, repo_id, fallback)
        on_fallback = desired.on(fallback)
        try:
            runtime = yield from move_hardware(on_fallback, runtime, patience, log)
            runtime = yield from move_activity(on_fallback, runtime, patience, log)
        except HubError as error:
            rejected, last = f"{rejected} and {fallback}", error
        else:
            return RestoreRejected.from_rejection(
                rejection,
                desired,
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
            "Space %s may keep costing money: the Hub accepted neither %s nor a pause. Pause the Space on "
            "its page on the Hub. %s",
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
        desired,
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
