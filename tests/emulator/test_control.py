"""The emulator's control API: its callers, its refusals and its documentation."""

from __future__ import annotations

import re
from json import dumps
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.emulator.routes.control import ROUTES
from tests.emulator.conftest import Ask

SPACE = "acme/whisper"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "emulator.md"


def control(hub: HubEmulator, method: str, path: str, json: Any = None, **headers: str) -> requests.Response:
    # json.dumps also writes NaN and Infinity, which requests would refuse to send.
    body = dumps(json) if json is not None else None
    return requests.request(method, f"{hub.url}/_emulator{path}", data=body, headers=headers, timeout=5)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Host": "evil.example:8900", "Origin": "http://evil.example:8900"},
        {"Host": "127.0.0.1.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
def test_a_web_page_of_another_site_can_neither_read_nor_plant_a_token(
    hub: HubEmulator, headers: dict[str, str]
) -> None:
    state = control(hub, "GET", "/state", **headers)
    answer = control(hub, "POST", "/tokens", {"user": "alice", "value": "hf_planted"}, **headers)
    assert (state.status_code, answer.status_code) == (403, 403)
    assert hub.token not in state.text
    assert "hf_planted" not in hub.world.accounts.tokens


def test_a_program_and_the_start_page_itself_may_use_it(hub: HubEmulator) -> None:
    assert control(hub, "GET", "").status_code == 200
    for headers in (
        {"Origin": hub.url, "Sec-Fetch-Site": "same-origin"},
        {"Host": "localhost:8900", "Origin": "http://localhost:8900"},
        {"Host": "10.1.2.3:8900"},
        {"Host": "[::1]:8900"},
    ):
        assert control(hub, "POST", "/advance", {"seconds": 1}, **headers).status_code == 200


def test_a_host_name_can_be_allowed() -> None:
    with HubEmulator(allowed_hosts=["hub"]) as hub:
        assert control(hub, "GET", "", Host="hub:8900").status_code == 200
        assert control(hub, "GET", "", Host="other:8900").status_code == 403


@pytest.mark.parametrize("seconds", [1e308, -1, float("nan"), float("inf"), 10**400, "soon", None, [], {}])
def test_a_time_that_cannot_be_reached_is_refused_and_changes_nothing(
    hub: HubEmulator, ask: Ask, seconds: Any
) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    now = hub.now()
    assert control(hub, "POST", "/advance", {"seconds": seconds}).status_code == 400
    assert hub.now() == pytest.approx(now, abs=5)
    assert ask("GET", f"/api/spaces/{SPACE}/runtime").json()["stage"] == "RUNNING"
    assert control(hub, "GET", "/bill").status_code == 200


def test_time_stops_at_its_end_instead_of_breaking_every_answer(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    hub.settings.seconds_per_request = 1e300
    for _ in range(3):
        assert ask("GET", f"/api/spaces/{SPACE}/runtime").status_code == 200
    assert control(hub, "GET", f"/spaces/{SPACE}/history").status_code == 200


ODD_VALUES: list[Any] = [None, True, -1, 1e308, 10**300, "", "\x00", "a/b/c", [], [[]], {}, {"a": []}]


@pytest.mark.parametrize("odd", ODD_VALUES, ids=repr)
def test_no_odd_value_breaks_a_control_route(hub: HubEmulator, odd: Any) -> None:
    hub.add_space(SPACE)
    keys = ("seconds", "name", "user", "repo_id", "storage", "timings", "kind", "quota", "hardware", "after")
    for route in ROUTES:
        path = route.path.removeprefix("/_emulator")
        path = path.format(owner="acme", name="whisper", what="crash-loop", place="fleet")
        for method in route.methods.split():
            for body in (odd, *({key: odd} for key in keys)):
                answer = control(hub, method, path, body)
                assert answer.status_code < 500, (method, path, body)
                assert answer.headers["Content-Type"].startswith("application/json")


def test_the_documentation_lists_every_control_route() -> None:
    documented_routes = {
        (method, path)
        for methods, path in re.findall(r"^\| `([A-Z ]+)` \| `(/_emulator[^`]*)` \|", PAGE.read_text(), re.M)
        for method in methods.split()
    }
    assert documented_routes == {(method, route.path) for route in ROUTES for method in route.methods.split()}
