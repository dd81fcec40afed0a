"""A health check says which answer of an app counts, and what is wrong with any other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.space_app.health_check import HealthCheck


@pytest.mark.parametrize(
    ("value", "check"),
    [
        (None, None),
        (False, None),
        (True, HealthCheck("/")),
        ("/health?deep=1", HealthCheck("/health?deep=1")),
        ({"path": "/health"}, HealthCheck("/health")),
        ({"status": 204}, HealthCheck("/", status=(204,))),
        ({"status": [200, 503]}, HealthCheck("/", status=(200, 503))),
        ({"path": "/h", "json": {"a": [1]}, "text": "ok"}, HealthCheck("/h", json={"a": [1]}, text="ok")),
    ],
)
def test_every_form_of_the_argument_is_understood(value: Any, check: HealthCheck | None) -> None:
    assert HealthCheck.from_value(value) == check


@pytest.mark.parametrize(
    "value",
    [
        "health",
        "//evil.test/health",
        "https://evil.test/",
        "/a b",
        "/a#b",
        "/line\nbreak",
        1,
        [],
        {},
        {"url": "/health"},
        {"path": 3},
        {"status": "200"},
        {"status": 99},
        {"status": True},
        {"status": []},
        {"text": ""},
        {"text": 5},
        {"json": object()},
        {"json": float("nan"), "path": "x"},
    ],
)
def test_any_other_value_is_refused_in_one_sentence(value: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^health"):
        HealthCheck.from_value(value)


@pytest.mark.parametrize(
    ("expected", "check"),
    [
        (None, HealthCheck("/h")),
        (200, HealthCheck("/h", status=200)),
        ("ready", HealthCheck("/h", text="ready")),
        ({"json": {"ready": True}}, HealthCheck("/h", json={"ready": True})),
    ],
)
def test_every_form_of_expect_is_understood(expected: Any, check: HealthCheck) -> None:
    assert HealthCheck.from_expected("/h", expected) == check


@pytest.mark.parametrize("expected", [True, [], {}, {"path": "/x"}, {"status": 1}, 2.5])
def test_any_other_expect_is_refused(expected: Any) -> None:
    with pytest.raises(InvalidInput):
        HealthCheck.from_expected("/h", expected)


@pytest.mark.parametrize(
    ("check", "status", "body", "reason"),
    [
        (HealthCheck(), 200, "<html>", None),
        (HealthCheck(), 307, "", None),
        (HealthCheck(), 404, "", "HTTP 404"),
        (HealthCheck(), 503, "Preparing Space", "HTTP 503"),
        (HealthCheck(status=503), 503, "", None),
        (HealthCheck(status=(200, 204)), 201, "", "HTTP 201"),
        (HealthCheck(text="ready"), 200, "all ready", None),
        (HealthCheck(text="ready"), 200, "loading", "HTTP 200, without 'ready' in its text"),
        (HealthCheck(json={"a": 1}), 200, "<html>", "HTTP 200, which is not JSON"),
        (HealthCheck(json={"a": 1}), 200, "[" * 100_000, "HTTP 200, which is not JSON"),
        (HealthCheck(json={"a": 1}), 200, '{"a": 1.0, "b": 2}', None),
        (HealthCheck(json={"a": 1}), 200, '{"a": true}', "HTTP 200, in which a is True and not 1"),
        (HealthCheck(json={"a": True}), 200, '{"a": 1}', "HTTP 200, in which a is 1 and not True"),
        (HealthCheck(json={"a": {"b": "x"}}), 200, '{"a": {}}', "HTTP 200, in which a.b is missing"),
        (HealthCheck(json={"a": {"b": 1}}), 200, '{"a": 1}', "HTTP 200, in which a is not an object"),
        (HealthCheck(json=[1, 2]), 200, "[1, 2]", None),
        (HealthCheck(json=[1, 2]), 200, "[2, 1]", "HTTP 200, in which the value is [2, 1] and not [1, 2]"),
    ],
)
def test_an_answer_is_judged(check: HealthCheck, status: int, body: str, reason: str | None) -> None:
    assert check.judge(status, body.encode()) == reason


def test_a_token_in_an_answer_is_not_shown() -> None:
    reason = HealthCheck(json={"key": "x"}).judge(200, b'{"key": "hf_ABCDEFGHIJKLMNOPQRSTUV"}')
    assert reason == "HTTP 200, in which key is 'hf_***' and not 'x'"


def test_a_check_survives_storage_as_json() -> None:
    check = HealthCheck("/h", status=(200, 204), json={"a": [1, {"b": None}]}, text="ok")
    assert HealthCheck.from_value(json.loads(json.dumps(check.to_dict()))) == check
    assert hash(check) == hash(HealthCheck.from_value(check.to_dict()))
