"""The address of the app of a Space, from the Hub's description of the Space."""

from __future__ import annotations

from airflow_provider_hfspaces.hub.checks import checked_endpoint
from airflow_provider_hfspaces.hub.errors import HubProtocolError, InvalidInput
from airflow_provider_hfspaces.hub.models import SpaceInfo

__all__ = ["app_address"]

_STATIC = "static"


def app_address(space: SpaceInfo) -> str:
    """Return the address of the app of a Space, such as ``https://acme-whisper.hf.space``.

    The address is ``host`` in the Hub's description: it cannot be derived from the name of the Space.

    :param space: a Space, from ``calls.get_space``.
    :raises InvalidInput: for a static Space, which has no app.
    :raises InvalidEndpoint: for an address to which the token would go unencrypted.
    :raises HubProtocolError: if the description has no address.
    """
    if space.sdk == _STATIC:
        raise InvalidInput(
            f"Space {space.id} is static: it has files that the Hub serves, but no app that can be called. "
            f"Choose a Space with an app."
        )
    if not space.host:
        raise HubProtocolError(
            f"Space {space.id} has no app address on the Hub. Open the Space's page on the Hub, and check "
            f"whether its app is complete.",
            repo_id=space.id,
        )
    return checked_endpoint(space.host)
