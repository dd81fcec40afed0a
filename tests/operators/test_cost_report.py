"""The page on what an owner's Spaces cost."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_hfspaces.compat.imports import AIRFLOW_3, AirflowFailException, object_storage_path
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.emulator.faults.rules import Fault
from airflow_provider_hfspaces.operators.cost import SpacesCostReportOperator
from airflow_provider_hfspaces.reports.history import MAX_ENTRIES, History
from tests.airflow_tools import Try, connection
from tests.conftest import TaskLog
from tests.stub import Say, StubHub

HOUR = 3600
ELEMENT = '<script type="application/json" id="hf-spaces-history">'
Report = Callable[..., dict[str, Any]]


@pytest.fixture
def hub(still_hub: HubEmulator) -> HubEmulator:
    return still_hub


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "reports" / "cost.html"


@pytest.fixture
def report(page: Path) -> Report:
    """Run the operator on acme's Spaces, with further options."""

    def run(**options: Any) -> dict[str, Any]:
        operator = SpacesCostReportOperator(
            task_id="report", **{"author": "acme", "path": str(page), "allow_empty": True, **options}
        )
        result: dict[str, Any] = Try().run(operator)
        return result

    return run


class Page(HTMLParser):
    """A parsed page: its elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attributes)))

    def handle_data(self, text: str) -> None:
        self.words.append(text)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def links(self) -> list[str | None]:
        return [attributes["href"] for _, attributes in self.elements if "href" in attributes]


def restart(at: str, savings: float | None = 4.4, **fields: Any) -> dict[str, Any]:
    space = {"repo_id": "acme/a", "outcome": "restarted", "hourly_cost": 0.4, "saved": savings}
    return {
        "action": "restart",
        "dry_run": False,
        "at": at,
        "owner": "acme",
        "spaces": [space, {"repo_id": "acme/b", "outcome": "failed", "saved": None}],
        "saved": savings,
        "prices_as_of": at,
        **fields,
    }


def history(page: Path) -> History:
    return History.from_page(page.read_text())


# The contents


def test_the_totals_are_what_the_hub_bills(
    hub: HubEmulator, report: Report, page: Path, task_log: TaskLog
) -> None:
    hub.add_space("acme/gpu", hardware="a10g-small", replicas=2, sleep_time=900 * 60)
    hub.add_space("acme/cpu", hardware="cpu-upgrade", sleep_time=HOUR * 20)
    hub.add_space("acme/owl", hardware="t4-medium", stage="PAUSED")
    hub.add_space("acme/free")
    hub.add_space("other/gpu", hardware="a100-large")
    hub.advance(HOUR)
    bill = hub.bill("acme/gpu").total_usd + hub.bill("acme/cpu").total_usd
    result = report()
    fleet, billing = result["fleet"], result["billing"]
    assert fleet["hourly_cost"] == pytest.approx(bill, rel=1e-4)
    assert fleet["monthly_cost"] == pytest.approx(bill * 730, rel=1e-4)
    assert (fleet["spaces"], fleet["billed"], fleet["unknown"]) == (4, 2, 0)
    assert billing["billed"] == pytest.approx(bill)
    assert (billing["estimate"], billing["difference"]) == (billing["billed"], 0)
    assert json.loads(json.dumps(result)) == result
    assert (result["owner"], result["path"]) == ("acme", str(page))
    shown_page = Page(page.read_text())
    assert "$2.03 an hour now, estimated" in shown_page.text
    assert "$1,481.90 a month (730 h) if nothing changes, estimated" in shown_page.text
    assert "a10g-small, 1 Space $2.00 an hour" in shown_page.text
    assert "All 180 $2.03 $2.03 $0.00" in shown_page.text
    assert f"{hub.url}/spaces/acme/owl" in shown_page.links
    assert "other/gpu" not in shown_page.text
    assert fleet["prices_as_of"][:10] in shown_page.text
    log = task_log.text
    assert "cost $2.03 an hour" in log
    assert "acme/gpu" in log
    assert "a10g-small x 2" in log


def test_everything_is_in_one_file_for_light_and_dark(hub: HubEmulator, report: Report, page: Path) -> None:
    hub.add_space("acme/gpu", hardware="t4-small")
    report(savings=[restart("2026-11-21T07:00:00+00:00"), restart("2026-11-22T07:00:00+00:00")])
    report()
    text = page.read_text()
    shown_page = Page(text)
    names = [name for name, _ in shown_page.elements]
    assert "@media (prefers-color-scheme: dark)" in text
    assert {"name": "color-scheme", "content": "light dark"} in [each for _, each in shown_page.elements]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in [
        each for _, each in shown_page.elements
    ]
    assert sum("chart" in (each.get("class") or "") for _, each in shown_page.elements) == 3
    assert not {"img", "link", "iframe", "object", "form", "base"} & set(names)
    assert [each.get("type") for name, each in shown_page.elements if name == "script"] == [
        "application/json"
    ]
    assert not [
        each for _, each in shown_page.elements if "src" in each or any(key[:2] == "on" for key in each)
    ]
    assert "url(" not in text
    assert "@import" not in text
    assert all(str(link).startswith(f"{hub.url}/spaces/acme/") for link in shown_page.links)


def test_an_owner_may_be_allowed_to_have_no_spaces(hub: HubEmulator, report: Report, page: Path) -> None:
    hub.add_organization("acme", members={"alice": "admin"})
    result = report(allow_empty=True)
    assert (result["fleet"]["spaces"], result["fleet"]["hourly_cost"]) == (0, 0)
    assert "no Spaces that the token can see" in Page(page.read_text()).text


def test_an_unknown_price_does_not_count_as_zero(hub: HubEmulator, report: Report, page: Path) -> None:
    hub.add_space("acme/big", hardware="h200", sleep_time=HOUR)
    hub.add_space("acme/gpu", hardware="t4-small", sleep_time=HOUR)
    hub.advance(600)
    result = report()
    assert (result["fleet"]["hourly_cost"], result["fleet"]["unknown"]) == (0.4, 1)
    assert result["findings"] == [
        {"repo_id": "acme/big", "reasons": ["the Hub lists no price for h200"], "hourly_cost": None}
    ]
    assert result["billing"]["difference"] is None
    assert "1 at an unknown cost" in Page(page.read_text()).text


@pytest.mark.parametrize(
    ("include", "exclude", "repo_ids"),
    [
        ("*-gpu", None, {"acme/big-gpu", "acme/old-gpu"}),
        (["ACME/*"], ["old-*", ""], {"acme/big-gpu", "acme/cpu"}),
        (None, "acme/*", set()),
        ("['*-gpu', 'nothing']", "[co]*", {"acme/big-gpu"}),
    ],
)
def test_globs_select_spaces(
    hub: HubEmulator, report: Report, page: Path, include: Any, exclude: Any, repo_ids: set[str]
) -> None:
    for name in ("big-gpu", "old-gpu", "cpu"):
        hub.add_space(f"acme/{name}", hardware="cpu-upgrade")
    hub.advance(60)
    result = report(include=include, exclude=exclude)
    assert {each["repo_id"] for each in result["fleet"]["costing"]} == repo_ids
    assert {each["repo_id"] for each in result["billing"]["spaces"]} == repo_ids
    assert "Spaces that match" in Page(page.read_text()).text


def test_a_space_that_is_building_counts_with_its_cost_when_built(
    hub: HubEmulator, report: Report, page: Path, task_log: TaskLog
) -> None:
    hub.add_space("acme/owl", hardware="a100-large", stage="BUILDING")
    hub.add_space("acme/gpu", hardware="t4-small", stage="BUILDING", replicas=2, sleep_time=HOUR)
    hub.add_space("acme/free", stage="BUILDING")
    hub.add_space("acme/on", hardware="cpu-upgrade", sleep_time=HOUR)
    result = report()
    fleet = result["fleet"]
    assert (fleet["hourly_cost"], fleet["hourly_cost_when_started"]) == (0.03, 3.33)
    assert (fleet["billed"], fleet["starting"]) == (1, 2)
    assert fleet["monthly_cost"] == pytest.approx(3.33 * 730)
    assert {each["repo_id"] for each in fleet["costing"]} == {"acme/owl", "acme/gpu", "acme/on"}
    assert result["findings"] == [
        {"repo_id": "acme/owl", "reasons": ["has no sleep time and never sleeps"], "hourly_cost": 2.5}
    ]
    page_text = Page(page.read_text()).text
    assert "$3.33 an hour when the builds are done, estimated" in page_text
    assert "2 are building, and billed when the build is done" in page_text
    assert "a100-large, 1 Space $2.50 an hour when built, $0.00 now" in page_text
    assert "cost $0.03 an hour, $3.33 an hour when the builds are done" in task_log.text
    hub.advance(HOUR / 2)
    assert report()["fleet"]["hourly_cost"] == 3.33


# Spaces that look forgotten


def test_spaces_that_sleep_late_or_never_are_named(hub: HubEmulator, report: Report, page: Path) -> None:
    hub.add_space("acme/never", hardware="t4-small")
    hub.add_space("acme/hardly", hardware="cpu-upgrade", sleep_time=HOUR * 25)
    hub.add_space("acme/soon", hardware="cpu-upgrade", sleep_time=HOUR * 24)
    hub.add_space("acme/paused", hardware="a100-large", stage="PAUSED")
    hub.add_space("acme/free")
    reasons = {each["repo_id"]: each["reasons"] for each in report()["findings"]}
    assert reasons == {
        "acme/never": ["has no sleep time and never sleeps"],
        "acme/hardly": ["sleeps only after 1 day 1 h without a visitor"],
    }
    assert "Spaces that look forgotten $0.40 an hour acme/never" in Page(page.read_text()).text


def test_nothing_stands_out_if_all_spaces_sleep_soon(hub: HubEmulator, report: Report, page: Path) -> None:
    hub.add_space("acme/soon", hardware="t4-small", sleep_time=HOUR)
    assert report()["findings"] == []
    assert "Nothing stands out." in Page(page.read_text()).text


def test_a_gpu_that_was_billed_for_a_day_is_named(hub: HubEmulator, report: Report) -> None:
    hub.add_space("acme/gpu", hardware="t4-small", sleep_time=HOUR * 24, replicas=2)
    hub.add_space("acme/cpu", hardware="cpu-upgrade", sleep_time=HOUR * 24)
    for _ in range(5):
        hub.advance(HOUR * 6)
        for name in ("gpu", "cpu"):
            hub.space(f"acme/{name}").visit()
    (finding,) = report()["findings"]
    assert finding["repo_id"] == "acme/gpu"
    assert finding["reasons"] == ["on a GPU for at least 1 day 6 h"]


def test_a_gpu_in_every_report_since_yesterday_is_named(hub: HubEmulator, report: Report, page: Path) -> None:
    hub.add_space("acme/gpu", hardware="t4-small", sleep_time=HOUR)
    hub.add_space("acme/new", hardware="t4-small", sleep_time=HOUR)
    report(billing=False)
    on = vars(history(page).on["acme/gpu"])
    text = page.read_text()
    record = json.dumps({"acme/gpu": {**on, "since": "2020-01-01T00:00:00+00:00"}})
    page.write_text(text.replace(json.dumps({"acme/gpu": on})[1:-1], record[1:-1]))
    (finding,) = report(billing=False)["findings"]
    assert finding["repo_id"] == "acme/gpu"
    assert "on a GPU for" in finding["reasons"][0]
    assert history(page).on["acme/gpu"].since == "2020-01-01T00:00:00+00:00"


def test_the_time_on_hardware_begins_again_on_other_hardware(
    hub: HubEmulator, report: Report, page: Path
) -> None:
    hub.add_space("acme/gpu", hardware="t4-small", sleep_time=HOUR)
    report()
    before = history(page).on["acme/gpu"].since
    space = hub.space("acme/gpu")
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook

    HfSpacesHook().request_hardware("acme/gpu", "a10g-small", sleep_time=HOUR)
    hub.advance(1800)
    assert space.hardware == "a10g-small"
    report()
    now = history(page).on["acme/gpu"]
    assert now.hardware == "a10g-small"
    assert now.since > before
    HfSpacesHook().pause("acme/gpu")
    hub.advance(60)
    report()
    assert history(page).on == {}


def test_a_start_that_takes_hours_is_named(hub: HubEmulator, report: Report, page: Path) -> None:
    hub.add_space("acme/slow", hardware="t4-small", stage="APP_STARTING", sleep_time=HOUR)
    report()
    on = vars(history(page).on["acme/slow"])
    entry = {**on, "stage_since": "2020-01-01T00:00:00+00:00"}
    page.write_text(page.read_text().replace(json.dumps(on), json.dumps(entry)))
    (finding,) = report()["findings"]
    assert finding["reasons"][-1].startswith("starting for ")


def test_a_space_that_is_billed_although_it_is_off_is_named(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = {"stage": "RUNTIME_ERROR", "hardware": {"current": None, "requested": "t4-small"}}
    usage = {
        "label": "acme/gpu",
        "product": "spaces/t4-small/minutes",
        "quantity": 5,
        "totalCostMicroUSD": 33335,
        "active": True,
    }
    answers = [
        Say(body=[{"name": "t4-small", "unitCostMicroUSD": 6667, "unitLabel": "minute"}]),
        Say(body=[{"id": "acme/gpu", "runtime": dead}]),
        Say(body={"name": "acme"}),
        Say(body={"usage": {"Spaces": [usage]}}),
    ]
    with StubHub(*answers) as hub:
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub.url, "hf_x"))
        result = Try().run(SpacesCostReportOperator(task_id="report", author="acme", path=str(page)))
    (finding,) = result["findings"]
    assert finding["reasons"] == ["is RUNTIME_ERROR, but the Hub still bills t4-small"]


# Billed usage


@pytest.mark.parametrize(
    ("user", "role", "scopes"), [("bob", "write", None), ("alice", "fineGrained", {"acme": ["repo.write"]})]
)
def test_a_token_that_may_not_read_the_billing_gets_the_rest_of_the_page(
    hub: HubEmulator,
    report: Report,
    page: Path,
    monkeypatch: pytest.MonkeyPatch,
    user: str,
    role: str,
    scopes: dict[str, list[str]] | None,
) -> None:
    hub.add_organization("acme", members={"alice": "admin", "bob": "write"})
    hub.add_space("acme/gpu", hardware="t4-small")
    token = hub.add_token(user, role, scopes=scopes)
    monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub, token))
    result = report()
    assert result["billing"] is None
    assert result["fleet"]["hourly_cost"] == 0.4
    assert "The token may not read the billing of acme" in Page(page.read_text()).text


def test_without_a_token_the_public_spaces_are_reported(
    hub: HubEmulator, report: Report, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_space("acme/gpu", hardware="t4-small")
    hub.add_space("acme/secret", hardware="t4-small", private=True)
    plain = json.dumps({"conn_type": "hf_spaces", "host": hub.url})
    monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", plain)
    result = report()
    assert (result["fleet"]["spaces"], result["billing"]) == (1, None)
    assert "may not read the billing" in Page(page.read_text()).text


def test_the_page_says_that_the_billing_could_not_be_read(
    hub: HubEmulator, report: Report, page: Path, task_log: TaskLog
) -> None:
    hub.add_space("acme/gpu", hardware="t4-small")
    hub.faults.add(Fault("status", status=410, path="/billing/usage"))
    assert report()["billing"] is None
    assert "The billing of acme could not be read" in Page(page.read_text()).text
    assert "could not be read" in task_log.text


def test_a_users_own_billing_is_read_for_their_own_spaces(hub: HubEmulator, report: Report) -> None:
    hub.add_space("alice/gpu", hardware="t4-small")
    hub.advance(600)
    result = report(author="Alice")
    assert result["billing"]["billed"] == hub.bill().total_usd
    assert [each.path for each in hub.requests if "billing" in each.path] == ["/api/settings/billing/usage"]


def test_billing_false_sends_no_request_for_it(hub: HubEmulator, report: Report) -> None:
    hub.add_space("acme/gpu", hardware="t4-small")
    assert report(billing=False)["billing"] is None
    assert not [each for each in hub.requests if "billing" in each.path or "whoami" in each.path]


# Its history


def test_a_report_continues_the_history_of_the_last_one(hub: HubEmulator, report: Report, page: Path) -> None:
    hub.add_space("acme/gpu", hardware="t4-small")
    monday, tuesday = restart("2026-11-23T07:00:00+00:00"), restart("2026-11-24T07:00:00+00:00", 2.6)
    first = report(savings=monday)
    assert (first["savings_total"], first["savings_new"]) == (4.4, 4.4)
    again = report(savings=[monday, tuesday])
    assert (again["savings_total"], again["savings_new"]) == (7.0, 2.6)
    page_history = history(page)
    assert [each["at"] for each in page_history.fleet] == [first["at"], again["at"]]
    assert [each["saved"] for each in page_history.savings] == [4.4, 2.6]
    assert page_history.savings[0] == {"at": monday["at"], "saved": 4.4, "restarted": 1, "failed": 1}
    page_text = Page(page.read_text()).text
    assert "$7.00 saved by 2 pauses, estimated" in page_text
    assert "2 reports." in page_text


def test_dry_runs_and_other_owners_save_nothing(
    hub: HubEmulator, report: Report, page: Path, task_log: TaskLog
) -> None:
    hub.add_space("acme/gpu", hardware="t4-small")
    dry = restart("2026-11-23T07:00:00+00:00", dry_run=True)
    others = restart("2026-11-24T07:00:00+00:00", owner="other")
    assert report(savings=[dry, others, None])["savings_total"] == 0
    assert history(page).savings == ()
    assert "is not counted: it is about other" in task_log.text


@pytest.mark.parametrize("render", [json.dumps, str])
def test_a_report_may_come_as_a_template_renders_it(
    hub: HubEmulator, report: Report, render: Callable[[Any], str]
) -> None:
    assert report(savings=render(restart("2026-11-23T07:00:00+00:00")))["savings_total"] == 4.4
    assert report(savings="None")["savings_total"] == 4.4


def test_savings_without_a_sum_are_added_up(hub: HubEmulator, report: Report) -> None:
    without = restart("2026-11-23T07:00:00+00:00")
    without["saved"] = None
    assert report(savings=without)["savings_total"] == 4.4


def test_mapped_restarts_at_the_same_time_are_added_up(hub: HubEmulator, report: Report, page: Path) -> None:
    first = restart("2026-11-23T07:00:00+00:00")
    second = restart("2026-11-23T07:00:00+00:00", 2.6)
    assert report(savings=[first, second, first])["savings_total"] == 7
    assert report(savings=[second])["savings_total"] == 7
    (entry,) = history(page).savings
    assert (entry["saved"], entry["restarted"], entry["failed"]) == (7, 2, 2)


def test_a_history_has_a_maximum_length(hub: HubEmulator, report: Report, page: Path) -> None:
    reports = [
        restart(f"2025-{1 + day // 28:02d}-{1 + day % 28:02d}T0{half}:00:00+00:00", 1)
        for day in range(300)
        for half in (1, 2)
    ]
    report(savings=reports)
    page_history = history(page)
    assert len(page_history.savings) == MAX_ENTRIES
    assert page_history.savings[-1]["at"] == reports[-1]["at"]


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        ("", "it contains no history"),
        ("<html>Something else</html>", "it contains no history"),
        (
            '<script type="application/json" id="hf-spaces-history">{"owner": </script>',
            "its history cannot be read",
        ),
        ('<script type="application/json" id="hf-spaces-history">[]</script>', "its history cannot be read"),
        ("\ufffd\x00", "it contains no history"),
    ],
)
def test_a_page_without_a_readable_history_is_replaced_with_a_warning(
    hub: HubEmulator, report: Report, page: Path, task_log: TaskLog, content: str, warning: str
) -> None:
    page.parent.mkdir()
    page.write_text(content)
    result = report(savings=restart("2026-11-23T07:00:00+00:00"))
    assert result["savings_total"] == 4.4
    assert warning in task_log.text
    assert len(history(page).fleet) == 1


def test_unreadable_entries_are_dropped(
    hub: HubEmulator, report: Report, page: Path, task_log: TaskLog
) -> None:
    report(savings=[restart("2026-11-23T07:00:00+00:00"), restart("2026-11-24T07:00:00+00:00", 2.6)])
    page.write_text(page.read_text().replace('"saved": 4.4', '"saved": NaN'))
    assert report()["savings_total"] == 2.6
    assert "1 entries of its history" in task_log.text


def test_a_page_of_another_owner_is_replaced(
    hub: HubEmulator, report: Report, page: Path, task_log: TaskLog
) -> None:
    report(savings=restart("2026-11-23T07:00:00+00:00"))
    assert report(author="other")["savings_total"] == 0
    assert "a report about acme, not other" in task_log.text


def test_a_page_that_cannot_be_read_is_not_replaced(hub: HubEmulator, report: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="file"):
        report(path=str(tmp_path / "file" / "cost.html"))


def test_entries_with_impossible_numbers_and_years_are_dropped(
    hub: HubEmulator, report: Report, page: Path, task_log: TaskLog
) -> None:
    hub.add_space("acme/gpu", hardware="t4-small")
    good, impossible = {"saved": 4.4, "restarted": 1, "failed": 0}, {"restarted": 1, "failed": 0}
    savings = [
        {"at": "2026-11-23T07:00:00+00:00", **good},
        {"at": "0001-01-01T00:00:00+00:00", **good},
        {"at": "9999-12-31T00:00:00+00:00", **good},
        {"at": "2026-11-24T07:00:00+00:00", "saved": 10**400, **impossible},
        {"at": "2026-11-25T07:00:00+00:00", "saved": 1e308, **impossible},
        {"at": "2026-11-26T07:00:00+00:00", "saved": 1e308, **impossible},
    ]
    on = {"hardware": "t4-small", "since": "0001-01-01T00:00:00", "stage": "RUNNING", "stage_since": "x"}
    record = {"owner": "acme", "fleet": [], "savings": savings, "on": {"acme/gpu": on}}
    page.parent.mkdir()
    page.write_text(f"{ELEMENT}{json.dumps(record)}</script>")
    assert report()["savings_total"] == 4.4
    assert "6 entries of its history cannot be read" in task_log.text
    assert "$4.40 saved by 1 pause, estimated" in Page(page.read_text()).text
    assert report(savings=restart("2026-11-27T07:00:00+00:00"))["savings_total"] == 8.8


def test_mornings_that_restarted_nothing_are_not_counted_as_pauses(
    hub: HubEmulator, report: Report, page: Path
) -> None:
    empty = [restart(f"2026-11-2{day}T07:00:00+00:00", 0, spaces=[]) for day in (4, 5)]
    report(savings=[restart("2026-11-23T07:00:00+00:00"), *empty])
    assert "$4.40 saved by 1 pause, estimated" in Page(page.read_text()).text
    assert len(history(page).savings) == 1


# Hostile content


HOSTILE = (
    'acme/"><script>alert(1)</script><img src=x onerror=alert(2)>\u202e\ud800\n[INFO] all is well</script>'
)


def test_nothing_in_the_hubs_answers_becomes_markup(
    page: Path, monkeypatch: pytest.MonkeyPatch, task_log: TaskLog
) -> None:
    runtime = {
        "stage": "RUNNING<b>",
        "hardware": {"current": "t4-<i>", "requested": "t4-<i>"},
        "gcTimeout": 60,
        "errorMessage": "<svg onload=alert(3)>",
    }
    usage = {
        "label": "<script>alert(4)</script>/x",
        "product": "spaces/<u>/minutes",
        "quantity": 1,
        "totalCostMicroUSD": 1,
    }
    paid_runtime = {
        "stage": "RUNNING",
        "hardware": {"current": "t4-small", "requested": "t4-small"},
        "gcTimeout": 60,
    }
    price = {"name": "t4-small", "unitCostMicroUSD": 6667, "unitLabel": "minute"}
    answers = [
        Say(body=[price]),
        Say(
            body=[
                {"id": HOSTILE, "runtime": paid_runtime, "lastModified": "<script>"},
                {"id": "acme/b", "runtime": {**runtime, "hardware": None}},
                {"id": "acme/c", "runtime": runtime},
            ]
        ),
        Say(body={"name": "acme"}),
        Say(body={"usage": {"Spaces": [usage]}, "period": {"periodStart": "<b>"}}),
    ]
    with StubHub(*answers * 2) as hub:
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub.url, "hf_x"))
        for _ in range(2):
            Try().run(SpacesCostReportOperator(task_id="report", author="acme", path=str(page)))
    shown_page = Page(page.read_text())
    plain = {"html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "div", "b", "span"}
    plain |= {"section", "ul", "li", "br", "a", "small", "details", "summary", "footer", "script"}
    plain |= {"table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td"}
    plain |= {"svg", "text", "rect", "line", "path"}
    assert {name for name, _ in shown_page.elements} <= plain
    assert [each.get("type") for name, each in shown_page.elements if name == "script"] == [
        "application/json"
    ]
    assert not [each for _, each in shown_page.elements if {"src", "onerror", "onload"} & set(each)]
    assert all(str(link).startswith(f"{hub.url}/spaces/") for link in shown_page.links)
    assert "<script>alert(1)" in shown_page.text
    assert "\u202e" not in page.read_text()
    assert "alert(1)" in task_log.text
    assert not [line for line in task_log.text.splitlines() if line.startswith("[INFO]")]
    assert [each for each in history(page).on if "alert(1)" in each and each.isprintable()]
    assert len(history(page).fleet) == 2


def test_a_sleep_time_that_is_missing_in_the_list_is_read_from_the_space(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hardware = {"current": "t4-small", "requested": "t4-small"}
    brief = {"stage": "RUNNING", "hardware": hardware}
    price = {"name": "t4-small", "unitCostMicroUSD": 6667, "unitLabel": "minute"}
    answers = [
        Say(body=[price]),
        Say(
            body=[
                {"id": "acme/a", "runtime": brief},
                {"id": "acme/b", "runtime": {**brief, "stage": "PAUSED"}},
            ]
        ),
        Say(body={**brief, "gcTimeout": 60}),
    ]
    with StubHub(*answers) as hub:
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub.url, "hf_x"))
        operator = SpacesCostReportOperator(task_id="report", author="acme", path=str(page), billing=False)
        assert Try().run(operator)["findings"] == []
        assert [each.path for each in hub.requests][2:] == ["/api/spaces/acme/a/runtime"]


def test_one_space_with_an_unreadable_runtime_is_named_and_the_others_are_reported(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = {"stage": "RUNNING", "hardware": {"current": "t4-small", "requested": "t4-small"}}
    price = {"name": "t4-small", "unitCostMicroUSD": 6667, "unitLabel": "minute"}
    entries = [
        {"id": "acme/good", "runtime": {**running, "gcTimeout": 60}},
        {"id": "acme/odd", "runtime": {"stage": None}},
        {"id": "acme/text", "runtime": {"stage": "RUNNING", "hardware": "t4-small"}},
    ]
    with StubHub(Say(body=[price]), Say(body=entries)) as hub:
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub.url, "hf_x"))
        operator = SpacesCostReportOperator(task_id="report", author="acme", path=str(page), billing=False)
        result = Try().run(operator)
    assert [each["repo_id"] for each in result["findings"]] == ["acme/odd", "acme/text"]
    assert (result["fleet"]["hourly_cost"], result["fleet"]["unknown"]) == (0.4, 2)


# The file


@pytest.mark.parametrize(
    ("options", "mode"), [({}, 0o600), ({"mode": 0o640}, 0o640), ({"mode": "644"}, 0o644)]
)
def test_a_new_page_is_private_unless_a_mode_is_set(
    hub: HubEmulator, report: Report, page: Path, options: dict[str, Any], mode: int
) -> None:
    before = os.umask(0)
    try:
        report(**options)
    finally:
        os.umask(before)
    assert stat.S_IMODE(page.stat().st_mode) == mode


def test_a_mode_replaces_the_permissions_of_an_existing_page(
    hub: HubEmulator, report: Report, page: Path
) -> None:
    report()
    page.chmod(0o666)
    report(mode=0o600)
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


@pytest.mark.parametrize("where", ["page", "folder"])
def test_a_link_of_another_user_is_not_followed(
    hub: HubEmulator, report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    precious, link = tmp_path / "precious", tmp_path / "link"
    precious.mkdir()
    (precious / "page").write_text("precious")
    link.symlink_to(precious / "page" if where == "page" else precious)
    if os.geteuid() == 0:
        os.chown(link, 4711, 4711, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(AirflowFailException, match="owned by another user"):
        report(path=str(link if where == "page" else link / "page"))
    assert (precious / "page").read_text() == "precious"
    assert hub.requests == []


@pytest.mark.parametrize("make", ["pipe", "device", "socket"])
def test_a_path_to_anything_but_a_regular_file_is_refused_at_once(
    hub: HubEmulator, report: Report, tmp_path: Path, make: str
) -> None:
    path = tmp_path / "s"
    if make == "pipe":
        os.mkfifo(path)
    elif make == "socket":
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(str(path))
    else:
        path = Path("/dev/zero")
    with pytest.raises(AirflowFailException, match="is not a regular file"):
        report(path=str(path))
    assert hub.requests == []


def test_a_reader_sees_the_old_page_or_the_new_one(
    hub: HubEmulator, report: Report, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report()
    before = page.read_text()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        report()
    assert page.read_text() == before
    assert [each.name for each in page.parent.iterdir()] == ["cost.html"]


def test_the_link_and_the_permissions_of_a_page_stay(
    hub: HubEmulator, report: Report, tmp_path: Path
) -> None:
    link, target = tmp_path / "cost.html", tmp_path / "served" / "page.html"
    target.parent.mkdir()
    target.write_text("")
    target.chmod(0o640)
    link.symlink_to(target)
    report(path=str(link))
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert history(target).owner == "acme"


def test_a_page_may_be_in_any_storage_of_airflow(hub: HubEmulator, report: Report, tmp_path: Path) -> None:
    attach = import_module("airflow.sdk.io" if AIRFLOW_3 else "airflow.io.store").attach
    attach("memory", fs=MemoryFileSystem())
    url = f"memory://{tmp_path.name}/cost.html"
    report(path=url)
    report(path=url)
    assert len(History.from_page(object_storage_path(url).read_text()).fleet) == 2
    report(path=f"file://{tmp_path}/cost.html")
    assert history(tmp_path / "cost.html").owner == "acme"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"path": ""}, "is not the path of a file"),
        ({"path": "reports/"}, "is not the path of a file"),
        ({"path": "/"}, "is not the path of a file"),
        ({"path": "."}, "is a folder"),
        ({"path": "nowhere://x/y.html"}, "nowhere://x/y.html"),
        (
            {"savings": {"action": "pause", "at": "2026-11-23T07:00:00+00:00", "spaces": []}},
            "savings must be",
        ),
        ({"savings": 5}, "savings must be"),
        ({"savings": "{{ nothing }}"}, "savings must be"),
        ({"savings": restart("yesterday")}, "savings must be"),
        ({"savings": restart("2026-11-23T07:00:00+00:00", float("nan"))}, "savings must be"),
        ({"include": 5}, "include must be a list of non-empty strings"),
        ({"exclude": [5]}, "exclude must be a list of non-empty strings"),
        ({"mode": "rw"}, "mode='rw' is not a file mode"),
        ({"mode": 0o1777}, "is not a file mode"),
        ({"savings": restart("2026-11-23T07:00:00+00:00", 10**400)}, "savings must be"),
        ({"savings": restart("0001-01-01T00:00:00+00:00")}, "savings must be"),
        ({"author": "a/b"}, "not a valid name of a user or an organization"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(
    hub: HubEmulator, report: Report, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(AirflowFailException, match=message):
        report(**wrong)
    assert hub.requests == []


def test_a_rejected_token_fails_without_retries(
    hub: HubEmulator, report: Report, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub, "hf_wrong"))
    with pytest.raises(AirflowFailException):
        report()
    assert not page.exists()


# The owner


def test_an_owner_for_whom_the_hub_lists_nothing_fails(hub: HubEmulator, report: Report, page: Path) -> None:
    hub.add_space("acme/gpu", hardware="t4-small")
    with pytest.raises(AirflowFailException, match="author='acmee': the Hub lists no Spaces"):
        report(author="acmee", allow_empty=False)
    assert not page.exists()


def test_without_an_author_the_connection_or_the_token_names_the_owner(
    hub: HubEmulator, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert report(author=None)["owner"] == "alice"
    monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub, namespace="acme"))
    assert report(author="")["owner"] == "acme"
    monkeypatch.setenv(
        "AIRFLOW_CONN_HF_SPACES_DEFAULT", json.dumps({"conn_type": "hf_spaces", "host": hub.url})
    )
    with pytest.raises(AirflowFailException, match="author is missing"):
        report(author=None)


def test_path_owner_and_savings_are_templates(hub: HubEmulator, page: Path) -> None:
    operator = SpacesCostReportOperator(
        task_id="report",
        path=f"{page.parent}/{{{{ owner }}}}-{{{{ ds }}}}.html",
        author="{{ owner }}",
        savings="{{ morning }}",
        allow_empty=True,
    )
    morning = restart("2026-11-23T07:00:00+00:00")
    operator.render_template_fields({"owner": "acme", "ds": "2026-11-23", "morning": morning})
    result = Try().run(operator)
    assert result["savings_total"] == 4.4
    assert Path(result["path"]).name == "acme-2026-11-23.html"
    assert Path(result["path"]).exists()
