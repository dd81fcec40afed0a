"""The commands as Airflow 3.2 and newer reads them through the key ``cli`` of the provider's metadata."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_hfspaces.cli.options import COMMANDS, GROUP, GROUP_HELP

__all__ = ["get_commands"]


def get_commands() -> list[Any]:
    """Return the group ``airflow hf-spaces`` with its commands. Every ``airflow`` command calls this."""
    from airflow_provider_hfspaces.compat.command_line import command_types

    config = command_types()
    return [
        config.GroupCommand(
            name=GROUP,
            help=GROUP_HELP,
            subcommands=[
                config.ActionCommand(
                    name=command.name,
                    help=command.help,
                    description=command.description,
                    func=_function(command.name),
                    args=[config.Arg(option.flags, **option.settings) for option in command.options],
                )
                for command in COMMANDS
            ],
        )
    ]


def _function(name: str) -> Callable[[Any], None]:
    def command(arguments: Any) -> None:
        from airflow_provider_hfspaces.cli.commands import run

        raise SystemExit(run(name, arguments))

    return command
