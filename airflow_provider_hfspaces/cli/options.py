"""The commands and their options, in one list for Airflow's parser and for Python's.

Come here to add an option: it reaches ``commands.py`` as an attribute of the parsed arguments. Every
``airflow`` command imports this module, so it imports almost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["COMMANDS", "GROUP", "GROUP_HELP", "Command", "Option"]

GROUP = "hf-spaces"
GROUP_HELP = "List, pause and restart Hugging Face Spaces, and see their costs and leases"

OUTPUTS = ("table", "json", "yaml", "plain")


@dataclass(frozen=True)
class Option:
    """One option or positional argument of a command.

    :ivar flags: as ``argparse`` takes them.
    :ivar settings: keyword arguments of ``ArgumentParser.add_argument``.
    """

    flags: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Command:
    """One command.

    :ivar help: one line for the list of commands.
    :ivar description: what the command does, for its own help.
    """

    name: str
    help: str
    description: str
    options: tuple[Option, ...]


def _option(*flags: str, **settings: Any) -> Option:
    return Option(flags, settings)


def _flag(*flags: str, help: str) -> Option:
    return _option(*flags, action="store_true", default=False, help=help)


def _several(flag: str, metavar: str, help: str) -> Option:
    return _option(flag, action="append", metavar=metavar, default=None, help=f"{help}; may be repeated")


_SPACES = _option(
    "repo_ids",
    nargs="*",
    metavar="SPACE",
    help="Spaces as owner/name, or by name if the connection has a namespace (default: a selection)",
)
_CONNECTION = (
    _option(
        "--conn-id",
        metavar="CONN_ID",
        default=None,
        help="the Airflow connection to use (default: the token in HF_TOKEN and the endpoint in HF_ENDPOINT; "
        "without HF_TOKEN, the connection hf_spaces_default)",
    ),
)
_SELECTION = (
    _option(
        "--author",
        metavar="OWNER",
        default=None,
        help="the user or organization whose Spaces are selected (default of commands that change nothing: "
        "the connection's namespace, or the owner of the token)",
    ),
    _several("--stage", "STAGE", "only Spaces in this stage, such as RUNNING"),
    _several("--hardware", "FLAVOR", "only Spaces on, or set to, this hardware"),
    _flag("--billed-only", help="only Spaces that are billed now, or will be when their build is done"),
    _several("--include", "GLOB", "only Spaces whose id or name matches this glob"),
    _several("--exclude", "GLOB", "leave out Spaces whose id or name matches this glob"),
    _several("--tag", "TAG", "only Spaces with this tag"),
)
_OUTPUT = (
    _option(
        "-o",
        "--output",
        choices=OUTPUTS,
        default="table",
        metavar="(table, json, yaml, plain)",
        help="the output format (default: table)",
    ),
    _flag("-v", "--verbose", help="write the whole log to stderr, and the traceback of an error"),
)
_CHANGES = (
    _flag("--dry-run", help="change nothing, and print what would be done"),
    _flag("-y", "--yes", help="do not ask for confirmation; use with care"),
)
_IGNORE_LEASES = _flag(
    "--ignore-leases",
    help="also change Spaces that a DAG run has leased (default: leave them alone)",
)

COMMANDS = (
    Command(
        "list",
        "List Spaces with stage, hardware and cost",
        "List Spaces with their stage, hardware, replicas, sleep time and cost per hour.",
        (_SPACES, *_SELECTION, *_CONNECTION, *_OUTPUT),
    ),
    Command(
        "cost",
        "Show what Spaces cost now, and what runs have cost",
        "Show the Spaces that cost money now, at the Hub's list prices, or the sums by hardware or stage; or "
        "what the runs of this Airflow have cost, by DAG or day.",
        (
            _SPACES,
            _option(
                "--by",
                choices=("space", "hardware", "stage", "dag", "day"),
                default="space",
                help="one row for each Space, the sums by hardware or stage, or what runs have cost by DAG "
                "or day (default: space)",
            ),
            _option(
                "--since",
                metavar="DATE",
                default=None,
                help="with --by dag or day: the first day, in UTC (default: the first of this month)",
            ),
            *_SELECTION,
            *_CONNECTION,
            *_OUTPUT,
        ),
    ),
    Command(
        "leases",
        "Show which runs have leased Spaces",
        "Show the leases of Spaces on paid hardware: who holds them, since when, until when, and whether the "
        "holder is still at work. Airflow's database names the runs.",
        (_SPACES, *_SELECTION, *_CONNECTION, *_OUTPUT),
    ),
    Command(
        "release",
        "Restore Spaces whose leases were left behind",
        "Restore the Spaces to their state before the lease, and end the lease, as "
        "RestoreAbandonedLeasesOperator does. A lease whose holder is still at work needs --force.",
        (
            _SPACES,
            _option(
                "--fallback",
                metavar="FLAVOR",
                default="cpu-basic",
                help="the hardware to move to if the Hub rejects the recorded one (default: cpu-basic)",
            ),
            _flag(
                "--force",
                help="also release leases of runs that are at work, or that this Airflow does not know: "
                "their tasks lose the hardware. Needs the names of the Spaces",
            ),
            *_SELECTION,
            *_CHANGES,
            *_CONNECTION,
            *_OUTPUT,
        ),
    ),
    Command(
        "pause",
        "Pause Spaces, which then cost nothing",
        "Pause the named or selected Spaces that run, start or build. A paused Space costs nothing until "
        "it is restarted.",
        (
            _SPACES,
            *_SELECTION,
            _option(
                "--report-to",
                metavar="NAME",
                default=None,
                help="record the paused Spaces under this name in Airflow, for 'restart --report-from NAME' "
                "or a RestartSpacesOperator",
            ),
            _IGNORE_LEASES,
            *_CHANGES,
            *_CONNECTION,
            *_OUTPUT,
        ),
    ),
    Command(
        "restart",
        "Restart paused Spaces",
        "Restart the named or selected Spaces that are paused, or exactly the Spaces of a recorded "
        "pause. The command does not wait until the Spaces run.",
        (
            _SPACES,
            *_SELECTION,
            _option(
                "--report-from",
                metavar="NAME",
                default=None,
                help="the Spaces that 'pause --report-to NAME' or a PauseSpacesOperator has paused",
            ),
            _IGNORE_LEASES,
            *_CHANGES,
            *_CONNECTION,
            *_OUTPUT,
        ),
    ),
)
