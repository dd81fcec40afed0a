"""The commands that list, pause and restart Spaces, and show what they cost."""

from __future__ import annotations

import json

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_records import AirflowRecords
from tests.cli.conftest import Run
from tests.lease_tools import hold


def changes(hub: HubEmulator) -> list[str]:
    """The requests that change something."""
    return [f"{each.method} {each.path}" for each in hub.requests if each.method != "GET"]


def test_list_shows_each_space_with_stage_hardware_and_cost(run: Run) -> None:
    result = run("list", "--author", "acme", "-o", "json")
    assert result.code == 0, result.err
    assert [
        (each["space"], each["stage"], each["hardware"], each["usd_per_hour"]) for each in result.rows
    ] == [
        ("acme/demo", "RUNNING", "cpu-basic", 0.0),
        ("acme/night-owl", "PAUSED", "t4-medium", 0.0),
        ("acme/whisper", "RUNNING", "t4-small", 0.4),
    ]
    assert result.rows[2]["sleep_time"] == 3600


@pytest.mark.parametrize("form", ["table", "plain", "yaml"])
def test_each_output_format_names_the_selected_spaces_only(run: Run, form: str) -> None:
    result = run("list", "--author", "acme", "--stage", "PAUSED", "--output", form)
    assert result.code == 0, result.err
    assert "acme/night-owl" in result.out
    assert "acme/whisper" not in result.out


def test_named_spaces_are_listed_and_a_missing_one_is_an_error(run: Run) -> None:
    result = run("list", "acme/whisper", "acme/missing", "-o", "json")
    assert [each["space"] for each in result.rows] == ["acme/whisper"]
    assert result.code == 1
    assert "Space acme/missing was not found" in result.err


def test_without_an_owner_the_spaces_of_the_tokens_owner_are_listed(run: Run, fleet: HubEmulator) -> None:
    fleet.add_space("alice/own")
    assert [each["space"] for each in run("list", "-o", "json").rows] == ["alice/own"]


def test_cost_shows_what_costs_money_and_the_sum(run: Run) -> None:
    result = run("cost", "--author", "acme", "-o", "json")
    assert [(each["space"], each["usd_per_hour"]) for each in result.rows] == [("acme/whisper", 0.4)]
    assert "3 Spaces cost $0.40 an hour, $292.00 a month" in result.err
    by_hardware = run("cost", "--author", "acme", "--by", "hardware", "-o", "json").rows
    assert by_hardware[0] == {
        "hardware": "t4-small",
        "spaces": 1,
        "billed": 1,
        "usd_per_hour": 0.4,
        "usd_per_hour_when_built": 0.4,
        "unknown_prices": 0,
    }


def test_pause_needs_confirmation(run: Run, fleet: HubEmulator) -> None:
    refusal = run("pause", "acme/whisper")
    assert refusal.code == 2
    assert "stdin is not a terminal. Add --yes or --dry-run." in refusal.err
    after_no = run("pause", "acme/whisper", keystrokes="n\n")
    assert after_no.code == 1
    assert "Pause 1 Space? (y/n)" in after_no.err
    assert changes(fleet) == []


def test_a_confirmed_pause_changes_exactly_the_spaces_that_were_shown(run: Run, fleet: HubEmulator) -> None:
    result = run("pause", "--author", "acme", "-o", "json", keystrokes="y\n")
    assert result.code == 0, result.err
    assert {each["space"]: each["outcome"] for each in result.rows} == {
        "acme/demo": "paused",
        "acme/whisper": "paused",
    }
    assert "already paused" in result.err
    assert sorted(changes(fleet)) == [
        "POST /api/spaces/acme/demo/pause",
        "POST /api/spaces/acme/whisper/pause",
    ]


def test_a_dry_run_shows_what_would_be_restarted_and_changes_nothing(run: Run, fleet: HubEmulator) -> None:
    result = run("restart", "--author", "acme", "--dry-run", "-o", "json")
    assert [each["space"] for each in result.rows if each["outcome"] == "would be restarted"] == [
        "acme/night-owl"
    ]
    assert result.code == 0
    assert changes(fleet) == []


