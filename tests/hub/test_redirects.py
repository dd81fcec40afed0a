"""Redirects are followed, but the token, the body and a secret never go to another host."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_hfspaces.hub import calls, errors
from airflow_provider_hfspaces.hub.http.client import HubClient
from tests.stub import RUNTIME, Say, StubHub

TOKEN = "hf_abcdefghijklmnop"


def to(location: str, status: int = 307) -> Say:
    return Say(status, "Temporary Redirect", {"Location": location, "Content-Type": "text/plain"})


def test_a_renamed_space_is_followed_with_method_body_and_token() -> None:
    call = calls.delete_variable("acme/old", "K")
    with (
        StubHub(to("/api/spaces/acme/new/variables"), otherwise=Say()) as stub,
        HubClient(TOKEN, stub.url) as client,
    ):
        client.send(call)
    assert stub.requests[1].content == ("DELETE", "/api/spaces/acme/new/variables", {"key": "K"})
    assert stub.requests[1].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(
    "call",
    [
        calls.get_runtime("acme/a"),
        calls.list_spaces(author="acme"),
        calls.add_secret("acme/a", "K", "s3cr3t"),
    ],
    ids=lambda call: call.path,
)
def test_a_redirect_to_another_host_names_the_host_for_the_connection(
    call: calls.Call[Any], status: int
) -> None:
    with StubHub(otherwise=Say(body=[])) as other, StubHub(otherwise=to(f"{other.url}/x?y", status)) as stub:
        with pytest.raises(errors.HubProtocolError, match=f"set the endpoint to {other.url}") as excinfo:
            HubClient(TOKEN, stub.url).send(call)
        assert excinfo.value.permanent
        assert other.requests == []
        assert len(stub.requests) == 1


def test_an_owner_on_a_mirror_that_redirects_is_not_an_empty_fleet() -> None:
    with (
        StubHub(otherwise=Say(body=[])) as other,
        StubHub(otherwise=to(f"{other.url}/api/spaces", 301)) as stub,
        pytest.raises(errors.HubProtocolError, match="redirected with 301"),
    ):
        list(HubClient(TOKEN, stub.url).pages(calls.list_spaces(author="acme")))


def test_a_redirect_that_would_turn_a_change_into_a_read_is_refused() -> None:
    with StubHub(to("/login", 302)) as stub:
        with pytest.raises(errors.HubProtocolError, match="would lose"):
            HubClient(TOKEN, stub.url).send(calls.pause("acme/a"))
        assert len(stub.requests) == 1


def test_a_loop_of_redirects_ends() -> None:
    with StubHub(otherwise=to("/again")) as stub:
        with pytest.raises(errors.HubProtocolError, match="instead of a final answer"):
            HubClient(TOKEN, stub.url).send(calls.get_runtime("acme/a"))
        assert len(stub.requests) == 6


def test_the_next_page_is_requested_from_the_same_host_only() -> None:
    with StubHub() as stub:
        stub.script = [
            Say(body=[{"id": "acme/a"}], headers={"Link": f'<{stub.url}/api/spaces?cursor=2>; rel="next"'}),
            Say(body=[{"id": "acme/b"}]),
        ]
        pages = list(HubClient(TOKEN, stub.url).pages(calls.list_spaces(author="acme")))
        assert [space.id for page in pages for space in page] == ["acme/a", "acme/b"]
        assert stub.requests[1].path == "/api/spaces?cursor=2"

        stub.script = [Say(body=[], headers={"Link": '<https://elsewhere.test/x>; rel="next"'})]
        with pytest.raises(errors.HubProtocolError, match=r"elsewhere\.test"):
            list(HubClient(TOKEN, stub.url).pages(calls.list_spaces(author="acme")))


def test_netrc_does_not_replace_the_token(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"  # type: ignore[operator]
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with StubHub(otherwise=Say(body=RUNTIME)) as stub:
        HubClient(TOKEN, stub.url).send(calls.get_runtime("acme/a"))
    assert stub.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
