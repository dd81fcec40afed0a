"""The Hugging Face Hub's Spaces API in plain Python.

.. code-block:: python

    from airflow_provider_hfspaces.hub import HubClient, calls

    with HubClient(token) as client:
        runtime = client.send(calls.get_runtime("acme/whisper"))
        print(runtime.stage, runtime.hardware)

This module exports every public name, and imports its module when the name is first used. The functions that
describe requests are in :mod:`~airflow_provider_hfspaces.hub.calls`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_hfspaces.hub.lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.any_hardware import AnyHardware
    from airflow_provider_hfspaces.hub.bulk.selection import SpaceSelection
    from airflow_provider_hfspaces.hub.calls import Call, ListedRuntime
    from airflow_provider_hfspaces.hub.cost.billing import BilledUsage
    from airflow_provider_hfspaces.hub.cost.prices import FleetCost, PriceList, SpaceCost
    from airflow_provider_hfspaces.hub.cost.runs import RunCost, Sighting
    from airflow_provider_hfspaces.hub.desired import (
        DesiredState,
        plan_move,
        plan_pause,
        plan_restart,
        plan_restore,
    )
    from airflow_provider_hfspaces.hub.errors import (
        HardwareUnavailable,
        HubAuthError,
        HubBadRequest,
        HubConflict,
        HubError,
        HubGone,
        HubPaymentRequired,
        HubPermissionError,
        HubProtocolError,
        HubRateLimited,
        HubUnavailable,
        InvalidEndpoint,
        InvalidHardware,
        InvalidInput,
        InvalidKey,
        InvalidNumber,
        InvalidProxy,
        InvalidRepoId,
        InvalidSha,
        InvalidSleepTime,
        InvalidStage,
        InvalidStorage,
        InvalidToken,
        InvalidVolume,
        SpaceNotFound,
        SpaceNotStarted,
        SpaceWaitError,
        SpaceWaitFailed,
        SpaceWaitTimeout,
        error_from_dict,
        error_to_dict,
    )
    from airflow_provider_hfspaces.hub.hardware import (
        FREE_HARDWARE,
        Accelerator,
        HardwareFlavor,
        SpaceHardware,
    )
    from airflow_provider_hfspaces.hub.hardware_search import HardwareSearch
    from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
    from airflow_provider_hfspaces.hub.http.client import HubClient
    from airflow_provider_hfspaces.hub.http.limits import AnswerLimits
    from airflow_provider_hfspaces.hub.http.pace import Pace
    from airflow_provider_hfspaces.hub.http.quota import RateBudget
    from airflow_provider_hfspaces.hub.http.retry import RetryDeadline, RetryPolicy
    from airflow_provider_hfspaces.hub.http.sequence import Delay, Steps, aexecute, execute
    from airflow_provider_hfspaces.hub.logs.event import LogEvent
    from airflow_provider_hfspaces.hub.logs.position import LogPosition
    from airflow_provider_hfspaces.hub.logs.streams import LogStreams
    from airflow_provider_hfspaces.hub.models import (
        DuplicatedSpace,
        SpaceDomain,
        SpaceInfo,
        SpaceReplicas,
        SpaceRuntime,
        SpaceSecret,
        SpaceStorage,
        SpaceVariable,
        Volume,
    )
    from airflow_provider_hfspaces.hub.repositories import (
        CreatedSpace,
        SpaceCommit,
        SpaceSearchResult,
        SpaceTemplate,
    )
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
    from airflow_provider_hfspaces.hub.stages import SpaceStage
    from airflow_provider_hfspaces.hub.waiting.goal import Failed, Goal, Pending, Reached, Verdict
    from airflow_provider_hfspaces.hub.waiting.wait import Wait
    from airflow_provider_hfspaces.hub.waiting.watch import SpaceWatch
    from airflow_provider_hfspaces.hub.whoami import Organization, TokenScope, WhoAmI, ZeroGpuQuota

__all__ = [
    "FREE_HARDWARE",
    "Accelerator",
    "AnswerLimits",
    "AnyHardware",
    "AsyncHubClient",
    "BilledUsage",
    "Call",
    "CreatedSpace",
    "Delay",
    "DesiredState",
    "DuplicatedSpace",
    "Failed",
    "FleetCost",
    "Goal",
    "HardwareFlavor",
    "HardwareSearch",
    "HardwareUnavailable",
    "HubAuthError",
    "HubBadRequest",
    "HubClient",
    "HubConflict",
    "HubError",
    "HubGone",
    "HubPaymentRequired",
    "HubPermissionError",
    "HubProtocolError",
    "HubRateLimited",
    "HubUnavailable",
    "InvalidEndpoint",
    "InvalidHardware",
    "InvalidInput",
    "InvalidKey",
    "InvalidNumber",
    "InvalidProxy",
    "InvalidRepoId",
    "InvalidSha",
    "InvalidSleepTime",
    "InvalidStage",
    "InvalidStorage",
    "InvalidToken",
    "InvalidVolume",
    "ListedRuntime",
    "LogEvent",
    "LogPosition",
    "LogStreams",
    "Organization",
    "Pace",
    "Pending",
    "PriceList",
    "RateBudget",
    "Reached",
    "RetryDeadline",
    "RetryPolicy",
    "RunCost",
    "Sighting",
    "SpaceCommit",
    "SpaceCost",
    "SpaceDomain",
    "SpaceHardware",
    "SpaceInfo",
    "SpaceNotFound",
    "SpaceNotStarted",
    "SpaceReplicas",
    "SpaceRuntime",
    "SpaceSearchResult",
    "SpaceSecret",
    "SpaceSelection",
    "SpaceSnapshot",
    "SpaceStage",
    "SpaceStorage",
    "SpaceTemplate",
    "SpaceVariable",
    "SpaceWaitError",
    "SpaceWaitFailed",
    "SpaceWaitTimeout",
    "SpaceWatch",
    "Steps",
    "TokenScope",
    "Verdict",
    "Volume",
    "Wait",
    "WhoAmI",
    "ZeroGpuQuota",
    "aexecute",
    "error_from_dict",
    "error_to_dict",
    "execute",
    "plan_move",
    "plan_pause",
    "plan_restart",
    "plan_restore",
]

_MODULES = {
    "whoami": ("Organization", "TokenScope", "WhoAmI", "ZeroGpuQuota"),
    "bulk.selection": ("SpaceSelection",),
    "calls": ("Call", "ListedRuntime"),
    "cost.billing": ("BilledUsage",),
    "cost.prices": ("FleetCost", "PriceList", "SpaceCost"),
    "cost.runs": ("RunCost", "Sighting"),
    "desired": ("DesiredState", "plan_move", "plan_pause", "plan_restart", "plan_restore"),
    "errors": (
        "HardwareUnavailable",
        "HubAuthError",
        "HubBadRequest",
        "HubConflict",
        "HubError",
        "HubGone",
        "HubPaymentRequired",
        "HubPermissionError",
        "HubProtocolError",
        "HubRateLimited",
        "HubUnavailable",
        "InvalidEndpoint",
        "InvalidHardware",
        "InvalidInput",
        "InvalidKey",
        "InvalidNumber",
        "InvalidProxy",
        "InvalidRepoId",
        "InvalidSha",
        "InvalidSleepTime",
        "InvalidStage",
        "InvalidStorage",
        "InvalidToken",
        "InvalidVolume",
        "SpaceNotFound",
        "SpaceNotStarted",
        "SpaceWaitError",
        "SpaceWaitFailed",
        "SpaceWaitTimeout",
        "error_from_dict",
        "error_to_dict",
    ),
    "any_hardware": ("AnyHardware",),
    "hardware_search": ("HardwareSearch",),
    "hardware": ("Accelerator", "FREE_HARDWARE", "HardwareFlavor", "SpaceHardware"),
    "http.aio": ("AsyncHubClient",),
    "http.client": ("HubClient",),
    "http.limits": ("AnswerLimits",),
    "http.pace": ("Pace",),
    "http.quota": ("RateBudget",),
    "http.retry": ("RetryDeadline", "RetryPolicy"),
    "http.sequence": ("Delay", "Steps", "aexecute", "execute"),
    "logs.event": ("LogEvent",),
    "logs.position": ("LogPosition",),
    "logs.streams": ("LogStreams",),
    "models": (
        "DuplicatedSpace",
        "SpaceDomain",
        "SpaceInfo",
        "SpaceReplicas",
        "SpaceRuntime",
        "SpaceSecret",
        "SpaceStorage",
        "SpaceVariable",
        "Volume",
    ),
    "repositories": ("CreatedSpace", "SpaceCommit", "SpaceSearchResult", "SpaceTemplate"),
    "snapshot": ("SpaceSnapshot",),
    "stages": ("SpaceStage",),
    "waiting.goal": ("Failed", "Goal", "Pending", "Reached", "Verdict"),
    "waiting.wait": ("Wait",),
    "waiting.watch": ("SpaceWatch",),
}
__getattr__, __dir__ = lazy_names(
    __name__, {name: module for module, names in _MODULES.items() for name in names}
)
