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
    """``GET /api/spaces/{repo_id}/runtime``: the live state of a Space."""
    return get_call(repo_id, "/runtime", SpaceRuntime.from_payload)


def pause(repo_id: str) -> Call[SpaceRuntime]:
    """``POST /api/spaces/{repo_id}/pause``: stop the Space until its owner restarts it."""
    return post_call(repo_id, "/pause", SpaceRuntime.from_payload, repeatable=True)


def restart(repo_id: str, *, factory_reboot: bool = False) -> Call[SpaceRuntime]:
    """``POST /api/spaces/{repo_id}/restart``. Not repeatable: it would stop the start under way.

    :param factory_reboot: build again, without caches.
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

    The answer still shows the old hardware. Not repeatable: the second request would restart the
    Space again.

    :param hardware: a flavor such as ``t4-small``.
    :param sleep_time: seconds without a visitor until the Space sleeps, -1 for never.
    :param offered: the Hub's price list, to accept flavors that are newer than this version.
    :param is_checked: send the flavor without a check, because the Hub itself has reported it or the
        caller has checked it.
    """
    body: dict[str, Any] = {"flavor": hardware if is_checked else checked_hardware(hardware, offered)}
    if sleep_time is not None:
        body["sleepTimeSeconds"] = checked_sleep_time(sleep_time)
    return post_call(repo_id, "/hardware", SpaceRuntime.from_payload, body)


def set_sleep_time(repo_id: str, seconds: int) -> Call[SpaceRuntime]:
    """``POST /api/spaces/{repo_id}/sleeptime``.

    :param seconds: without a visitor until the Space sleeps, at least 1; -1 for never.
    """
    body = {"seconds": checked_sleep_time(seconds)}
    return post_call(repo_id, "/sleeptime", SpaceRuntime.from_payload, body, repeatable=True)


def set_replicas(repo_id: str, replicas: int) -> Call[None]:
    """``POST /api/spaces/{repo_id}/replicas``: on paid hardware only, each one billed by itself."""
    body = {"replicas": checked_number(replicas, "replicas", least=1)}
    return post_call(repo_id, "/replicas", read_nothing, body, repeatable=True, answer="any")


def set_dev_mode(repo_id: str, enabled: bool) -> Call[SpaceRuntime]:
    """``POST /api/spaces/{repo_id}/dev-mode``: needs a paying account to enable."""
    if not isinstance(enabled, bool):
        raise InvalidInput(f"Dev mode is True or False; got {enabled!r}.")
    return post_call(repo_id, "/dev-mode", SpaceRuntime.from_payload, {"enabled": enabled}, repeatable=True)
