"""Which requests are retried, which are not, and for how long."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_hfspaces.hub import calls, errors
from airflow_provider_hfspaces.hub.errors import HubUnavailable
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.http.quota import RateBudget, retry_after
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from tests.stub import CUT, RESET, RUNTIME, Say, StubHub

SPACE = "acme/whisper"
TOKEN = "hf_abcdefghijklmnop"
FINE = Say(body=RUNTIME)
DUPLICATED = Say(body={"url": "https://huggingface.co/spaces/acme/copy"})

READS: list[calls.Call[Any]] = [calls.get_runtime(SPACE)]
REPEATABLE = [calls.set_sleep_time(SPACE, 60), calls.pause(SPACE)]
NEVER_REPEATED: list[calls.Call[Any]] = [
    calls.request_hardware(SPACE, "t4-small"),
    calls.restart(SPACE),
    calls.duplicate(SPACE, "acme/copy"),
]


class Sleeper:
    """Advances the clock of the client instead of sleeping."""

    def __init__(self) -> None:
        self.naps: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.naps.append(seconds)

    def clock(self) -> float:
        """The real time, plus the seconds of all sleeps."""
        return time.monotonic() + self.seconds_slept

    @property
    def seconds_slept(self) -> float:
        return sum(self.naps)

    def client(self, url: str, token: str = TOKEN, **options: Any) -> HubClient:
        """A client whose waits are only recorded."""
        return HubClient(token, url, **{"sleep": self, "clock": self.clock, **options})


@pytest.fixture
def sleeper() -> Sleeper:
    return Sleeper()


def outcome(sleeper: Sleeper, call: calls.Call[Any], *script: Say | str) -> tuple[Any, int]:
    """Returns the result or the error of a call, and the number of requests that reached the Hub."""
    fine = DUPLICATED if call.path.endswith("duplicate") else FINE
    with StubHub(*script, otherwise=fine) as stub, sleeper.client(stub.url) as client:
        try:
            result: Any = client.send(call)
        except errors.HubError as error:
            result = error
        return result, len(stub.requests)


def name(value: Any) -> str:
    return value.path.rpartition("/")[2] if isinstance(value, calls.Call) else str(value)


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("call", [*READS, *REPEATABLE, *NEVER_REPEATED], ids=name)
def test_a_gateway_error_is_retried_for_every_call(
    call: calls.Call[Any], status: int, sleeper: Sleeper
) -> None:
    result, requests = outcome(sleeper, call, Say(status), Say(status))
    assert not isinstance(result, errors.HubError)
    assert requests == 3
    assert len(sleeper.naps) == 2


@pytest.mark.parametrize("failure", [RESET, CUT, Say(500)], ids=["reset", "cut off", "500"])
@pytest.mark.parametrize("call", [*READS, *REPEATABLE], ids=name)
def test_after_a_lost_answer_a_safe_call_is_retried(
    call: calls.Call[Any], failure: Say | str, sleeper: Sleeper
) -> None:
    result, requests = outcome(sleeper, call, failure)
    assert not isinstance(result, errors.HubError)
    assert requests == 2


@pytest.mark.parametrize("failure", [RESET, CUT, Say(500)], ids=["reset", "cut off", "500"])
@pytest.mark.parametrize("call", NEVER_REPEATED, ids=name)
def test_a_lost_answer_is_not_retried_where_a_retry_does_harm(
    call: calls.Call[Any], failure: Say | str, sleeper: Sleeper
) -> None:
    result, requests = outcome(sleeper, call, failure)
    assert isinstance(result, errors.HubUnavailable)
    assert result.outcome_unknown
    assert requests == 1
    assert sleeper.naps == []


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 410, 422])
@pytest.mark.parametrize("call", [*READS, *REPEATABLE], ids=name)
def test_a_refusal_is_never_retried(call: calls.Call[Any], status: int, sleeper: Sleeper) -> None:
    result, requests = outcome(sleeper, call, Say(status, {"error": "no"}))
    assert isinstance(result, errors.HubError)
    assert requests == 1


@pytest.mark.parametrize("body", ["<html>", '{"half": ', "[]"])
def test_a_malformed_success_is_not_sent_again(body: str, sleeper: Sleeper) -> None:
    result, requests = outcome(sleeper, calls.get_runtime(SPACE), Say(200, body))
    assert isinstance(result, errors.HubProtocolError)
    assert requests == 1


def test_a_connection_error_is_retried_for_every_call(sleeper: Sleeper) -> None:
    with StubHub() as stub:
        url = stub.url
    client = sleeper.client(url, retry=RetryPolicy(total=30))
    with pytest.raises(errors.HubUnavailable, match="Nothing was changed") as excinfo:
        client.send(calls.restart(SPACE))
    assert excinfo.value.tries > 2
    assert not excinfo.value.outcome_unknown
    assert f"{excinfo.value.tries} tries" in str(excinfo.value)


def test_an_unknown_host_is_retried(sleeper: Sleeper) -> None:
    client = sleeper.client("https://no-such-hub.invalid", retry=RetryPolicy(total=5))
    with pytest.raises(errors.HubUnavailable) as excinfo:
        client.send(calls.restart(SPACE))
    assert not excinfo.value.outcome_unknown


def test_a_refused_certificate_is_not_tried_again(tmp_path: Path, sleeper: Sleeper) -> None:
    """The server's certificate is self-signed: the client sends nothing, and does not retry."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self_signed(tmp_path))
        connections = []

        def serve() -> None:
            connection, _ = listening.accept()
            connections.append(connection)
            with contextlib.suppress(ssl.SSLError, OSError):
                context.wrap_socket(connection, server_side=True)

        threading.Thread(target=serve, daemon=True).start()
        client = HubClient("hf_token", f"https://127.0.0.1:{port}", sleep=sleeper)
        with pytest.raises(HubUnavailable, match="Nothing was changed") as excinfo:
            client.send(calls.pause("acme/whisper"))
    assert excinfo.value.permanent
    assert excinfo.value.tries == 1
    assert len(connections) == 1


