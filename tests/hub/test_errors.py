"""Each way in which the Hub refuses has its own kind of error, and a text that says what to do."""

from __future__ import annotations

import json
import pickle
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from airflow_provider_hfspaces.hub import calls, errors
from airflow_provider_hfspaces.hub.error_responses import error_from_response, protocol_error
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from airflow_provider_hfspaces.hub.masking import written_forms
from airflow_provider_hfspaces.hub.models import SpaceInfo, SpaceRuntime
from airflow_provider_hfspaces.hub.steps import describe
from tests.stub import CUT, RUNTIME, Say, StubHub

SPACE = "acme/whisper"
TOKEN = "hf_abcdefghijklmnop"
ONCE = RetryPolicy(total=0, total_rate_limited=0)
REQUEST = calls.request_hardware(SPACE, "t4-small")
HTML = Say(404, "<!DOCTYPE html><html><body>Not here</body></html>", {"Content-Type": "text/html"})


def error_of(call: calls.Call[Any], say: Say | str, *, token: str | None = TOKEN) -> errors.HubError:
    with (
        StubHub(say, otherwise=say if isinstance(say, Say) else None) as stub,
        HubClient(token, stub.url, retry=ONCE) as client,
        pytest.raises(errors.HubError) as excinfo,
    ):
        client.send(call)
    return excinfo.value


def refusal(status: int, error: str, **headers: str) -> Say:
    return Say(status, {"error": error}, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("call", "say", "kind", "expected", "permanent"),
    [
        (
            REQUEST,
            refusal(401, "Invalid credentials in Authorization header"),
            errors.HubAuthError,
            "wrong, expired or revoked",
            True,
        ),
        (REQUEST, refusal(401, "Invalid username or password."), errors.HubAuthError, "OAuth login", True),
        (
            calls.pause(SPACE),
            refusal(401, "Invalid username or password."),
            errors.HubAuthError,
            "User Access Token",
            True,
        ),
        (
            REQUEST,
            refusal(402, "Credits needed"),
            errors.HubPaymentRequired,
            "settings/billing",
            True,
        ),
        (
            REQUEST,
            refusal(403, "You must add a payment method to your account"),
            errors.HubPaymentRequired,
            "payment method",
            True,
        ),
        (REQUEST, refusal(403, "Only the owner"), errors.HubPermissionError, "write access", True),
        (
            calls.get_runtime(SPACE),
            refusal(404, "Repository not found", X_Error_Code="RepoNotFound"),
            errors.SpaceNotFound,
            "may not see it",
            True,
        ),
        (
            calls.request_storage(SPACE, "small"),
            refusal(404, "Sorry, we can't find the page you are looking for."),
            errors.HubGone,
            "set_volumes",
            True,
        ),
        (calls.delete_storage(SPACE), refusal(410, "Gone"), errors.HubGone, "set_volumes", True),
        (
            calls.request_storage(SPACE, "small"),
            refusal(400, "No more tiers"),
            errors.HubBadRequest,
            "set_volumes",
            True,
        ),
        (REQUEST, refusal(400, "Unknown flavor"), errors.HubBadRequest, "Unknown flavor", True),
        (REQUEST, refusal(422, "Invalid"), errors.HubBadRequest, "Invalid", True),
        (REQUEST, refusal(409, "It exists already"), errors.HubConflict, "exists already", True),
        (REQUEST, refusal(409, "another operation is in progress"), errors.HubConflict, "in progress", False),
        (REQUEST, refusal(429, "Slow down"), errors.HubRateLimited, "rate limit", False),
        (REQUEST, refusal(500, "Oops"), errors.HubUnavailable, "Try again later", False),
        (REQUEST, refusal(503, "Maintenance"), errors.HubUnavailable, "Maintenance", False),
        (REQUEST, Say(200, "<html>Login</html>"), errors.HubProtocolError, "<html>Login", False),
        (REQUEST, Say(200, '{"stage": "RUN'), errors.HubProtocolError, '"stage"', False),
        (REQUEST, Say(200, {"ok": True}), errors.HubProtocolError, "'stage'", False),
        (REQUEST, Say(200, ["list"]), errors.HubProtocolError, "JSON of the expected form", False),
        (
            calls.list_hardware(),
            Say(200, {"not": "a list"}),
            errors.HubProtocolError,
            "JSON of the expected form",
            False,
        ),
        (calls.get_runtime(SPACE), HTML, errors.HubProtocolError, "does not look like a Hub", False),
        (
            calls.add_secret(SPACE, "K", "v"),
            Say(200, "<html>", {"Content-Type": "text/html"}),
            errors.HubProtocolError,
            "does not look like a Hub",
            False,
        ),
    ],
)
def test_each_error_response_has_its_own_exception(
    call: calls.Call[Any], say: Say, kind: type[errors.HubError], expected: str, permanent: bool
) -> None:
    error = error_of(call, say)
    assert type(error) is kind
    assert expected in str(error)
    assert error.permanent is permanent
    assert error.status == say.status
    assert (error.method, error.path) == (call.method, call.path)
    if call.repo_id:
        assert error.repo_id == SPACE
        assert SPACE in str(error)
    assert "\n" not in str(error)


