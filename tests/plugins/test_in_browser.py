"""What a user sees and clicks on the fleet page, in a headless Chromium with answers of the real server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.state.leases import LeaseOwner, variable_name
from tests.airflow_records import AirflowRecords
from tests.lease_tools import hold
from tests.plugins.conftest import Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom")
SCRIPTS = ("cells.js", "leases.js", "actions.js", "fleet.js")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

FRAME = """<script>
const answers = %s;
window.fetch = async (path) => {
  const { pathname, search } = new URL(path, "http://airflow.test/hf_spaces/");
  return new Response(JSON.stringify(answers[pathname + search] ?? { detail: pathname }));
};
</script>
<script>%s</script>
<script>
const seen = {};
const note = (name, selector) => {
  const elements = [...document.querySelectorAll(selector)];
  seen[name] = elements.filter((each) => each.checkVisibility()).map((each) => each.textContent);
};
setTimeout(() => {%s}, 1000);
setTimeout(() => document.body.append(make("pre", { id: "seen" }, JSON.stringify(seen))), 3000);
</script>
</body>"""

InBrowser = Callable[..., dict[str, list[str]]]


@pytest.fixture
def in_browser(hub: HubEmulator, page: Page, tmp_path: Path) -> InBrowser:
    """Opens the page in a browser and runs a script that notes the text of the elements that are visible.

    The answers are those of the real server, and ``more`` by the path of a request about the connection.
    """

    def show(
        script: str,
        runs: tuple[dict[str, Any], ...] = (),
        conn_id: str = "hf_spaces_default",
        more: dict[str, Any] | None = None,
    ) -> dict[str, list[str]]:
        of_connection = f"?connection_id={quote(conn_id, safe='!')}"
        paths = ["api/connections", *(f"api/{name}{of_connection}" for name in ("fleet", "leases", "spend"))]
        answers = {f"/hf_spaces/{path}": page.get(path).json() for path in paths}
        answers |= {f"/hf_spaces/{path}{of_connection}": answer for path, answer in (more or {}).items()}
        answers["/hf_spaces/api/runs"] = {"runs": [{"endpoint": hub.url, **each} for each in runs]}
        scripts = "\n".join(page.get(f"static/{name}").text for name in SCRIPTS)
        body = re.sub(r"<(script|link)[^>]*>(</script>)?", "", page.get("").text)
        document = tmp_path / "page.html"
        document.write_text(body.replace("</body>", FRAME % (json.dumps(answers), scripts, script)))
        html = subprocess.run(
            [str(CHROMIUM), *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", document.as_uri()],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout
        notes = re.search(r'<pre id="seen">(.*?)</pre>', html, re.DOTALL)
        assert notes, html[-2000:]
        return dict(json.loads(notes[1]))

    return show


def run_of(number: int) -> dict[str, Any]:
    return {
        "repo_id": "alice/whisper",
        "dag_id": f"dag_{number}",
        "run_id": f"run_{number}",
        "task_id": "upgrade",
        "state": "success",
        "at": f"2026-01-0{number + 1}T00:00:00+00:00",
    }


def test_runs_show_their_time_and_a_click_shows_the_runs_that_did_not_fit(
    hub: HubEmulator, in_browser: InBrowser
) -> None:
    hub.add_space("alice/whisper")
    notes = in_browser(
        "note('before', '.runs a'); note('times', '.runs time'); note('more', 'button.link');"
        "document.querySelector('button.link').click();"
        "note('after', '.runs a'); note('no more', 'button.link');",
        runs=tuple(run_of(number) for number in range(5)),
    )
    assert notes["before"] == ["dag_0 · success", "dag_1 · success"]
    assert notes["more"] == ["and 3 more"]
    assert notes["after"] == [f"dag_{number} · success" for number in range(5)]
    assert notes["no more"] == []
    assert len(notes["times"]) == 2
    assert all(re.fullmatch(r"\d+ d ago|\d+ h ago|\d+ min ago|just now", each) for each in notes["times"])


def test_a_search_on_the_page_that_finds_no_space_says_so(hub: HubEmulator, in_browser: InBrowser) -> None:
    hub.add_space("alice/whisper")
    notes = in_browser(
        "note('all', 'td.name a');"
        "document.getElementById('search').value = 'nowhere';"
        "document.getElementById('search').dispatchEvent(new Event('input'));"
        "setTimeout(() => { note('rows', 'td.name a'); note('message', '.none'); }, 1000);",
    )
    assert (notes["all"], notes["rows"]) == (["alice/whisper"], [])
    assert notes["message"] == ["No Space of connection hf_spaces_default matches “nowhere”."]


@pytest.mark.parametrize("conn_id", ["../up", "..", "a/b#1!"])
def test_the_page_shows_the_fleet_of_a_connection_with_any_id(
    hub: HubEmulator, in_browser: InBrowser, store_connection: Any, conn_id: str
) -> None:
    hub.add_space("acme/whisper")
    store_connection(conn_id, hub, namespace="acme")
    notes = in_browser("note('Spaces', 'td.name a');", conn_id=conn_id)
    assert "acme/whisper" in notes["Spaces"]


def test_the_page_shows_budgets_and_leases_and_releases_a_dead_lease_after_a_confirmation(
    hub: HubEmulator,
    in_browser: InBrowser,
    airflow_records: AirflowRecords,
    store_connection: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    monkeypatch.setattr(SimpleAuthManager, "get_authorized_dag_ids", lambda self, **details: {"nightly"})
    monkeypatch.setenv("AIRFLOW__HF_SPACES__MONTHLY_BUDGET", "6.5")
    store_connection("acme_only", hub, namespace="acme")
    airflow_records.dag("nightly")
    for name, state in (("alive", "running"), ("dead", "failed")):
        hub.add_space(f"acme/{name}", hardware="t4-small")
        holder = hold(f"acme/{name}", holder_id=("ab" if name == "alive" else "cd") * 16)
        airflow_records.run("nightly", name, state)
        owner = LeaseOwner("nightly", name, "gpu.snapshot")
        airflow_records.variable(variable_name(holder.holder_id), owner.to_dict())
    hub.advance(10 * 3600)
    notes = in_browser(
        "note('budget', '.budget p'); note('over', '.budget .over');"
        "const bar = document.querySelector('.bar');"
        "seen.bar = [bar.className, bar.getAttribute('aria-valuetext'), bar.firstChild.style.width];"
        "note('spaces', '.leases td.name'); note('runs', '.leases td:nth-child(2) a');"
        "note('cost', '.leases .costs'); note('state', '.leases .stage'); note('buttons', '.leases button');"
        "const release = document.querySelector('.leases button');"
        "const dialog = document.getElementById('confirm');"
        "seen.status = []; release.click(); seen.open = [dialog.open];"
        "dialog.querySelector('[value=no]').click(); seen.open.push(dialog.open); release.click();"
        "note('title', '#confirm-title'); note('text', '#confirm-text');"
        "new MutationObserver(() => seen.status.push(document.getElementById('status').textContent))"
        ".observe(document.getElementById('status'), { childList: true });"
        "document.getElementById('confirm-yes').click();",
        more={"api/release": {"released": {"repo_id": "acme/dead", "hardware": "cpu-basic"}}},
        conn_id="acme_only",
    )
    budget = r"acme: \$8\.\d\d of \$6\.50 this month, 12\d% \(the Hub's billing since .*"
    assert re.fullmatch(budget, notes["budget"][0]), notes["budget"]
    assert notes["over"] == ["The budget is spent."]
    assert (notes["bar"][0], notes["bar"][2]) == ("bar exceeded", "100%")
    assert re.fullmatch(r"\$8\.\d\d of \$6\.50, 12\d%", notes["bar"][1])
    assert notes["spaces"] == ["acme/dead", "acme/alive"]
    assert notes["runs"] == ["nightly · dead", "nightly · alive"]
    assert [each[:3] for each in notes["cost"]] == ["$0.", "$0."]
    assert notes["state"] == ["the run is over", "the run is at work"]
    assert notes["buttons"] == ["Release"]
    assert notes["title"] == ["Release acme/dead?"]
    assert "the run is over. The Space is restored" in notes["text"][0]
    assert notes["open"] == [True, False], "Cancel closes the question"
    assert notes["status"][0] == "Releasing acme/dead …"
    assert "The lease of acme/dead is released: the Space is set to cpu-basic." in notes["status"]
