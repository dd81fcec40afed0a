"""Prints what a command shows: rows on stdout, and everything else on stderr.

Come here to change the output formats, the log of a command, or how it asks for confirmation.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from airflow_provider_hfspaces.compat.command_line import console, to_yaml
from airflow_provider_hfspaces.hub.masking import mask_tokens
from airflow_provider_hfspaces.hub.text import printable

__all__ = [
    "Output",
    "UsageError",
    "confirmed",
    "refuse_without_terminal",
    "say",
    "write_log_to_stderr",
    "write_table",
]

Row = Mapping[str, Any]


class UsageError(Exception):
    """A command whose arguments are not valid. Its exit code is 2."""


class Output:
    """The rows of a command, in the format that the user has chosen.

    :param stream: the real stdout.
    :param form: ``table``, ``plain``, ``json`` or ``yaml``.
    """

    def __init__(self, stream: TextIO, form: str) -> None:
        self._stream = stream
        self._form = form

    @classmethod
    @contextmanager
    def opened(cls, form: str) -> Iterator[Output]:
        """Keep stdout for the rows alone: what libraries and logs print to it meanwhile goes to stderr."""
        sys.stdout.flush()
        stream = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding or "utf-8", errors="replace")
        try:
            os.dup2(2, 1)
            yield cls(stream, form)
        finally:
            sys.stdout.flush()
            os.dup2(stream.fileno(), 1)
            # write() has already flushed the rows, and raised the error of a full disk.
            with suppress(OSError):
                stream.close()

    def write(self, rows: Sequence[Row], hidden: Container[str] = ()) -> None:
        """Write the rows.

        JSON and YAML keep numbers and nulls. Tables show text, as Airflow's own commands do.

        :param hidden: fields that tables leave out.
        """
        if self._form == "json":
            self._stream.write(json.dumps(list(rows), ensure_ascii=False) + "\n")
        elif self._form == "yaml":
            self._stream.write(to_yaml([dict(row) for row in rows]))
        else:
            shown = [{key: value for key, value in row.items() if key not in hidden} for row in rows]
            write_table(shown, self._stream, self._form)
        self._stream.flush()


def write_table(rows: Sequence[Row], stream: TextIO, form: str = "table") -> None:
    """Write rows with Airflow's own console.

    :param form: ``table`` or ``plain``.
    """
    from rich.markup import escape

    if form == "plain":
        from contextlib import redirect_stdout

        # Airflow prints plain tables without its console.
        with redirect_stdout(stream):
            console().print_as([_cells(row) for row in rows], output=form)
        return
    table = console(stream)
    # Text from the Hub must not style the table.
    cells = [{key: escape(cell) for key, cell in _cells(row).items()} for row in rows]
    try:
        table.print_as(cells, output=form)
    except SystemExit:
        # The console ends the process when the reader of the table, such as ``head``, closes the pipe.
        raise BrokenPipeError from None


def _cells(row: Row) -> dict[str, str]:
    return {key: "" if value is None else printable(_text(value)) for key, value in row.items()}


def _text(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def say(text: str) -> None:
    """Write a line to stderr, with all tokens masked."""
    sys.stderr.write(f"{mask_tokens(text)}\n")
    sys.stderr.flush()


def refuse_without_terminal() -> None:
    """Refuse a change that no user can confirm, before any request.

    :raises UsageError: without a terminal.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            "Nothing was changed: this command asks for confirmation, and stdin is not a terminal. "
            "Add --yes or --dry-run."
        )


def confirmed(question: str) -> bool:
    """Ask the user on the terminal, and return whether the answer is yes."""
    sys.stderr.write(f"{question} (y/n) ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def write_log_to_stderr(*, verbose: bool) -> None:
    """Write the warnings of this package to stderr.

    :param verbose: write the whole log of this package and of Airflow instead.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_WithoutTokens("%(message)s"))
    ours = logging.getLogger("airflow_provider_hfspaces")
    ours.handlers, ours.propagate = [handler], False
    ours.setLevel(logging.INFO if verbose else logging.WARNING)
    if not verbose:
        warnings.simplefilter("ignore")
        logging.getLogger().setLevel(logging.CRITICAL)
        logging.getLogger("airflow").setLevel(logging.CRITICAL)


class _WithoutTokens(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return mask_tokens(super().format(record))