def test_without_a_token_a_401_does_not_claim_that_the_space_is_missing() -> None:
    error = error_of(calls.get_runtime(SPACE), refusal(401, "Invalid username or password."), token=None)
    assert isinstance(error, errors.HubAuthError)
    assert "may be private or may not exist" in str(error)


@pytest.mark.parametrize("call", [REQUEST, calls.whoami(), calls.get_secrets(SPACE), calls.get_logs(SPACE)])
def test_a_call_that_needs_a_token_is_not_sent_without_one(call: calls.Call[Any]) -> None:
    with StubHub() as stub, HubClient(None, stub.url) as client:
        with pytest.raises(errors.HubAuthError, match="needs a token, but no token is set"):
            client.send(call) if call.answer != "events" else list(client.lines(call))
        assert stub.requests == []


def test_an_error_contains_the_hubs_message_the_request_id_and_the_number_of_tries() -> None:
    say = Say(
        403,
        {"error": ["Only the owner", "of a Space can pause it"]},
        {"X-Error-Message": "Forbidden here", "X-Request-Id": "Root=1-67cae576"},
    )
    error = error_of(calls.pause(SPACE), say)
    assert error.hub_message == "Forbidden here; Only the owner; of a Space can pause it"
    assert error.request_id == "Root=1-67cae576"
    assert "request id Root=1-67cae576" in str(error)
    error.tries = 4
    assert "4 tries" in str(error)


def test_a_protocol_error_shows_the_first_200_characters_only() -> None:
    error = error_of(calls.get_runtime(SPACE), Say(200, "x" * 5000))
    assert "x" * 200 in str(error)
    assert "x" * 201 not in str(error)


@pytest.mark.parametrize(
    "say",
    [
        Say(400, {"error": f"bad value s3cr3t-value for {TOKEN}"}),
        Say(500, f"dump: s3cr3t-value {TOKEN}"),
        Say(200, f"<html>s3cr3t-value {TOKEN}</html>", {"Content-Type": "text/html"}),
        Say(403, {"error": "no"}, {"X-Error-Message": f"s3cr3t-value hf_someOtherToken1 {TOKEN}"}),
    ],
)
def test_no_error_holds_a_token_or_a_secret(say: Say) -> None:
    error = error_of(calls.add_secret(SPACE, "KEY", "s3cr3t-value"), say)
    for text in (str(error), repr(error), str(error.hub_message)):
        assert "s3cr3t" not in text
        assert TOKEN not in text
        assert "hf_someOtherToken1" not in text


@pytest.mark.parametrize("secret", ['say "s3cr3t"\nline two', "p@ss w/ord+", "schlüssel-größe", "it's\\back"])
def test_a_secret_is_masked_in_every_form_in_which_the_hub_echoes_it(secret: str) -> None:
    call = calls.add_secret(SPACE, "KEY", secret)
    echoes = [
        secret,
        json.dumps({"error": f"bad value {secret}"}),
        json.dumps({"error": json.dumps({"value": secret})}),
        json.dumps({"error": secret}, ensure_ascii=False),
        f"value {secret!r}",
        quote(secret),
        quote_plus(secret),
    ]
    for echo in echoes:
        expected = str(error_from_response(call, 400, {}, echo))
        for form in written_forms(secret):
            assert form not in expected
        assert "***" in expected


def test_clients_and_calls_do_not_show_their_secrets() -> None:
    assert TOKEN not in repr(HubClient(TOKEN))
    assert "s3cr3t" not in repr(calls.add_secret(SPACE, "KEY", "s3cr3t"))
    assert "s3cr3t" not in repr(calls.duplicate(SPACE, "a/b", secrets={"KEY": "s3cr3t"}))


def test_an_error_says_whether_the_request_may_have_taken_effect() -> None:
    assert error_of(REQUEST, refusal(500, "Oops")).outcome_unknown
    assert error_of(REQUEST, CUT).outcome_unknown
    assert error_of(REQUEST, Say(200, "<html>")).outcome_unknown
    assert not error_of(REQUEST, refusal(400, "No")).outcome_unknown
    assert not error_of(calls.get_runtime(SPACE), CUT).outcome_unknown


def test_an_error_survives_pickling() -> None:
    error = error_of(REQUEST, refusal(403, "No", X_Request_Id="r1"))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.request_id == "r1"


def test_a_successful_answer_raises_no_error() -> None:
    with StubHub(otherwise=Say(body=RUNTIME)) as stub, HubClient(TOKEN, stub.url) as client:
        assert client.send(REQUEST).stage == "RUNNING"


@pytest.mark.parametrize("position", [0, 480, 495, 499])
def test_a_secret_across_the_cut_of_a_long_message_is_masked(position: int) -> None:
    secret = "s3cr3t-" + "0123456789" * 10
    call = calls.add_secret(SPACE, "KEY", secret)
    text = "x" * position + secret + "y" * 600
    for status, body in [(400, json.dumps({"error": text})), (500, text), (403, text)]:
        error = error_from_response(call, status, {}, body, token=TOKEN)
        assert "s3cr3t" not in str(error)
        assert "s3cr3t" not in str(error.hub_message)