def self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = folder / "own.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return pem


def test_a_hub_that_does_not_answer_is_given_up_after_the_timeout() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = HubClient(TOKEN, url, timeout=(1, 0.1), retry=RetryPolicy(total=0))
        with pytest.raises(errors.HubUnavailable, match=r"took too long.*not known") as excinfo:
            client.send(calls.restart(SPACE))
    assert excinfo.value.outcome_unknown


class TestRateLimits:
    def test_after_a_429_the_client_waits_as_long_as_the_hub_says(self, sleeper: Sleeper) -> None:
        answer = Say(429, {"error": "slow"}, {"RateLimit": '"api";r=0;t=55'})
        for call in (*READS, *NEVER_REPEATED):
            sleeper.naps.clear()
            RateBudget.forget_all()
            result, requests = outcome(sleeper, call, answer)
            assert not isinstance(result, errors.HubError)
            assert requests == 2
            assert 55 <= sleeper.naps[0] <= 55 + 2

    def test_retry_after_is_used_if_there_is_no_ratelimit_header(self, sleeper: Sleeper) -> None:
        outcome(sleeper, calls.get_runtime(SPACE), Say(429, {}, {"Retry-After": "7"}))
        assert 7 <= sleeper.naps[0] <= 7 + 2

    def test_retry_after_may_be_a_date(self) -> None:
        assert retry_after({"retry-after": formatdate(time.time() + 60, usegmt=True)}) == pytest.approx(
            60, abs=3
        )
        assert retry_after({"retry-after": "soon"}) is None

    @pytest.mark.parametrize("headers", [{"RateLimit": '"api";r=480;t=200'}, {}], ids=["room left", "none"])
    def test_a_limit_on_one_kind_of_request_is_retried_a_few_times_and_delays_no_other_kind(
        self, sleeper: Sleeper, headers: dict[str, str]
    ) -> None:
        answer = Say(429, {"error": "too many Spaces created"}, headers)
        with StubHub(*[answer] * 40, otherwise=FINE) as stub, sleeper.client(stub.url) as client:
            with pytest.raises(errors.HubRateLimited, match="too many Spaces created") as excinfo:
                client.send(calls.duplicate(SPACE, "acme/copy"))
            assert excinfo.value.tries == len(stub.requests) == 4
            assert excinfo.value.one_route
            stub.script.clear()
            seconds_slept = sleeper.seconds_slept
            client.send(calls.get_runtime(SPACE))
            assert sleeper.seconds_slept == seconds_slept

    @pytest.mark.parametrize(
        ("status", "headers"),
        [
            (200, {"RateLimit": '"api";r=0;t=315360000'}),
            (429, {"RateLimit": '"api";r=0;t=315360000'}),
            (429, {"Retry-After": "315360000"}),
            (429, {"Retry-After": "9" * 5000}),
            (
                200,
                {"RateLimit": '"api";r=0;t=300000', "RateLimit-Policy": '"fixed window";"api";q=1;w=300000'},
            ),
        ],
        ids=str,
    )
    def test_no_answer_blocks_a_token_for_longer_than_a_window(
        self, status: int, headers: dict[str, str], sleeper: Sleeper
    ) -> None:
        once = RetryPolicy(total=0, total_rate_limited=0)
        with StubHub(Say(status, RUNTIME, headers), otherwise=FINE) as stub:
            with contextlib.suppress(errors.HubRateLimited):
                sleeper.client(stub.url, retry=once).send(calls.get_runtime(SPACE))
            sleeper.client(stub.url).send(calls.get_runtime(SPACE))
        assert sleeper.seconds_slept <= 302

    def test_all_clients_of_a_token_know_that_the_quota_is_used_up(self, sleeper: Sleeper) -> None:
        last = Say(
            body=RUNTIME,
            headers={"RateLimit": '"api";r=0;t=120', "RateLimit-Policy": '"fixed window";"api";q=1000;w=300'},
        )
        with StubHub(last, otherwise=FINE) as stub:
            sleeper.client(stub.url).send(calls.get_runtime(SPACE))
            other = sleeper.client(stub.url)
            assert (other.budget.quota, other.budget.window, other.budget.remaining) == (1000, 300, 0)
            other.send(calls.get_runtime(SPACE))
            assert 100 <= sleeper.naps[0] <= 122
            sleeper.naps.clear()
            sleeper.client(stub.url, "hf_anotherToken").send(calls.get_runtime(SPACE))
            assert sleeper.naps == []

    def test_a_client_without_patience_fails_at_once_and_a_fresh_one_sends_nevertheless(
        self, sleeper: Sleeper
    ) -> None:
        last = Say(body=RUNTIME, headers={"RateLimit": '"api";r=0;t=120'})
        with StubHub(last, otherwise=FINE) as stub:
            client = sleeper.client(stub.url, retry=RetryPolicy(total_rate_limited=5))
            client.send(calls.get_runtime(SPACE))
            with pytest.raises(errors.HubRateLimited, match=r"was not sent.*another 1[12]\d seconds"):
                client.send(calls.pause(SPACE))
            assert len(stub.requests) == 1
            client.fresh().send(calls.pause(SPACE))
            assert len(stub.requests) == 2
        assert sleeper.naps == []

    def test_the_last_error_is_raised_when_the_time_is_up(self, sleeper: Sleeper) -> None:
        with StubHub(otherwise=Say(429, {"error": "slow"}, {"Retry-After": "100"})) as stub:
            with pytest.raises(errors.HubRateLimited) as excinfo:
                sleeper.client(stub.url).send(calls.get_runtime(SPACE))
            assert excinfo.value.tries == len(stub.requests) > 2
        assert 200 < sleeper.seconds_slept <= 360

    def test_without_rate_limits_the_time_is_up_sooner(self, sleeper: Sleeper) -> None:
        with StubHub(otherwise=Say(503, {"error": "down"})) as stub:
            with pytest.raises(errors.HubUnavailable) as excinfo:
                sleeper.client(stub.url).send(calls.get_runtime(SPACE))
            assert f"{len(stub.requests)} tries" in str(excinfo.value)
        assert 90 < sleeper.seconds_slept <= 120


def test_a_wait_for_the_next_window_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    budget = RateBudget()
    budget.learn({"ratelimit": '"api";r=0;t=42', "ratelimit-policy": '"fixed window";"api";q=500;w=300'}, 429)
    for _ in range(3):
        assert budget.wait() > 40
    assert caplog.text.count("quota of 500 requests in 300 seconds is used up: requests wait 42 seconds") == 1