def test_restart_starts_what_a_recorded_pause_has_stopped(
    run: Run, fleet: HubEmulator, airflow_records: AirflowRecords
) -> None:
    assert run("pause", "acme/whisper", "--report-to", "lunch", "--yes").code == 0
    assert fleet.space("acme/whisper").stage == "PAUSED"
    result = run("restart", "--report-from", "lunch", "--yes", "-o", "json")
    assert result.code == 0, result.err
    assert [(each["space"], each["outcome"]) for each in result.rows] == [("acme/whisper", "restarted")]
    assert fleet.space("acme/night-owl").stage == "PAUSED"


def test_a_leased_space_is_left_alone_unless_leases_are_ignored(run: Run, fleet: HubEmulator) -> None:
    hold("acme/whisper")
    before = len(changes(fleet))
    refusal = run("pause", "acme/whisper", "--yes", "-o", "json")
    assert refusal.code == 1
    assert refusal.rows[0]["reason"].startswith("leased by another Airflow or script")
    assert len(changes(fleet)) == before
    assert run("pause", "acme/whisper", "--yes", "--ignore-leases").code == 0
    assert fleet.space("acme/whisper").stage == "PAUSED"


def test_a_space_that_the_hub_does_not_pause_fails_the_command_and_stops_no_other(
    run: Run, fleet: HubEmulator
) -> None:
    fleet.faults.add(kind="status", status=403, method="POST", path="/whisper/pause")
    result = run("pause", "--author", "acme", "--yes", "-o", "json")
    assert result.code == 1
    assert {each["space"]: each["outcome"] for each in result.rows} == {
        "acme/demo": "paused",
        "acme/night-owl": "left alone",
        "acme/whisper": "failed",
    }
    assert "Space acme/whisper:" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pause"], "No Space is selected. Name Spaces, or select them with --author."),
        (["pause", "acme/demo", "--author", "acme"], "not both"),
        (["restart", "acme/demo", "--report-from", "lunch"], "exclude each other"),
        (["list", "--stage", "ASLEEP"], "stage 'ASLEEP' is not valid"),
        (["list", "acme/whi sper"], "'acme/whi sper' is not a valid repo_id"),
        (
            ["list", "--conn-id", "missing"],
            "Connection 'missing' does not exist in this Airflow. Check --conn-id.",
        ),
        (["list", "--output", "xml"], "invalid choice: 'xml'"),
        (["launch"], "invalid choice: 'launch'"),
    ],
)
def test_wrong_use_is_explained_and_sends_nothing_that_changes_a_space(
    run: Run, fleet: HubEmulator, arguments: list[str], message: str
) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert message in result.err
    assert result.out == ""
    assert changes(fleet) == []


def test_an_error_of_the_hub_is_one_sentence(run: Run, fleet: HubEmulator) -> None:
    refusal = run("list", "--author", "acme", HF_TOKEN="hf_notAvalidTOKEN12345")
    assert refusal.code == 1
    assert refusal.out == ""
    assert "hf_notAvalidTOKEN12345" not in refusal.err
    assert len(refusal.err.splitlines()) == 1
    misspelt = run("list", "--author", "acmee")
    assert misspelt.code == 1
    assert "author='acmee': the Hub lists no Spaces" in misspelt.err


def test_a_connection_of_airflow_is_used_by_its_id_and_has_a_default_owner(
    run: Run, fleet: HubEmulator
) -> None:
    connection = {
        "conn_type": "hf_spaces",
        "host": fleet.url,
        "password": fleet.token,
        "extra": {"namespace": "acme"},
    }
    settings = {"HF_TOKEN": "", "AIRFLOW_CONN_OTHER": json.dumps(connection)}
    result = run("list", "whisper", "--conn-id", "other", "-o", "json", **settings)
    assert [each["space"] for each in result.rows] == ["acme/whisper"], result.err
    assert len(run("list", "--conn-id", "other", "-o", "json", **settings).rows) == 3


@pytest.mark.slow
def test_commands_that_need_only_the_token_work_without_a_database(run_without_database: Run) -> None:
    for command in (["list"], ["cost"], ["pause", "--yes"], ["restart", "--yes"]):
        result = run_without_database(*command, "--author", "acme")
        assert result.code == 0, result.err
