"""The address of the app of a Space, which only the Hub knows."""

from __future__ import annotations

from airflow_provider_hfspaces.hub.checks import checked_endpoint
from airflow_provider_hfspaces.hub.errors import HubProtocolError, InvalidInput
from airflow_provider_hfspaces.hub.models import SpaceInfo

__all__ = ["app_address"]

_STATIC = "static"


def app_address(space: SpaceInfo) -> str:
    """Return the address of the app of a Space, such as ``https://acme-whisper.hf.space``.

    It is the ``host`` of the Hub's description of the Space, because the name does not determine it.

    :raises InvalidInput: for a static Space, which has no app.
    :raises InvalidEndpoint: for an address that would get a token unencrypted.
    :raises HubProtocolError: if the Hub names no address.
    """
    if space.sdk == _STATIC:
        raise InvalidInput(
            f"Space {space.id} is static: the Hub only serves its files, and it has no app that could be "
            f"called. Choose a Space with an app."
        )
    if not space.host:
        raise HubProtocolError(
            f"Space {space.id}: the Hub names no address of its app. Open the Space's page on the Hub and "
            f"check whether the Space is complete.",
            repo_id=space.id,
        )
    return checked_endpoint(space.host)
