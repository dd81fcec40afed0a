"""Run ``airflow providers …`` for each argument, and print the outputs as JSON.

All commands run in one process, since Airflow takes seconds to start.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

from airflow.cli import cli_parser

parser = cli_parser.get_parser()
printed = {}
for line in sys.argv[1:]:
    arguments = parser.parse_args(["providers", *line.split(), "--output", "json"])
    with contextlib.redirect_stdout(io.StringIO()) as out:
        arguments.func(arguments)
    printed[line] = out.getvalue()
print(json.dumps(printed))
