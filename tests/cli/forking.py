"""Runs each command in a process of its own, forked from one that has imported Airflow already.

``python -m tests.cli.forking`` reads requests from stdin, one line of JSON each, and answers with one line.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import import_module
from typing import Any

_LOADED = (
    *(
        f"airflow_provider_hfspaces.cli.{each}"
        for each in ("commands", "connection", "leases", "runs", "spaces")
    ),
    *(f"airflow_provider_hfspaces.hub.{each}" for each in ("bulk.lookup", "cost.prices", "http.client")),
    *(f"airflow_provider_hfspaces.state.{each}" for each in ("ledger", "release")),
    *("airflow_provider_hfspaces.hooks.hfspaces", "airflow_provider_hfspaces.operators.fleet.report"),
    *(f"airflow.models.{each}" for each in ("connection", "dagrun", "taskinstance", "variable")),
    *("airflow.cli.simple_table", "airflow.secrets.metastore", "airflow.utils.session", "rich.table"),
)
"""What the commands import, to be imported only once."""


@dataclass(frozen=True)
class CommandResult:
    """A command that has ended.

    :ivar code: its exit code.
    """

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows that a command with ``--output json`` has written."""
        rows: list[dict[str, Any]] = json.loads(self.out)
        return rows


class Commands:
    """Runs ``python -m airflow_provider_hfspaces`` with arguments.

    :param environment: variables of the environment that Airflow reads when it is imported.
    """

    def __init__(self, **environment: str) -> None:
        conf = import_module("airflow.configuration").conf
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.forking"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
                "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
                "AIRFLOW__CORE__FERNET_KEY": conf.get("core", "fernet_key"),
                **environment,
            },
        )

    def run(self, *arguments: str, keystrokes: str | None = None, **environment: str) -> CommandResult:
        """Run one command to its end.

        :param keystrokes: what the user types; ``None`` for a command without a terminal.
        :param environment: variables of the environment.
        """
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        request = {"arguments": arguments, "environment": environment, "keystrokes": keystrokes}
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return CommandResult(**json.loads(self._server.stdout.readline()))

    def close(self) -> None:
        """End the process that forks."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(timeout=20)


def _run(request: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        master, slave = (
            os.openpty() if request["keystrokes"] is not None else (None, os.open(os.devnull, os.O_RDONLY))
        )
        if master is not None:
            os.write(master, request["keystrokes"].encode())
        child = os.fork()
        if child == 0:
            for source, target in ((slave, 0), (out.fileno(), 1), (err.fileno(), 2)):
                os.dup2(source, target)
            os.environ.update(request["environment"])
            sys.argv = ["airflow_provider_hfspaces", *request["arguments"]]
            sys.stdin = os.fdopen(0, closefd=False)
            code = 0
            try:
                runpy.run_module("airflow_provider_hfspaces", run_name="__main__", alter_sys=True)
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        for each in (master, slave):
            if each is not None:
                os.close(each)
        out.seek(0)
        err.seek(0)
        return {
            "code": os.waitstatus_to_exitcode(status),
            "out": out.read().decode(),
            "err": err.read().decode(),
        }


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Airflow may log to stdout while it is imported.
    for module in _LOADED:
        import_module(module)
    import_module("sqlalchemy.orm").configure_mappers()
    for line in sys.stdin:
        answers.write(json.dumps(_run(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
