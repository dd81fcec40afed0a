"""Both clients use the proxies and certificates that the environment names, in one way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_hfspaces.hub import AsyncHubClient, HubClient, InvalidProxy, RetryPolicy, calls
from airflow_provider_hfspaces.hub.errors import HubUnavailable
from airflow_provider_hfspaces.hub.http.environment import (
    certificates_from_environment,
    proxy_from_environment,
)
from tests.stub import RUNTIME, Say, StubHub

TOKEN = "hf_abcdefghijklmnop"
PROXY = "http://proxy.acme.test:3128"
HUB = "https://hub.acme.test"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("no_proxy", "endpoint", "expected"),
    [
        ("", HUB, PROXY),
        ("localhost,127.0.0.1", HUB, PROXY),
        ("acme.test", HUB, None),
        (".acme.test", HUB, None),
        ("*.acme.test", HUB, None),
        ("hub.acme.test:443", f"{HUB}:443", None),
        ("hub.acme.test:8443", f"{HUB}:443", PROXY),
        ("cme.test", HUB, PROXY),
        ("*", HUB, None),
        ("10.0.0.0/8", "https://10.1.2.3", None),
        ("10.0.0.0/8", "https://11.1.2.3", PROXY),
        ("fd00::/8", "https://[fd00::7]", None),
        ("[fd00::7]", "https://[fd00::7]", None),
        ("fd00::/8", HUB, PROXY),
        ("[::1],fd00::/8,,no such host", HUB, PROXY),
        ("", "http://127.0.0.1:8900", None),
        ("", "http://[::1]:8900", None),
    ],
)
def test_no_proxy_lists_hosts_domains_addresses_and_networks(
    no_proxy: str, endpoint: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert proxy_from_environment(endpoint) == expected


def test_the_proxy_of_the_scheme_comes_before_the_proxy_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://other.test:1")
    monkeypatch.setenv("https_proxy", "proxy.acme.test:3128")
    assert proxy_from_environment(HUB) == PROXY


@pytest.mark.parametrize("no_proxy", ["fd00::/8", "[::1]", "[", "http://[", "::/0,*", "a b", "é"])
def test_no_value_of_no_proxy_keeps_a_client_from_working(
    no_proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", no_proxy)

    async def use(url: str) -> str:
        async with AsyncHubClient(TOKEN, url) as client:
            return (await client.send(calls.get_runtime("acme/whisper"))).stage

    with StubHub(otherwise=Say(body=RUNTIME)) as stub:
        assert HubClient(TOKEN, stub.url).send(calls.get_runtime("acme/whisper")).stage == "RUNNING"
        assert asyncio.run(use(stub.url)) == "RUNNING"
    AsyncHubClient(TOKEN, HUB)


@pytest.mark.parametrize(
    "proxy", ["http://user:s3cr3t@[", "http://:3128", "ftp://user:s3cr3t@proxy", "http://a b"]
)
@pytest.mark.parametrize("client", [HubClient, AsyncHubClient])
def test_a_proxy_that_is_not_a_url_is_refused_without_its_password(
    client: Any, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(InvalidProxy, match="HTTPS_PROXY in the environment is not a valid proxy") as excinfo:
        client(TOKEN, HUB)
    assert "s3cr3t" not in str(excinfo.value)


def test_both_clients_go_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stub acts as the proxy: it receives the full URL of a Hub that does not exist."""
    once = RetryPolicy(total=0)

    async def use() -> str:
        async with AsyncHubClient(TOKEN, "http://hub.acme.test", allow_http=True, retry=once) as client:
            return (await client.send(calls.get_runtime("acme/a"))).stage

    with StubHub(otherwise=Say(body=RUNTIME)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        client = HubClient(TOKEN, "http://hub.acme.test", allow_http=True, retry=once)
        assert client.send(calls.get_runtime("acme/a")).stage == "RUNNING"
        assert asyncio.run(use()) == "RUNNING"
        paths = {request.path for request in proxy.requests}
    assert paths == {"http://hub.acme.test/api/spaces/acme/a/runtime"}


def test_an_unreachable_proxy_is_reported_as_an_unavailable_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(HubUnavailable, match="Nothing was changed"):
        HubClient(TOKEN, HUB, retry=RetryPolicy(total=0)).send(calls.pause("acme/a"))


def test_the_first_bundle_of_certificates_that_exists_is_used(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert certificates_from_environment() == str(bundle)
