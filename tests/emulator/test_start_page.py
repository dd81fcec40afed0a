"""The start page of the emulator."""

from __future__ import annotations

import re

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.emulator.conftest import Ask

SPACE = "acme/whisper"


def test_the_page_loads_nothing_from_other_servers(hub: HubEmulator, ask: Ask) -> None:
    page = ask("GET", "/", token=None)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "/_emulator/fleet" in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_a_sleep_time_is_shown_in_the_units_that_people_use(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    hub.add_space("acme/gpu", hardware="t4-small", sleep_time=5400)
    hub.add_space("acme/always", hardware="t4-small")
    rows = {row["id"]: row["sleeps_after"] for row in ask("GET", "/_emulator/fleet").json()["rows"]}
    assert rows == {SPACE: "2 d", "acme/gpu": "1 h 30 min", "acme/always": "never"}
    assert "2 d" in ask("GET", f"/spaces/{SPACE}").text


def test_a_search_without_a_hit_says_so(hub: HubEmulator, ask: Ask) -> None:
    assert ask("GET", "/_emulator/fleet?q=x").json()["summary"] == "There are no Spaces yet."
    hub.add_space(SPACE)
    assert ask("GET", "/_emulator/fleet?q=nowhere").json()["summary"] == "No Space matches 'nowhere'."
    assert ask("GET", "/_emulator/fleet?q=whisper").json()["summary"] == "1 of 1 Space"


def test_a_narrow_window_cuts_nothing_off(ask: Ask) -> None:
    """Below 48rem each cell is a line of its own, labelled with the name of its column."""
    page = ask("GET", "/").text
    columns = re.findall(r"<th[^>]*>([^<]+)", page)
    assert len(columns) == 11
    for name in columns:
        assert f'cell("{name}"' in page
    assert "attr(data-label)" in page
    assert "overflow-x" not in page


def test_the_fleet_is_listed_with_the_most_expensive_space_first(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    hub.add_space("acme/gpu", hardware="a100-large")
    hub.add_space("acme/broken", stage="BUILD_ERROR")
    ask("POST", f"/api/spaces/{SPACE}/hardware", {"flavor": "t4-small"})
    hub.advance(60)
    fleet = ask("GET", "/_emulator/fleet").json()
    assert [row["id"] for row in fleet["rows"]] == ["acme/gpu", "acme/broken", SPACE]
    assert fleet["usd_per_hour"] == 2.5
    rows = {row["id"]: row for row in fleet["rows"]}
    assert rows["acme/broken"]["error"] == "Job failed with exit code: 1"
    assert rows[SPACE]["requested"] == "t4-small"
    assert fleet["requests"][0]["path"] == f"/api/spaces/{SPACE}/hardware"
    assert [row["id"] for row in ask("GET", "/_emulator/fleet?q=a100").json()["rows"]] == ["acme/gpu"]


def test_ten_thousand_spaces_are_listed(hub: HubEmulator, ask: Ask) -> None:
    for number in range(10_000):
        hub.add_space(f"acme/s{number}")
    fleet = ask("GET", "/_emulator/fleet").json()
    assert (fleet["spaces"], len(fleet["rows"])) == (10_000, 200)
    assert ask("GET", "/_emulator/fleet?q=s9999").json()["matching"] == 1
    assert len(ask("GET", "/api/spaces?author=acme&limit=1000").json()) == 1000


def test_each_space_shows_its_app_and_where_it_is(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE)
    hub.add_space("acme/real", app="http://127.0.0.1:7860")
    hub.add_space("acme/code", app=lambda scope, receive, send: None)
    hub.add_space("acme/api", sdk="docker")
    hub.add_space("acme/page", sdk="static")
    before = {row["id"]: row["app_url"] for row in ask("GET", "/_emulator/fleet").json()["rows"]}
    rows = {row["id"]: row for row in ask("GET", f"/_emulator/fleet?{space.app_url}").json()["rows"]}
    assert (before[SPACE], rows[SPACE]["app_url"]) == ("", space.app_url)
    assert {name: row["app"] for name, row in rows.items()} == {
        SPACE: "Gradio 6",
        "acme/real": "http://127.0.0.1:7860",
        "acme/code": "code",
        "acme/api": "plain HTTP",
        "acme/page": "files",
    }
    assert f"/apps/{SPACE}" in ask("GET", f"/spaces/{SPACE}").text