@pytest.mark.parametrize("name", ["x-request-id", "content-type", "x-error-message"])
def test_a_header_of_the_answer_shows_no_secret_and_no_line_break(name: str) -> None:
    secret = "p<4>ss&w'rd/ü"
    call = calls.add_secret(SPACE, "KEY", secret)
    for form in written_forms(secret) | {TOKEN, "hf_someOtherToken1"}:
        headers = {name: f"a\x1b[2J\u2028{form} b" + "c" * 500}
        for status in (200, 403, 500):
            error = (
                error_from_response(call, status, headers, "<html>", token=TOKEN)
                if status >= 400
                else protocol_error(call, status, headers, "<html>", token=TOKEN)
            )
            assert form not in str(error)
            assert "\x1b" not in str(error)
            assert "\u2028" not in str(error)
            assert len(str(error)) < 1500


def test_the_host_of_a_redirect_shows_no_secret() -> None:
    target = f"https://user:{TOKEN}@elsewhere.test/{TOKEN}?t={TOKEN}"
    error = error_of(calls.get_runtime(SPACE), Say(307, "", {"Location": target}))
    assert "https://elsewhere.test" in str(error)
    assert TOKEN not in str(error)


@pytest.mark.parametrize(
    ("text", "masked_text"),
    [
        ("token hf_AbCdEfGhIjKl0123 is bad", "token hf_*** is bad"),
        ("xhf_ hf_oauth_eyJhbGciOi.J9_x-y end", "xhf_ hf_oauth_*** end"),
        ("api_org_AbCdEfGhIj", "api_org_***"),
        ("pip install hf_transfer hf_xet", "pip install hf_transfer hf_xet"),
        ("hf_hub_download(repo_id)", "hf_hub_download(repo_id)"),
        ("HF_TOKEN=hf_abcdefghijklmnopqrst", "HF_TOKEN=hf_***"),
    ],
)
def test_tokens_of_others_are_masked_in_runtimes_and_logs(text: str, masked_text: str) -> None:
    frames = f"data: {json.dumps({'data': text})}\n\n"
    stream = Say(body=frames, headers={"Content-Type": "text/event-stream"})
    failure = Say(body={**RUNTIME, "stage": "RUNTIME_ERROR", "errorMessage": text})
    with StubHub(stream, failure) as stub, HubClient(TOKEN, stub.url) as client:
        assert list(client.lines(calls.get_logs(SPACE))) == [masked_text]
        assert client.send(calls.get_runtime(SPACE)).error_message == masked_text


def test_nothing_in_a_runtime_breaks_a_line_of_the_log_or_moves_its_cursor() -> None:
    forged_text = "x\n\x1b[31m2026-01-01 INFO forged\u202e"
    runtime = SpaceRuntime.from_payload(
        {
            "stage": forged_text,
            "hardware": {"current": forged_text, "requested": forged_text},
            "errorMessage": forged_text,
        }
    )
    assert describe(runtime).isprintable()
    entry = SpaceInfo.from_payload({"id": forged_text, "runtime": {"stage": forged_text}})
    assert entry.id.isprintable()
    assert entry.runtime is not None
    assert entry.runtime.stage.isprintable()


def test_every_error_survives_json() -> None:
    kinds = [getattr(errors, name) for name in errors.__all__ if isinstance(getattr(errors, name), type)]
    assert len(kinds) > 20
    for kind in set(kinds) - {errors.RegisteredError}:
        if issubclass(kind, errors.SpaceWaitError):
            runtime = SpaceRuntime.from_payload(RUNTIME)
            error: Exception = kind("It failed.", repo_id=SPACE, runtime=runtime, permanent=True)
        else:
            error = kind("It failed.")
        again = errors.error_from_dict(json.loads(json.dumps(errors.error_to_dict(error))))
        assert (type(again), str(again)) == (kind, "It failed.")
        assert getattr(again, "permanent", None) == getattr(error, "permanent", None)


def test_an_unknown_error_becomes_its_nearest_known_base() -> None:
    payload = errors.error_to_dict(errors.InvalidEndpoint("No host."))
    again = errors.error_from_dict({**payload, "kind": "InvalidElsewhere"})
    assert (type(again), str(again)) == (errors.InvalidInput, "No host.")
    alone = errors.error_from_dict({"kind": "Unknown", "message": "What?", "state": {}, "runtime": None})
    assert (type(alone), str(alone), alone.tries) == (errors.HubError, "What?", 1)  # type: ignore[attr-defined]


def test_an_invalid_connection_survives_json() -> None:
    from airflow_provider_hfspaces.hooks.connection import InvalidConnection

    error = InvalidConnection("There is no connection 'hf_gone'.")
    again = errors.error_from_dict(json.loads(json.dumps(errors.error_to_dict(error))))
    assert (type(again), str(again)) == (InvalidConnection, "There is no connection 'hf_gone'.")
