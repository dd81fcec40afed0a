"""Redirects are followed, but the token, the body and a secret never go to another host."""

from __future__ import annotations

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
    assert stub.seen[1].content == ("DELETE", "/api/spaces/acme/new/variables", {"key": "K"})
    assert stub.seen[1].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_read_follows_to_another_host_without_the_token() -> None:
    with StubHub(otherwise=Say(body=RUNTIME)) as other, StubHub(otherwise=to(f"{other.url}/x")) as stub:
        assert HubClient(TOKEN, stub.url).send(calls.get_runtime("acme/a")).stage == "RUNNING"
        assert "authorization" in stub.seen[0].headers
        assert "authorization" not in other.seen[0].headers


def test_a_change_does_not_follow_to_another_host() -> None:
    with StubHub(otherwise=Say()) as other, StubHub(otherwise=to(f"{other.url}/x")) as stub:
        with pytest.raises(errors.HubProtocolError, match="expose what was sent"):
            HubClient(TOKEN, stub.url).send(calls.add_secret("acme/a", "K", "s3cr3t"))
        assert other.seen == []


def test_a_redirect_that_would_turn_a_change_into_a_read_is_refused() -> None:
    with StubHub(to("/login", 302)) as stub:
        with pytest.raises(errors.HubProtocolError, match="would lose"):
            HubClient(TOKEN, stub.url).send(calls.pause("acme/a"))
        assert len(stub.seen) == 1


def test_a_circle_ends() -> None:
    with StubHub(otherwise=to("/again")) as stub:
        with pytest.raises(errors.HubProtocolError, match="end of redirects"):
            HubClient(TOKEN, stub.url).send(calls.get_runtime("acme/a"))
        assert len(stub.seen) == 6


def test_the_next_page_is_asked_for_on_the_same_host_only() -> None:
    with StubHub() as stub:
        stub.script = [
            Say(body=[{"id": "acme/a"}], headers={"Link": f'<{stub.url}/api/spaces?cursor=2>; rel="next"'}),
            Say(body=[{"id": "acme/b"}]),
        ]
        pages = list(HubClient(TOKEN, stub.url).pages(calls.list_spaces(author="acme")))
        assert [space.id for page in pages for space in page] == ["acme/a", "acme/b"]
        assert stub.seen[1].path == "/api/spaces?cursor=2"

        stub.script = [Say(body=[], headers={"Link": '<https://elsewhere.test/x>; rel="next"'})]
        with pytest.raises(errors.HubProtocolError, match=r"elsewhere\.test"):
            list(HubClient(TOKEN, stub.url).pages(calls.list_spaces(author="acme")))


def test_netrc_does_not_replace_the_token(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"  # type: ignore[operator]
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with StubHub(otherwise=Say(body=RUNTIME)) as stub:
        client = HubClient(TOKEN, stub.url)
        client._session.trust_env = True
        client.send(calls.get_runtime("acme/a"))
    assert stub.seen[0].headers["authorization"] == f"Bearer {TOKEN}"
