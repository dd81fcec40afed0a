"""Lists of Spaces are decoded one entry after the other, and read as a whole list would be."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.errors import HubProtocolError
from airflow_provider_hfspaces.hub.http.client import HubClient
from tests.stub import Say, StubHub

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def stub() -> Iterator[StubHub]:
    with StubHub() as stub:
        yield stub


def read_entries(stub: StubHub, body: str) -> list[tuple[str, Any]]:
    """Returns the entries of a list with this body."""
    stub.otherwise = Say(200, body, JSON)
    with HubClient("hf_stubstubstub", stub.url) as client:
        return [
            (entry.repo_id, entry.payload)
            for page in client.pages(calls.list_runtimes(author="acme", limit=500))
            for entry in page
        ]


def a_value(draw: random.Random, depth: int = 0) -> Any:
    kinds = [None, True, -1.5e10, 7, "", 'a "quoted" ] , [ text', "ünïcode \u2028", [], {}]
    if depth < 3 and draw.random() < 0.5:
        return {f"k{number}": a_value(draw, depth + 1) for number in range(draw.randrange(4))}
    return draw.choice(kinds)


def test_entries_are_those_of_the_whole_list_however_it_is_written(stub: StubHub) -> None:
    draw = random.Random(5)
    for _ in range(30):
        entries = [{"id": f"acme/s{number}", "runtime": a_value(draw)} for number in range(draw.randrange(6))]
        separators = draw.choice([(",", ":"), (", ", ": "), (" ,\n\t", " :\r\n ")])
        body = json.dumps(entries, separators=separators, ensure_ascii=draw.random() < 0.5)
        space = draw.choice(["", " ", "\r\n\t "])
        assert read_entries(stub, f"{space}{body}{space}") == [(entry["id"], entry) for entry in entries]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("", "JSON"),
        ("{", "JSON"),
        ('{"id": "acme/x"}', "JSON of the expected form"),
        ("null", "JSON of the expected form"),
        ('[{"id": "acme/x"}', "JSON"),
        ('[{"id": "acme/x"},', "JSON"),
        ('[{"id": "acme/x"},]', "JSON"),
        ('[{"id": "acme/x"} {"id": "acme/y"}]', "JSON"),
        ('[{"id": "acme/x"}] and more', "JSON"),
        ('[{"name": "x"}]', "JSON with 'id'"),
        ("[3]", "JSON of the expected form"),
        ("[" * 100_000, "JSON of the expected form"),
    ],
)
def test_a_list_that_cannot_be_read_is_an_error_that_shows_its_beginning(
    stub: StubHub, body: str, problem: str
) -> None:
    with pytest.raises(HubProtocolError, match=f"instead of {problem}\\. The answer begins with"):
        read_entries(stub, body)


def test_an_entry_is_decoded_only_when_it_is_read(stub: StubHub) -> None:
    body = '[{"id": "acme/x", "runtime": {}}, {"id": "acme/y", "runtime": '
    stub.otherwise = Say(200, body, JSON)
    with HubClient("hf_stubstubstub", stub.url) as client:
        page = next(iter(client.pages(calls.list_runtimes(author="acme", limit=500))))
        assert next(page).repo_id == "acme/x"
        with pytest.raises(HubProtocolError):
            next(page)
