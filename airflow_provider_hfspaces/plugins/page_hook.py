"""The hook of a connection for a page that a user waits for."""

from __future__ import annotations

from functools import cached_property

from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.plugins.fleet import page_client

__all__ = ["PageHook"]


class PageHook(HfSpacesHook):
    """A hook whose client gives up after a few seconds. Make one with :meth:`from_connection`."""

    @cached_property
    def client(self) -> HubClient:
        """The client of the page, for this hook alone."""
        return page_client(self._connection)
