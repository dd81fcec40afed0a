"""Routes of the Hub that the emulator does not have, which answer 501 with a reason and change nothing."""

from __future__ import annotations

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, not_emulated, unknown_route
from airflow_provider_hfspaces.emulator.http.routing import REPOSITORY, Route

__all__ = ["ROUTES"]


def _unknown(request: HubRequest) -> Response:
    raise unknown_route()


def _discussions(request: HubRequest) -> Response:
    request.repository()
    raise not_emulated("pull requests and discussions: commit to a branch instead")


def _git(request: HubRequest) -> Response:
    raise not_emulated("git over HTTP: upload and download with the API or the official client")


def _of_a_repository(request: HubRequest) -> Response:
    """Raise a 501, or a 404 if the repository does not exist."""
    request.repository()
    return _anything(request)


def _anything(request: HubRequest) -> Response:
    raise Refusal(
        501,
        f"This emulated Hub does not implement {request.method} {request.path}. "
        "Its documentation lists what it emulates.",
    )


_METHODS = "GET HEAD POST PUT PATCH DELETE"
ROUTES = [
    # The official client requests this list in the background, and ignores a 404.
    Route("GET", "/api/agent-harnesses", _unknown),
    Route("GET", "/{repository:rest}/info/refs", _git),
    Route("POST", "/{repository:rest}/{service:git-upload-pack|git-receive-pack}", _git),
    Route(_METHODS, f"{REPOSITORY}/discussions", _discussions),
    Route(_METHODS, f"{REPOSITORY}/discussions/{{rest:rest}}", _discussions),
    Route(_METHODS, f"{REPOSITORY}/{{rest:rest}}", _of_a_repository),
    Route(_METHODS, "/api/{rest:rest}", _anything),
]
