"""The example writes a page about all Spaces except excluded ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run
from tests.conftest import HOME

pytestmark = pytest.mark.usefixtures("airflow_db")


def test_the_page_shows_paid_spaces_and_leaves_out_excluded_ones(hub: HubEmulator, tmp_path: Path) -> None:
    hub.add_space("acme/whisper", hardware="t4-small")
    hub.add_space("acme/whisper-production", hardware="a10g-small")
    page = tmp_path / "spaces.html"
    assert run(dag_file("cost_report").dag, {"page": str(page)})["dag"] == "success"
    text = page.read_text("utf-8")
    assert "acme/whisper" in text
    assert "$0.40" in text
    assert "whisper-production" not in text


@pytest.mark.parametrize(("file", "dag"), [("cost_report", "dag"), ("nightly_fleet", "morning")])
def test_a_page_is_written_below_airflows_home_by_default(file: str, dag: str) -> None:
    page = getattr(dag_file(file), dag).params["page"]
    assert page == str(HOME / "reports" / "spaces.html")
