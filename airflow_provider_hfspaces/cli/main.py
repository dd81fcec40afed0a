"""``python -m airflow_provider_hfspaces``: the commands on every version of Airflow."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from airflow_provider_hfspaces import __version__
from airflow_provider_hfspaces.cli.options import COMMANDS, GROUP_HELP

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    :param arguments: without the name of the program; by default those of this process.
    :returns: the exit code: 0 if everything succeeded, 1 if something failed, 2 for wrong use.
    """
    parsed = _parser().parse_args(arguments)
    from airflow_provider_hfspaces.cli.commands import run

    return run(parsed.command, parsed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_hfspaces", description=f"{GROUP_HELP}.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        subparser = commands.add_parser(
            command.name, help=command.help, description=command.description, allow_abbrev=False
        )
        for option in command.options:
            subparser.add_argument(*option.flags, **option.settings)
    return parser
