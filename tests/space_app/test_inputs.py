"""Inputs that do not fit what the app declares are refused before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_hfspaces.hub import InvalidInput
from airflow_provider_hfspaces.space_app import InvalidAppInput, SpaceApp, UnknownEndpoint
from tests.space_app.conftest import SPACE, TOKEN, Caller
from tests.space_app.gradio_app import GradioApp

Made = Callable[..., Caller]


@pytest.mark.parametrize(
    ("api", "inputs", "words"),
    [
        ("/echo", {}, "missing: 'text'. Expected: /echo\\(text\\)"),
        ("/echo", None, "missing: 'text'"),
        ("/echo", {"txt": "a"}, "missing: 'text'; unexpected: 'txt'"),
        ("/echo", {"text": "a", "more": 1}, "unexpected: 'more'"),
        ("/echo", ["a", "b"], "unexpected: 2 values for 1 parameters"),
        ("/echo", {"text": 3}, "'text' must be a text; got 3"),
        ("/echo", "hello", "inputs of /echo must be a mapping of names to values, or a list"),
        ("/add", {"a": "3"}, "'a' must be a number; got '3'"),
        ("/add", {"a": True}, "'a' must be a number; got True"),
        ("/add", {"b": 2}, "missing: 'a'"),
        ("/count", [1.5], "'whole' must be a whole number; got 1.5"),
        ("/count", [1, "yes"], "'sure' must be True or False; got 'yes'"),
        ("/choose", ["green"], "'color' must be one of 'red', 'blue'; got 'green'"),
        ("/upper", ["/etc/hostname"], "'file' must be a file \\(a path, an address, or a mapping"),
        ("/gallery", ["a.png"], "'files' must be a list"),
        ("/gallery", [["a.png"]], "'files' must be a list, each value a file"),
        ("/nameless", {"x": "a"}, "its parameters have no names, so give inputs as a list"),
        ("/nameless", ["a"], r"missing: number 2 \(Value\)"),
        ("/nested", [["a"]], "'pair' must be a list, each value a number"),
        ("/anything", [float("nan")], "'value' of /anything cannot be sent as JSON"),
        ("/anything", [{"a": object()}], "cannot be sent as JSON: object is neither JSON nor a file"),
    ],
)
def test_inputs_that_do_not_fit_are_named_and_nothing_is_sent(
    client: Made, gradio: GradioApp, api: str, inputs: Any, words: str
) -> None:
    app = client(gradio.url)
    with pytest.raises(InvalidAppInput, match=words) as excinfo:
        app.call(api, inputs)
    assert isinstance(excinfo.value, ValueError)
    assert isinstance(excinfo.value, InvalidInput)
    assert (excinfo.value.permanent, excinfo.value.may_have_run) == (True, False)
    with pytest.raises(InvalidAppInput, match=words):
        app.check(api, inputs)
    assert {each.method for each in gradio.requests} == {"GET"}


@pytest.mark.parametrize(
    ("api", "inputs"),
    [
        ("/echo", {"text": None}),
        ("/add", [3.0]),
        ("/count", [2.0, True]),
        ("/choose", ["red"]),
        ("/suggest", ["green"]),
        ("/anything", [{"a": [1, None, "é"]}]),
        ("/anything", [[1, {"b": True}]]),
        ("/nested", [None]),
        ("/nested", [[1, 2.5]]),
        ("/nameless", ["a", 1]),
        ("/upper", [{"path": "/tmp/x", "meta": {"_type": "gradio.FileData"}}]),
    ],
)
def test_inputs_that_fit_are_accepted(client: Made, gradio: GradioApp, api: str, inputs: Any) -> None:
    client(gradio.url).check(api, inputs)


@pytest.mark.parametrize(
    ("api", "words"),
    [
        ("/ecko", "api '/ecko' is not an endpoint of Space acme/caption. Did you mean '/echo'?"),
        ("Echo", "Did you mean '/echo'?"),
        ("/zzz", r"is not an endpoint of Space acme/caption. It offers: /echo\(text\), /add\(a, b=1\)"),
        ("/undocumented", "is not documented by the app, and may change without notice"),
        (999, "api '999' is not an endpoint"),
    ],
)
def test_an_unknown_endpoint_names_the_nearest_and_all_others(
    client: Made, gradio: GradioApp, api: Any, words: str
) -> None:
    with pytest.raises(UnknownEndpoint, match=words):
        client(gradio.url).call(api, ["x"])
    assert {each.method for each in gradio.requests} == {"GET"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"api": ""}, "api must be the name of an endpoint"),
        ({"api": None}, "api must be the name of an endpoint"),
        ({"timeout": 0}, "timeout must be a number of seconds"),
        ({"timeout": "soon"}, "timeout must be a number of seconds"),
        ({"patience": -1}, "patience must be a number of seconds"),
    ],
)
def test_a_call_that_cannot_be_right_sends_nothing_at_all(
    client: Made, gradio: GradioApp, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        client(gradio.url).call(**{"api": "/echo", "inputs": ["x"], **options})
    assert gradio.requests == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"repo_id": "caption"}, "names no owner"),
        ({"host": ""}, "host must be the address"),
        ({"host": "http://acme-caption.hf.space"}, "unencrypted"),
        ({"host": "https://acme-caption.hf.space/app"}, "Set root for an app under a path"),
        ({"host": "https://u:p@acme-caption.hf.space"}, "user name or a password"),
        ({"host": "ftp://acme-caption.hf.space"}, "https://host"),
        ({"token": "hf_a b"}, "no token has"),
        ({"bearer": TOKEN}, "bearer must not be the Hugging Face token"),
        ({"auth": "me"}, "auth must be two strings: a user name and a password"),
        ({"connections": 0}, "connections must be a whole number"),
        ({"replicas": 0}, "replicas must be a whole number"),
    ],
)
def test_a_client_that_could_not_work_or_would_leak_the_token_is_refused(
    options: dict[str, Any], words: str
) -> None:
    settings = {"repo_id": SPACE, "host": "https://acme-caption.hf.space", "token": TOKEN, **options}
    with pytest.raises(InvalidInput, match=words) as excinfo:
        SpaceApp(**settings)
    assert TOKEN not in str(excinfo.value)


def test_a_host_without_a_scheme_is_encrypted() -> None:
    assert SpaceApp(SPACE, "acme-caption.hf.space").host == "https://acme-caption.hf.space"


def test_a_public_address_is_given_to_the_app_as_a_file(client: Made, gradio: GradioApp) -> None:
    app = client(gradio.url)
    address = "https://example.com/pics/cat.png?size=1"
    app.call("/upper", {"file": address})
    app.call("/gallery", [[address]])
    expected = {"path": address, "orig_name": "cat.png", "meta": {"_type": "gradio.FileData"}}
    assert gradio.requests_named("POST /gradio_api/call/upper")[0].json["data"] == [expected]
    assert gradio.requests_named("POST /gradio_api/call/gallery")[0].json["data"] == [[expected]]
    assert gradio.requests_named("POST /gradio_api/upload") == []


def test_a_path_that_cannot_be_read_is_named_and_nothing_is_sent(
    client: Made, gradio: GradioApp, tmp_path: Path
) -> None:
    with pytest.raises(InvalidAppInput, match=r"input file cannot be read: .*missing\.wav"):
        client(gradio.url).call("/upper", [tmp_path / "missing.wav"])
    assert {each.method for each in gradio.requests} == {"GET"}
