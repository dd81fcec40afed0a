"""``python -m airflow_provider_hfspaces``: the commands on every version of Airflow."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from airflow_provider_hfspaces import __version__
from airflow_provider_hfspaces.cli.options import COMMANDS, GROUP_HELP

__all__ = ["main"]

_INTERRUPTED = 130
"""The exit code after Ctrl-C."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    :param arguments: without the name of the program; by default those of this process.
    :returns: the exit code: 0 if everything succeeded, 1 if something failed, 2 for a usage error, 130
        after Ctrl-C.
    """
    _open_closed_streams()
    parsed = _parser().parse_args(arguments)
    if not parsed.verbose:
        _ignore_warnings()
        # On Airflow 3.1, alembic announces its plugins while Airflow is imported.
        logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        with _only_rows_on_stdout():
            from airflow_provider_hfspaces.cli.commands import run

        return run(parsed.command, parsed)
    except KeyboardInterrupt:
        # Airflow was still being imported. Later, run() handles Ctrl-C itself.
        return _INTERRUPTED


@contextmanager
def _only_rows_on_stdout() -> Iterator[None]:
    """Send to stderr what Airflow logs to stdout while it is imported."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)


def _open_closed_streams() -> None:
    """Replace stdout and stderr if they are closed, as with ``>&-``. The replacements discard all text."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_WRONLY)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, "w", closefd=False))


def _ignore_warnings() -> None:
    """Ignore the warnings of Airflow, unless Python was started with options for warnings."""
    if not sys.warnoptions:
        sys.warnoptions.append("ignore")
        warnings.simplefilter("ignore")


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
