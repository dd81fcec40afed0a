"""What a person sees who opens the emulator in a browser."""

from __future__ import annotations

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.emulator.conftest import Ask

SPACE = "acme/whisper"


def test_the_page_needs_nothing_from_elsewhere(hub: HubEmulator, ask: Ask) -> None:
    page = ask("GET", "/", token=None)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "/_emulator/fleet" in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_the_fleet_is_told_with_the_dearest_first(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    hub.add_space("acme/gpu", hardware="a100-large")
    hub.add_space("acme/broken", stage="BUILD_ERROR")
    ask("POST", f"/api/spaces/{SPACE}/hardware", {"flavor": "t4-small"})
    hub.advance(60)
    told = ask("GET", "/_emulator/fleet").json()
    assert [row["id"] for row in told["rows"]] == ["acme/gpu", "acme/broken", SPACE]
    assert told["usd_per_hour"] == 2.5
    rows = {row["id"]: row for row in told["rows"]}
    assert rows["acme/broken"]["error"] == "Job failed with exit code: 1"
    assert rows[SPACE]["requested"] == "t4-small"
    assert told["requests"][0]["path"] == f"/api/spaces/{SPACE}/hardware"
    assert [row["id"] for row in ask("GET", "/_emulator/fleet?q=a100").json()["rows"]] == ["acme/gpu"]


def test_ten_thousand_spaces_are_no_trouble(hub: HubEmulator, ask: Ask) -> None:
    for number in range(10_000):
        hub.add_space(f"acme/s{number}")
    told = ask("GET", "/_emulator/fleet").json()
    assert (told["spaces"], len(told["rows"])) == (10_000, 200)
    assert ask("GET", "/_emulator/fleet?q=s9999").json()["matching"] == 1
    assert len(ask("GET", "/api/spaces?author=acme&limit=1000").json()) == 1000
