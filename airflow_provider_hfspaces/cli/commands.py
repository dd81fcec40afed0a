"""Runs one command: its connection, its errors and its exit code.

Come here to change what a command prints when it fails, or its exit codes.
"""

from __future__ import annotations

import traceback
from argparse import Namespace

from airflow_provider_hfspaces.cli.output import Output, UsageError, say, write_log_to_stderr
from airflow_provider_hfspaces.compat.processes import use_database

__all__ = ["run"]

SUCCEEDED, FAILED, USAGE_ERROR, INTERRUPTED = 0, 1, 2, 130
"""Exit codes of a command."""


def run(name: str, arguments: Namespace) -> int:
    """Run a command.

    :param name: the name of the command.
    :param arguments: its parsed arguments.
    :returns: the exit code: 0 if everything succeeded, 1 if something failed or the user did not confirm, 2
        for a usage error, 130 if the user interrupted the command.
    """
    use_database()
    write_log_to_stderr(verbose=arguments.verbose)
    try:
        with Output.opened(arguments.output) as output:
            return _run(name, arguments, output)
    except BrokenPipeError:
        # The reader of the rows, such as ``head``, has closed the pipe.
        return SUCCEEDED


def _run(name: str, arguments: Namespace, output: Output) -> int:
    from airflow_provider_hfspaces.hub.bulk.selection import OwnerWithoutSpaces
    from airflow_provider_hfspaces.hub.checks import InvalidInput
    from airflow_provider_hfspaces.hub.errors import HubError

    try:
        return SUCCEEDED if _call(name, arguments, output) else FAILED
    except OwnerWithoutSpaces as error:
        # The end of the message names a parameter of operators, which commands do not have.
        say(_problem(error, arguments).partition(", or set allow_empty")[0].rstrip(".") + ".")
        return FAILED
    except (UsageError, InvalidInput) as error:
        say(_problem(error, arguments))
        return USAGE_ERROR
    except HubError as error:
        say(_problem(error, arguments))
        return FAILED
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        say("Interrupted. Requests that were already sent take effect.")
        return INTERRUPTED
    except Exception as error:
        text = " ".join(str(error).split())[:500]
        say(
            f"The command failed: {type(error).__name__}: {text}"
            if text
            else f"The command failed: {error!r}"
        )
        say(traceback.format_exc() if arguments.verbose else "Add --verbose for the traceback.")
        return FAILED


def _problem(error: Exception, arguments: Namespace) -> str:
    if arguments.verbose:
        say(traceback.format_exc())
    return str(error)


def _call(name: str, arguments: Namespace, output: Output) -> bool:
    from airflow_provider_hfspaces.cli import leases, runs, spaces
    from airflow_provider_hfspaces.cli.connection import open_hook

    if name == "cost" and arguments.by in runs.GROUPS:
        return runs.run_costs_by(arguments, output)
    commands = {
        "list": spaces.list_spaces,
        "cost": spaces.cost,
        "pause": spaces.pause,
        "restart": spaces.restart,
        "leases": leases.leases,
        "release": leases.release,
    }
    return commands[name](arguments, open_hook(arguments.conn_id), output)
