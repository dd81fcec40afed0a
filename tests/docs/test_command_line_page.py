"""The page on the command line names what the commands have."""

from __future__ import annotations

import re

from airflow_provider_hfspaces.cli.commands import FAILED, INTERRUPTED, SUCCEEDED, USAGE_ERROR
from airflow_provider_hfspaces.cli.options import COMMANDS
from airflow_provider_hfspaces.state.lease_states import LeaseState
from tests.docs.pages import DOCS, table

PAGE = DOCS / "command_line.md"
TEXT = PAGE.read_text("utf-8")


def test_every_command_and_every_option_is_on_the_page_and_no_other() -> None:
    options = {flag for command in COMMANDS for option in command.options for flag in option.flags}
    assert {each for each in options if each.startswith("--")} == set(re.findall(r"--[a-z][a-z-]+", TEXT))
    commands = set(re.findall(r"airflow hf-spaces ([a-z]+)", TEXT))
    assert commands <= {command.name for command in COMMANDS}
    assert " | ".join(command.name for command in COMMANDS) in TEXT


def test_every_state_of_a_lease_is_explained() -> None:
    explanations = {
        state.strip("`"): release.startswith("yes")
        for state, _, release in table(PAGE, "See and release leases")
    }
    assert explanations == {state.value: state.is_left_behind for state in LeaseState}


def test_the_exit_codes_are_those_of_the_commands() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}
    assert codes == {SUCCEEDED, FAILED, USAGE_ERROR, INTERRUPTED}
