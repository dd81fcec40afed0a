"""The check of a README before it is uploaded."""

from __future__ import annotations

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, json_response
from airflow_provider_hfspaces.emulator.http.routing import Route
from airflow_provider_hfspaces.emulator.model.card import read_card
from airflow_provider_hfspaces.emulator.model.repository import REPO_TYPES

__all__ = ["ROUTES"]


def _validate(request: HubRequest) -> Response:
    """Check a README. The official client sends each README here before it commits the file."""
    body = request.body()
    content, repo_type = body.get("content"), body.get("repoType") or "model"
    if not isinstance(content, str):
        raise Refusal(400, '"content" must be a string')
    if repo_type not in REPO_TYPES:
        raise Refusal(400, f'"repoType" must be one of [{", ".join(REPO_TYPES)}]')
    card = read_card(content, repo_type, strict=False)
    findings = {
        "errors": [{"message": each} for each in card.errors],
        "warnings": [{"message": each} for each in card.warnings],
    }
    if card.errors:
        return json_response({"error": card.errors[0], **findings}, status=400)
    return json_response(findings)


ROUTES = [Route("POST", "/api/validate-yaml", _validate)]
