"""The emulated Hub returns the recorded answers of the real Hub, which match the schemas of its API."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.emulator.conftest import Ask
from tests.emulator.hub_facts import (
    EXCHANGES,
    PRICES_MICRO_USD_PER_MINUTE,
    RUNTIME,
    SCHEMAS,
    SPACE,
    STATIC_SPACE,
    TIME,
)


def without_variable_parts(body: Any) -> Any:
    """A JSON body with one time for all times, and without the address of the server."""
    if isinstance(body, dict):
        return {
            key: TIME if key == "updatedAt" else without_variable_parts(value) for key, value in body.items()
        }
    if isinstance(body, list):
        return [without_variable_parts(each) for each in body]
    if isinstance(body, str) and body.startswith("http"):
        return "/" + body.split("/", 3)[3]
    return body


@pytest.mark.parametrize("story", EXCHANGES)
def test_answers_are_those_of_the_hub(hub: HubEmulator, ask: Ask, story: str) -> None:
    hub.add_user("user")
    hub.add_user("victor")
    hub.add_space(STATIC_SPACE, sdk="static")
    hub.add_space(SPACE, stage="BUILDING", private=True)
    for exchange in EXCHANGES[story]:
        owner = "victor" if STATIC_SPACE in exchange.path else "user"
        answer = ask(exchange.method, exchange.path, exchange.body, token=hub.add_token(owner))
        assert answer.status_code == exchange.status, exchange
        assert answer.headers["Content-Type"] == exchange.content_type
        body = answer.json() if "json" in exchange.content_type else answer.text
        assert without_variable_parts(body) == exchange.answer


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
def test_every_runtime_matches_the_hubs_schema(hub: HubEmulator, ask: Ask, options: dict[str, Any]) -> None:
    hub.add_space(SPACE, **options)
    for _ in range(4):
        jsonschema.validate(ask("GET", f"/api/spaces/{SPACE}/runtime").json(), RUNTIME)
        if options.get("sdk") != "static":
            ask("POST", f"/api/spaces/{SPACE}/hardware", {"flavor": "a10g-small"})
        hub.advance(70)


DOCUMENTED: list[tuple[str, str, str, Any]] = [
    ("hardware", "GET", "/api/spaces/hardware", None),
    ("templates", "GET", "/api/spaces/templates", None),
    ("zero_gpu_quota", "GET", "/api/spaces/zero-gpu/quota", None),
    ("whoami", "GET", "/api/whoami-v2", None),
    ("secrets", "GET", f"/api/spaces/{SPACE}/secrets", None),
    ("variables", "GET", f"/api/spaces/{SPACE}/variables", None),
    ("jwt", "GET", f"/api/spaces/{SPACE}/jwt", None),
    ("settings", "PUT", f"/api/spaces/{SPACE}/settings", {"private": True}),
    ("duplicate", "POST", f"/api/spaces/{SPACE}/duplicate", {"repository": "user/copy"}),
    (
        "create",
        "POST",
        "/api/repos/create",
        {"name": "new", "organization": "user", "type": "space", "sdk": "gradio"},
    ),
    ("billing", "GET", "/api/settings/billing/usage", None),
    ("billing", "GET", "/api/organizations/acme/billing/usage", None),
]


@pytest.mark.parametrize(("name", "method", "path", "body"), DOCUMENTED, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("role", ["write", "fineGrained"])
def test_answers_match_the_hubs_openapi(
    hub: HubEmulator, ask: Ask, name: str, method: str, path: str, body: Any, role: str
) -> None:
    hub.add_user("user", is_pro=True)
    hub.add_organization("acme", members={"user": "admin"})
    hub.add_space(SPACE, hardware="t4-small", secrets={"S": "x"}, variables={"V": "1"})
    hub.add_space("acme/gpu", hardware="l4x1")
    hub.add_repository("acme/data")
    hub.advance(3600)
    everything = ("repo.write", "user.billing.read", "org.billing.read")
    scopes = dict.fromkeys(("user", "acme", SPACE, "datasets/acme/data"), everything)
    token = hub.add_token("user", role, scopes=scopes if role == "fineGrained" else None)
    answer = ask(method, path, body, token=token)
    assert answer.status_code == 200, answer.text
    jsonschema.validate(answer.json(), SCHEMAS[name])


def test_hardware_has_the_hubs_list_prices(ask: Ask) -> None:
    flavors = ask("GET", "/api/spaces/hardware").json()
    assert {each["name"]: each["unitCostMicroUSD"] for each in flavors} == PRICES_MICRO_USD_PER_MINUTE
    for each in flavors:
        assert each["unitCostUSD"] == each["unitCostMicroUSD"] / 1_000_000
