"""Answers and error responses of the emulated Hub."""

from __future__ import annotations

import re
import socket
from typing import Any

import pytest
import requests

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.emulator.http.listener import listening_socket
from airflow_provider_hfspaces.emulator.routes import ROUTES
from tests.emulator.conftest import Ask

SPACE = "acme/whisper"
API = f"/api/spaces/{SPACE}"
PLACES = {"route": "spaces", "owner": "acme", "name": "whisper", "organization": "acme"}


def refusal(answer: Any) -> tuple[int, str, str | None]:
    return answer.status_code, answer.json()["error"], answer.headers.get("X-Error-Code")


def test_every_answer_has_the_hubs_headers(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    for path in (f"{API}/runtime", "/api/spaces/acme/none/runtime", "/api/no-such-thing"):
        headers = ask("GET", path).headers
        assert headers["Content-Type"] == "application/json; charset=utf-8"
        assert headers["X-Request-Id"].startswith("Root=1-")
        assert headers["RateLimit"].startswith('"api";r=')
        assert headers["RateLimit-Policy"].startswith('"fixed window";"api";q=')


def test_a_body_does_not_wait_until_the_client_has_acknowledged_the_headers() -> None:
    with listening_socket("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_missing_and_private_spaces_look_alike(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE, private=True)
    stranger = hub.add_token("mallory")
    for path in (f"{API}/runtime", "/api/spaces/acme/none/runtime"):
        assert refusal(ask("GET", path, token=stranger)) == (404, "Repository not found", "RepoNotFound")
        anonymous = ask("GET", path, token=None)
        assert anonymous.status_code == 401
        assert anonymous.json() == {"error": "Invalid username or password."}
    assert ask("GET", f"{API}/runtime").status_code == 200


def test_an_unknown_token_is_refused(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    status, message, _ = refusal(ask("GET", f"{API}/runtime", token="hf_wrong"))
    assert (status, message) == (401, "Invalid credentials in Authorization header")


def test_only_tokens_with_write_access_change_a_space(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    fine = hub.add_token("alice", "fineGrained", scopes={SPACE: ["repo.write"]})
    coarse = hub.add_token("alice", "fineGrained", scopes={"acme/other": ["repo.write"]})
    assert ask("POST", f"{API}/pause", token=hub.add_token("alice", "read")).status_code == 403
    assert ask("POST", f"{API}/pause", token=hub.add_token("bob")).status_code == 403
    assert ask("POST", f"{API}/pause", token=coarse).status_code == 403
    assert hub.space(SPACE).stage == "RUNNING"
    assert ask("POST", f"{API}/pause", token=fine).status_code == 200


def test_an_oauth_token_is_refused_for_some_actions(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    oauth = hub.add_token("alice", kind="oauth")
    assert refusal(ask("POST", f"{API}/restart", token=oauth))[:2] == (401, "Invalid username or password.")
    assert ask("POST", f"{API}/hardware", {"flavor": "t4-small"}, token=oauth).status_code == 401
    assert ask("POST", f"{API}/pause", token=oauth).status_code == 200


def test_an_account_without_a_payment_method_gets_no_gpu(hub: HubEmulator, ask: Ask) -> None:
    hub.add_user("bob", can_pay=False)
    token = hub.add_token("bob")
    hub.add_space("bob/x")
    answer = ask("POST", "/api/spaces/bob/x/hardware", {"flavor": "t4-small"}, token=token)
    assert answer.status_code == 403
    assert "payment method" in answer.json()["error"]


@pytest.mark.parametrize(
    ("suffix", "body"),
    [
        ("hardware", {"flavor": "t5-huge"}),
        ("hardware", {"hardware": "t4-small"}),
        ("hardware", {"flavor": "t4-small", "sleepTimeSeconds": 0}),
        ("sleeptime", {"seconds": -2}),
        ("sleeptime", {"sleepTime": 60}),
        ("secrets", {"key": "A-B", "value": "v"}),
        ("variables", {"key": "", "value": "v"}),
    ],
)
def test_an_invalid_body_is_refused(hub: HubEmulator, ask: Ask, suffix: str, body: Any) -> None:
    hub.add_space(SPACE, hardware="cpu-upgrade")
    assert ask("POST", f"{API}/{suffix}", body).status_code == 400
    assert len(hub.space(SPACE).history) == 1


ODD_VALUES: list[Any] = [None, True, -1, 1e308, 10**300, "", "\x00", "a/b/c", [], [[]], [{}], {}, {"a": []}]


@pytest.mark.parametrize("odd", ODD_VALUES, ids=repr)
def test_no_odd_value_breaks_a_route_of_the_hub(hub: HubEmulator, ask: Ask, odd: Any) -> None:
    hub.settings.storage = "works"
    keys = ("flavor", "seconds", "key", "value", "volumes", "secrets", "repository", "name", "type", "files")
    keys += ("paths", "replicas", "enabled", "tier", "visibility", "startingPoint", "fromRepo", "template")
    keys += ("gitIgnore", "content", "repoType", "tag", "message", "expand")
    for route in ROUTES:
        path = re.sub(r"{(\w+)(:[^}]*)?}", lambda match: PLACES.get(match[1], "main"), route.path)
        for method in set(route.methods.split()) - {"GET", "HEAD"}:
            if not path.startswith("/api/"):
                continue
            for body in (odd, *({key: odd} for key in keys)):
                if not hub.has_space(SPACE):
                    hub.add_space(SPACE, hardware="t4-small")
                answer = ask(method, path, body)
                assert answer.status_code < 500 or answer.status_code == 501, (method, path, body)


def test_a_body_that_nests_too_deeply_is_refused(hub: HubEmulator) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    answer = requests.post(
        f"{hub.url}{API}/hardware",
        data=b"[" * 100_000,
        headers={"Authorization": f"Bearer {hub.token}"},
        timeout=5,
    )
    assert answer.status_code == 400


def test_a_renamed_space_redirects_with_path_and_query(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    hub.rename_space(SPACE, "acme/speech")
    answer = ask("POST", f"{API}/restart?factory=true")
    assert answer.status_code == 307
    assert answer.headers["Location"] == "/api/spaces/acme/speech/restart?factory=true"
    assert answer.text.startswith("Temporary Redirect. Redirecting to")


def test_variables_are_listed_completely_and_secrets_without_values(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    ask("POST", f"{API}/variables", {"key": "A", "value": "1"})
    body = ask("POST", f"{API}/variables", {"key": "B", "value": "2", "description": "d"}).json()
    assert {key: each["value"] for key, each in body.items()} == {"A": "1", "B": "2"}
    assert ask("DELETE", f"{API}/variables", {"key": "nothing"}).json().keys() == {"A", "B"}
    assert ask("POST", f"{API}/secrets", {"key": "S", "value": "s3cr3t"}).json() == {}
    assert ask("DELETE", f"{API}/secrets", {"key": "nothing"}).json() == {}
    assert "s3cr3t" not in ask("GET", f"{API}/secrets").text


def test_lists_have_pages_and_only_visible_spaces(hub: HubEmulator, ask: Ask) -> None:
    for number in range(5):
        hub.add_space(f"acme/s{number}", private=number == 0)
    first = ask("GET", "/api/spaces?author=acme&limit=2&expand=runtime")
    assert [set(each) for each in first.json()] == [{"_id", "id", "runtime"}] * 2
    link = first.headers["Link"]
    assert link.startswith(f"<{hub.url}/api/spaces?")
    assert link.endswith('>; rel="next"')
    ids = [each["id"] for each in first.json()]
    while link:
        page = ask("GET", link[1:].partition(">")[0].removeprefix(hub.url))
        ids += [each["id"] for each in page.json()]
        link = page.headers.get("Link", "")
    assert sorted(ids) == [f"acme/s{number}" for number in range(5)]
    assert len(ask("GET", "/api/spaces?author=acme", token=None).json()) == 4
    assert ask("GET", "/api/spaces?expand[]=sdk").json()[0].keys() == {"_id", "id", "sdk"}
    refusal = ask("GET", f"{API.replace('whisper', 's1')}?expand=nonsense")
    assert refusal.status_code == 400
    assert '"expand" must be one of [' in refusal.json()["error"]


def test_requests_are_recorded_without_the_token(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    ask("POST", f"{API}/sleeptime", {"seconds": 60})
    (request,) = hub.requests
    assert (request.method, request.path, request.json) == ("POST", f"{API}/sleeptime", {"seconds": 60})
    assert (request.user, request.status) == ("alice", 200)
    assert hub.token not in str(request)


def test_an_exhausted_quota_announces_its_reset(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    hub.world.limits.clock = lambda: 0.0
    free = hub.add_token("bob")
    statuses = [ask("GET", f"{API}/runtime", token=free).status_code for _ in range(1001)]
    assert statuses.count(200) == 1000
    refusal = ask("GET", f"{API}/runtime", token=free)
    assert refusal.status_code == 429
    assert refusal.headers["RateLimit"].startswith('"api";r=0;t=')
    assert ask("GET", f"{API}/runtime").status_code == 200


def test_the_control_api_serves_tests_in_other_processes(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    ask("POST", "/_emulator/advance", {"seconds": 61})
    assert ask("GET", "/_emulator/bill").json()["minutes"] == 2
    assert ask("GET", f"/_emulator/spaces/{SPACE}/history").status_code == 200
    assert ask("GET", "/_emulator/requests").status_code == 200


def test_a_space_has_a_page(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    page = ask("GET", f"/spaces/{SPACE}?logs=container", token=None)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert SPACE in page.text
