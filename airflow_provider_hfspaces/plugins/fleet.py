"""What the page shows of one connection: all Spaces of its owners, from one list for each owner."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from airflow_provider_hfspaces import __version__
from airflow_provider_hfspaces.failures import mask_written
from airflow_provider_hfspaces.hooks.connection import ConnectionSettings
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.cost.prices import PriceList, replicas_of
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from airflow_provider_hfspaces.hub.models import SpaceInfo, SpaceRuntime
from airflow_provider_hfspaces.hub.stages import SpaceStage

__all__ = ["Fleets", "NotInFleet", "row_of"]

_PAGE = 500
_EXPAND = ("author", "lastModified", "private", "runtime", "sdk")
_KEEP = 3600.0
"""Seconds for which prices and a token's owner count as known; the Hub limits ``whoami`` tightly."""

_CONNECT, _SILENCE = 3.0, 10.0
_IN_A_HURRY = RetryPolicy(total=3.0, total_rate_limited=3.0, first_wait=0.3, longest_wait=1.0)
"""Somebody looks at the page and waits: a Hub that is down should be told as down."""


class NotInFleet(InvalidInput):
    """A Space that is not one of those that the page shows for a connection."""


class Fleets:
    """Reads fleets; remembers prices and owners between them.

    Safe for threads.
    """

    def __init__(self) -> None:
        self._prices: dict[str, tuple[float, PriceList]] = {}
        self._owners: dict[str, tuple[float, tuple[str, ...]]] = {}

    def read(self, connection: Any) -> dict[str, Any]:
        """The fleet of a connection, as plain JSON; no token or secret is in it.

        ``GET /api/spaces?author=…&expand=runtime…``, a page of 500 Spaces at a time, for each owner; and
        once an hour ``GET /api/spaces/hardware`` and, without a namespace, ``GET /api/whoami-v2``.

        :return: ``{"owners", "spaces", "problems", "endpoint"}``; costs in USD per hour, sleep times in
            seconds.
        :raises InvalidInput: for a connection that cannot be right.
        :raises HubError: if the Hub tells nothing at all.
        """
        with _client(connection) as client:
            settings = ConnectionSettings.from_connection(connection)
            owners = self._owners_of(settings, client, connection)
            answers = [(owner, *_spaces_of(owner, client)) for owner in owners]
            errors = [(owner, error) for owner, _, error in answers if error]
            if errors and len(errors) == len(owners):
                raise errors[0][1]
            problems = [f"The Spaces of {owner} cannot be shown. {error}" for owner, error in errors]
            prices = PriceList.from_flavors(())
            try:
                prices = self._prices_of(client)
            except HubError as error:
                problems.append(f"The prices are not known. {error}")
        seen = {space.id.casefold(): space for _, spaces, _ in answers for space in spaces}
        return {
            "endpoint": settings.endpoint,
            "owners": list(owners),
            "spaces": [row_of(space, prices, settings.endpoint) for space in seen.values()],
            "problems": problems,
        }

    def pause(self, connection: Any, repo_id: str, fleet: Mapping[str, Any]) -> dict[str, Any]:
        """Pause a Space of a fleet, and return its new row. One that is paused already stays so.

        ``POST /api/spaces/{repo_id}/pause``.

        :raises NotInFleet: if it is not one of those that :meth:`read` has shown.
        :raises HubError: if the Hub refuses, or does not answer.
        """
        if not any(row["repo_id"] == repo_id for row in fleet["spaces"]):
            raise NotInFleet(f"Space {repo_id} is not among those of the connection {connection.conn_id!r}.")
        with _client(connection) as client:
            space = client.send(calls.get_space(repo_id, expand=_EXPAND))
            runtime = space.runtime
            if runtime is None or runtime.stage != SpaceStage.PAUSED:
                runtime = client.send(calls.pause(repo_id))
            prices = PriceList.from_flavors(())
            with suppress(HubError):  # the Space is paused all the same
                prices = self._prices_of(client)
            return row_of(space, prices, client.endpoint, runtime)

    def _owners_of(self, settings: ConnectionSettings, client: HubClient, connection: Any) -> tuple[str, ...]:
        if settings.namespace:
            return (settings.namespace,)
        if not client.has_token:
            raise InvalidInput(
                f"The connection {connection.conn_id!r} has neither a namespace nor a token, so that it is "
                f"not known whose Spaces to show: give it one of them."
            )
        digest = hashlib.sha256(f"{settings.endpoint}\n{connection.password}".encode()).hexdigest()
        read_at, owners = self._owners.get(digest, (0.0, ()))
        if not owners or time.monotonic() - read_at > _KEEP:
            me = client.send(calls.whoami())
            owners = (me.name, *(each.name for each in me.organizations))
            self._owners[digest] = (time.monotonic(), owners)
        return owners

    def _prices_of(self, client: HubClient) -> PriceList:
        read_at, prices = self._prices.get(client.endpoint, (0.0, None))
        if prices is None or time.monotonic() - read_at > _KEEP:
            flavors = client.send(calls.list_hardware())
            prices = PriceList.from_flavors(flavors)
            self._prices[client.endpoint] = (time.monotonic(), prices)
        return prices


def _client(connection: Any) -> HubClient:
    settings = ConnectionSettings.from_connection(connection)
    token = (connection.password or "").strip() or None
    if token:
        mask_written(token)
    return HubClient(
        token,
        settings.endpoint,
        timeout=(_CONNECT, min(settings.timeout, _SILENCE)),
        retry=_IN_A_HURRY,
        user_agent=f"airflow-provider-hfspaces/{__version__}; fleet page",
        allow_http=settings.allow_http,
    )


def _spaces_of(owner: str, client: HubClient) -> tuple[list[SpaceInfo], HubError | None]:
    """All Spaces of an owner that the token may see, or what the Hub says instead."""
    call = calls.list_spaces(author=owner, limit=_PAGE, expand=_EXPAND)
    try:
        return [space for page in client.pages(call) for space in page], None
    except HubError as error:
        return [], error


def row_of(
    space: SpaceInfo, prices: PriceList, endpoint: str, runtime: SpaceRuntime | None = None
) -> dict[str, Any]:
    """A Space as the page shows it.

    :param runtime: its state, if a newer one is known than the description has.
    :return: ``cost`` is USD per hour now, ``cost_running`` what it is when the Space runs; each ``None``
        where no price is known.
    """
    runtime = runtime or space.runtime
    row: dict[str, Any] = {
        "repo_id": space.id,
        "url": f"{endpoint}/spaces/{space.id}",
        "private": bool(space.private),
        "sdk": space.sdk,
        "modified": space.last_modified,
        "stage": None,
        "hardware": None,
        "requested": None,
        "replicas": 1,
        "sleep_time": None,
        "error": None,
        "billed": False,
        "cost": None,
        "cost_running": None,
    }
    if runtime is None:
        return row
    return {
        **row,
        "stage": runtime.stage,
        "hardware": runtime.hardware,
        "requested": runtime.requested_hardware,
        "replicas": replicas_of(runtime),
        "sleep_time": runtime.sleep_time,
        "error": runtime.error_message,
        "billed": runtime.is_billed,
        "cost": prices.of_space(runtime),
        "cost_running": prices.if_running(runtime),
    }
