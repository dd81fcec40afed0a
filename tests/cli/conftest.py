"""The commands, each in a process of its own, with the token of an emulated Hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_records import airflow_records  # noqa: F401
from tests.cli.forking import CommandResult, Commands

Run = Callable[..., CommandResult]


@pytest.fixture(scope="session")
def commands(airflow_db: None) -> Iterator[Commands]:
    commands = Commands()
    yield commands
    commands.close()


@pytest.fixture(scope="session")
def commands_without_database() -> Iterator[Commands]:
    commands = Commands(AIRFLOW__DATABASE__SQL_ALCHEMY_CONN="sqlite:////nowhere/airflow.db")
    yield commands
    commands.close()


@pytest.fixture
def hub_time() -> dict[str, Any]:
    return {"speed": 0}


@pytest.fixture
def fleet(hub: HubEmulator) -> HubEmulator:
    """A running Space on a GPU, one on the free CPU, and a paused one."""
    hub.add_space("acme/whisper", hardware="t4-small", sleep_time=3600)
    hub.add_space("acme/demo")
    hub.add_space("acme/night-owl", hardware="t4-medium", stage="PAUSED")
    return hub


def _runner(commands: Commands, hub: HubEmulator) -> Run:
    def run(*arguments: str, **options: Any) -> CommandResult:
        result = commands.run(*arguments, **{"HF_TOKEN": hub.token, "HF_ENDPOINT": hub.url, **options})
        assert hub.token not in result.out + result.err
        assert "Traceback" not in result.err
        return result

    return run


@pytest.fixture
def run(commands: Commands, fleet: HubEmulator) -> Run:
    """Runs a command with the token in ``HF_TOKEN``."""
    return _runner(commands, fleet)


@pytest.fixture
def run_without_database(commands_without_database: Commands, fleet: HubEmulator) -> Run:
    """Runs a command where Airflow has no database."""
    return _runner(commands_without_database, fleet)
