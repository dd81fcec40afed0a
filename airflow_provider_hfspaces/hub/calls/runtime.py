"""The runtime of a Space: its stage, hardware, sleep time, replicas and dev mode."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_hfspaces.hub.calls.base import Call, get_call, list_of, post_call, read_nothing
from airflow_provider_hfspaces.hub.checks import (
    InvalidInput,
    checked_hardware,
    checked_number,
    checked_sleep_time,
)
from airflow_provider_hfspaces.hub.models import HardwareFlavor, SpaceRuntime

__all__ = [
    "get_runtime",
    "list_hardware",
    "pause",
    "request_hardware",
    "restart",
    "set_dev_mode",
    "set_replicas",
    "set_sleep_time",
]


def get_runtime(repo_id: str) -> Call[SpaceRuntime]:
    """``GET /api/spaces/{repo_id}/runtime``: the live state of a Space. Public Spaces need no token."""
    return get_call(repo_id, "/runtime", SpaceRuntime.from_payload)


def pause(repo_id: str) -> Call[SpaceRuntime]:
    """``POST /api/spaces/{repo_id}/pause``: stop the Space until its owner restarts it. Repeatable."""
    return post_call(repo_id, "/pause", SpaceRuntime.from_payload, repeatable=True)


def restart(repo_id: str, *, factory_reboot: bool = False) -> Call[SpaceRuntime]:
    """``POST /api/spaces/{repo_id}/restart``: start the Space again.

    Not repeatable: a second request would interrupt the start.

    :param factory_reboot: whether to build the image again without caches; by default not.
    """
    query = (("factory", "true"),) if factory_reboot else ()
    return post_call(repo_id, "/restart", SpaceRuntime.from_payload, query=query)


def list_hardware() -> Call[list[HardwareFlavor]]:
    """``GET /api/spaces/hardware``: every flavor that the Hub offers today, with its price."""
    return Call("GET", "/api/spaces/hardware", list_of(HardwareFlavor.from_payload), repeatable=True)


def request_hardware(
    repo_id: str,
    hardware: str,
    *,
    sleep_time: int | None = None,
    offered: Iterable[HardwareFlavor] | None = None,
    is_checked: bool = False,
) -> Call[SpaceRuntime]:
    """``POST /api/spaces/{repo_id}/hardware``: change the hardware, which restarts the Space.

    The answer still shows the previous hardware. Not repeatable: a second request would restart the Space
    again.

    :param hardware: a flavor such as ``t4-small``.
    :param sleep_time: seconds without a visitor until the Space sleeps, -1 for never; by default the Hub
        decides.
    :param offered: the Hub's price list, to accept flavors that are newer than this version.
    :param is_checked: skip the validation of ``hardware``, because the Hub reported this flavor or the caller
        validated it.
    :raises InvalidInput: for a Space, flavor or sleep time that is not valid.
    """
    body: dict[str, Any] = {"flavor": hardware if is_checked else checked_hardware(hardware, offered)}
    if sleep_time is not None:
        body["sleepTimeSeconds"] = checked_sleep_time(sleep_time)
    return post_call(repo_id, "/hardware", SpaceRuntime.from_payload, body)


def set_sleep_time(repo_id: str, seconds: int) -> Call[SpaceRuntime]:
    """``POST /api/spaces/{repo_id}/sleeptime``: set after which time without a visitor the Space sleeps.

    Free hardware ignores the sleep time.

    :param seconds: at least 1, or -1 for never.
    :raises InvalidSleepTime: for any other value.
    """
    body = {"seconds": checked_sleep_time(seconds)}
    return post_call(repo_id, "/sleeptime", SpaceRuntime.from_payload, body, repeatable=True)


def set_replicas(repo_id: str, replicas: int) -> Call[None]:
    """``POST /api/spaces/{repo_id}/replicas``: set how many copies of the Space run, on paid hardware only.

    :param replicas: at least 1. The Hub bills each replica.
    :raises InvalidNumber: for any other value.
    """
    body = {"replicas": checked_number(replicas, "replicas", least=1)}
    return post_call(repo_id, "/replicas", read_nothing, body, repeatable=True, answer="any")


def set_dev_mode(repo_id: str, enabled: bool) -> Call[SpaceRuntime]:
    """``POST /api/spaces/{repo_id}/dev-mode``: turn dev mode on or off.

    :param enabled: True to turn it on, which needs a paying account.
    :raises InvalidInput: for anything but True and False.
    """
    if not isinstance(enabled, bool):
        raise InvalidInput(f"enabled must be True or False; got {enabled!r}.")
    return post_call(repo_id, "/dev-mode", SpaceRuntime.from_payload, {"enabled": enabled}, repeatable=True)
