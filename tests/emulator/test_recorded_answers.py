"""The emulated Hub beside the real one's own artefacts, field by field, where they are at hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.emulator.conftest import Ask

FILES = Path(os.environ.get("HFSPACES_HUB_FILES") or Path(__file__).resolve().parents[3] / "shared" / "hub")

pytestmark = pytest.mark.skipif(
    not FILES.is_dir(), reason="the Hub's recorded answers are not at hand: set HFSPACES_HUB_FILES"
)

SPACE = "user/tmp_test_space"


def comparable(body: Any) -> Any:
    """Without what differs from call to call, and without fields that the Hub no longer sends."""
    if isinstance(body, dict):
        return {
            key: "…" if key in ("updatedAt", "id") else comparable(value)
            for key, value in body.items()
            # keys of variables came later; storage is gone
            if not (key == "storage" and value is None) and not (key == "key" and "value" in body)
        }
    if isinstance(body, list):
        return [comparable(each) for each in body]
    return body.partition("/spaces/")[2] if isinstance(body, str) and "/spaces/" in body else body


def recorded() -> list[dict[str, Any]]:
    return json.loads((FILES / "recorded.json").read_text()) if FILES.is_dir() else []


@pytest.mark.parametrize("test", sorted({each["test"] for each in recorded()}))
def test_says_what_the_hub_said(hub: HubEmulator, ask: Ask, test: str) -> None:
    hub.add_user("user")
    token = hub.add_token("user")
    hub.add_space("victor/static-space", sdk="static")
    hub.add_space(SPACE, stage="BUILDING", private=True)
    compared = 0
    for exchange in [each for each in recorded() if each["test"] == test]:
        if exchange["uri"] == "/api/repos/create" and exchange["status"] == 200:
            continue  # an app was uploaded after it, without which nothing is built
        body = json.loads(exchange["body"]) if exchange["body"] else None
        answer = ask(exchange["method"], exchange["uri"], body, token=token)
        assert answer.status_code == exchange["status"], exchange
        assert answer.headers["Content-Type"] == exchange["content_type"]
        if "json" in exchange["content_type"]:
            assert comparable(answer.json()) == comparable(json.loads(exchange["response"]))
        else:
            assert answer.text == exchange["response"]
        compared += 1
    assert compared


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hardware": "t4-small", "sleep_time": 600},
        {"stage": "PAUSED"},
        {"stage": "SLEEPING", "hardware": "l4x1"},
        {"stage": "BUILD_ERROR", "error_message": "Job failed with exit code: 137"},
        {"stage": "RUNTIME_ERROR", "error_message": "Exit code: 1"},
        {"stage": "NO_APP_FILE"},
        {"stage": "BUILDING"},
        {"sdk": "static"},
    ],
    ids=str,
)
def test_every_runtime_is_what_the_hubs_schema_says(
    hub: HubEmulator, ask: Ask, options: dict[str, Any]
) -> None:
    schema = json.loads((FILES / "runtime.schema.json").read_text())
    hub.add_space(SPACE, **options)
    for _ in range(4):
        jsonschema.validate(ask("GET", f"/api/spaces/{SPACE}/runtime").json(), schema)
        if options.get("sdk") != "static":
            ask("POST", f"/api/spaces/{SPACE}/hardware", {"flavor": "a10g-small"})
        hub.advance(70)


DOCUMENTED: list[tuple[str, str, str, Any]] = [
    ("get", "/api/spaces/hardware", "/api/spaces/hardware", None),
    ("get", "/api/spaces/templates", "/api/spaces/templates", None),
    ("get", "/api/spaces/zero-gpu/quota", "/api/spaces/zero-gpu/quota", None),
    ("get", "/api/whoami-v2", "/api/whoami-v2", None),
    ("get", "/api/spaces/{namespace}/{repo}/secrets", f"/api/spaces/{SPACE}/secrets", None),
    ("get", "/api/spaces/{namespace}/{repo}/variables", f"/api/spaces/{SPACE}/variables", None),
    ("get", "/api/spaces/{namespace}/{repo}/jwt", f"/api/spaces/{SPACE}/jwt", None),
    ("put", "/api/spaces/{namespace}/{repo}/settings", f"/api/spaces/{SPACE}/settings", {"private": True}),
    (
        "post",
        "/api/{repoType}/{namespace}/{repo}/duplicate",
        f"/api/spaces/{SPACE}/duplicate",
        {"repository": "user/copy"},
    ),
    (
        "post",
        "/api/repos/create",
        "/api/repos/create",
        {"name": "new", "organization": "user", "type": "space", "sdk": "gradio"},
    ),
    ("get", "/api/settings/billing/usage", "/api/settings/billing/usage", None),
    ("get", "/api/organizations/{name}/billing/usage", "/api/organizations/acme/billing/usage", None),
]


@pytest.mark.parametrize(("method", "route", "path", "body"), DOCUMENTED, ids=lambda value: str(value)[:40])
def test_answers_are_what_the_hubs_openapi_says(
    hub: HubEmulator, ask: Ask, method: str, route: str, path: str, body: Any
) -> None:
    document = json.loads((FILES / "openapi-spaces.json").read_text())
    schema = document["paths"][route][method]["responses"]["200"]["content"]["application/json"]["schema"]
    hub.add_user("user", is_pro=True)
    hub.add_organization("acme", members={"user": "admin"})
    hub.add_space(SPACE, hardware="t4-small", secrets={"S": "x"}, variables={"V": "1"})
    hub.add_space("acme/gpu", hardware="l4x1")
    hub.advance(3600)
    answer = ask(method.upper(), path, body, token=hub.add_token("user"))
    assert answer.status_code == 200, answer.text
    jsonschema.validate(answer.json(), {**schema, "components": document.get("components", {})})
