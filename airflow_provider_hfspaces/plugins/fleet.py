"""The data of the fleet page: all Spaces of a connection's owners, and the pause of one of them.

Come here to change what the page reads from the Hub. ``columns.py`` has what it shows of each Space.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from airflow_provider_hfspaces import __version__
from airflow_provider_hfspaces.failures import mask_written
from airflow_provider_hfspaces.hooks.connection import ConnectionSettings, token_of
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.bulk.lookup import PAGE_SPACES
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.cost.prices import PriceList
from airflow_provider_hfspaces.hub.desired import plan_pause
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from airflow_provider_hfspaces.hub.http.sequence import execute
from airflow_provider_hfspaces.hub.models import SpaceInfo
from airflow_provider_hfspaces.plugins.columns import plain_json, row_of

__all__ = ["FleetReader", "NotInFleet", "page_client", "refuse_outside"]

_MAX_SPACES = 10_000
"""Spaces of one owner that the page reads; more would fill the API server's memory."""

_EXPAND = ("author", "lastModified", "private", "runtime", "sdk")
_KEEP_SECONDS = 3600.0
"""Time for which prices and owners are kept. The Hub allows few ``whoami`` requests."""

_CONNECT_SECONDS, _READ_SECONDS = 3.0, 10.0
_RETRY = RetryPolicy(total=3.0, total_rate_limited=3.0, first_wait=0.3, longest_wait=1.0)
"""A user waits for the page, so it reports after three seconds that the Hub is down."""


class NotInFleet(InvalidInput):
    """A Space that is not in the fleet of a connection."""


class FleetReader:
    """Reads fleets, and keeps prices and owners for an hour. Safe for threads."""

    def __init__(self) -> None:
        self._prices: dict[str, tuple[float, PriceList]] = {}
        self._owners: dict[str, tuple[float, tuple[str, ...]]] = {}

    def read(self, connection: Any) -> dict[str, Any]:
        """Return the fleet of a connection as plain JSON, without any token or secret.

        Endpoints: ``GET /api/spaces?author=…&expand=runtime…`` for each owner, 500 Spaces a page and 10,000
        at most; once an hour ``GET /api/spaces/hardware`` and, without a namespace, ``GET /api/whoami-v2``.

        :returns: ``{"owners", "spaces", "problems", "endpoint"}``: costs in USD per hour, sleep times in
            seconds.
        :raises InvalidInput: if the connection is not valid.
        :raises HubError: if the Hub shows the Spaces of no owner.
        """
        with page_client(connection) as client:
            settings = ConnectionSettings.from_connection(connection)
            owners = self._owners_of(settings, client, connection)
            fleets = [(owner, *_spaces_of(owner, client)) for owner in owners]
            problems = [problem for _, _, problem, _ in fleets if problem]
            errors = [error for *_, error in fleets if error]
            if errors and len(errors) == len(owners):
                raise errors[0]
            prices = PriceList.from_flavors(())
            try:
                prices = self._prices_of(client)
            except HubError as error:
                problems.append(f"The Hub's prices could not be read. {error}")
        spaces = {space.id.casefold(): space for _, listed, _, _ in fleets for space in listed}
        rows = [row_of(space, prices, settings.endpoint) for space in spaces.values()]
        fleet = {"endpoint": settings.endpoint, "owners": list(owners), "problems": problems}
        return {**plain_json(fleet), "spaces": rows}

    def prices(self, endpoint: str) -> PriceList:
        """Return the price list of a Hub that a reading has kept; an empty one if none has."""
        _, prices = self._prices.get(endpoint, (0.0, None))
        return prices or PriceList.from_flavors(())

    def pause(self, connection: Any, repo_id: str, fleet: Mapping[str, Any]) -> dict[str, Any]:
        """Pause a Space of a fleet, and return its new row. A paused Space stays as it is.

        Endpoint: ``POST /api/spaces/{repo_id}/pause``.

        :param repo_id: the Space, as ``owner/name``.
        :param fleet: what :meth:`read` has returned for this connection.
        :raises NotInFleet: if the Space is not in the fleet.
        :raises HubError: if the Hub rejects the request and the Space is not paused.
        """
        refuse_outside(fleet, repo_id, connection.conn_id)
        with page_client(connection) as client:
            space = client.send(calls.get_space(repo_id, expand=_EXPAND))
            runtime = execute(plan_pause(repo_id, space.runtime), client.send)
            prices = PriceList.from_flavors(())
            with suppress(HubError):  # the Space is paused all the same
                prices = self._prices_of(client)
            return row_of(space, prices, client.endpoint, runtime)

    def _owners_of(self, settings: ConnectionSettings, client: HubClient, connection: Any) -> tuple[str, ...]:
        if settings.namespace:
            return (settings.namespace,)
        if not client.has_token:
            raise InvalidInput(
                f"Connection {connection.conn_id!r} has neither a namespace nor a token, so its fleet is not "
                f"known. Set one of them."
            )
        digest = hashlib.sha256(f"{settings.endpoint}\n{connection.password}".encode()).hexdigest()
        read_at, owners = self._owners.get(digest, (0.0, ()))
        if not owners or time.monotonic() - read_at > _KEEP_SECONDS:
            user = client.send(calls.whoami())
            owners = (user.name, *(each.name for each in user.organizations))
            self._owners[digest] = (time.monotonic(), owners)
        return owners

    def _prices_of(self, client: HubClient) -> PriceList:
        read_at, prices = self._prices.get(client.endpoint, (0.0, None))
        if prices is None or time.monotonic() - read_at > _KEEP_SECONDS:
            flavors = client.send(calls.list_hardware())
            prices = PriceList.from_flavors(flavors)
            self._prices[client.endpoint] = (time.monotonic(), prices)
        return prices


def refuse_outside(fleet: Mapping[str, Any], repo_id: str, conn_id: str) -> None:
    """Refuse a Space that is not in a fleet.

    :param fleet: what :meth:`FleetReader.read` has returned.
    :raises NotInFleet: naming the Space and the connection.
    """
    if not any(row["repo_id"] == repo_id for row in fleet["spaces"]):
        raise NotInFleet(f"Space {repo_id} is not in the fleet of connection {conn_id!r}. Refresh the page.")


def page_client(connection: Any) -> HubClient:
    """Return a client for a page that a user waits for: the client gives up after a few seconds."""
    settings = ConnectionSettings.from_connection(connection)
    token = token_of(connection)
    if token:
        mask_written(token)
    return HubClient(
        token,
        settings.endpoint,
        timeout=(_CONNECT_SECONDS, min(settings.timeout, _READ_SECONDS)),
        retry=_RETRY,
        user_agent=f"airflow-provider-hfspaces/{__version__}; fleet page",
        allow_http=settings.allow_http,
    )


def _spaces_of(owner: str, client: HubClient) -> tuple[list[SpaceInfo], str | None, HubError | None]:
    """Return the Spaces of an owner that the token can see, a problem to show, and the Hub's error."""
    spaces: list[SpaceInfo] = []
    try:
        for page in client.pages(calls.list_spaces(author=owner, limit=PAGE_SPACES, expand=_EXPAND)):
            spaces.extend(page)
            if len(spaces) > _MAX_SPACES:
                problem = f"{owner} has more than {_MAX_SPACES:,} Spaces. The page shows only the first."
                return spaces[:_MAX_SPACES], problem, None
    except HubError as error:
        return [], f"The Spaces of {owner} cannot be shown. {error}", error
    return spaces, None, None
