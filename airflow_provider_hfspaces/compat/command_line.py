"""What the commands use of Airflow's own command line.

Come here when a new Airflow changes how providers add commands, or how commands print tables.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, TextIO

__all__ = ["command_types", "console", "to_yaml"]


def command_types() -> Any:
    """Return the module with ``GroupCommand``, ``ActionCommand`` and ``Arg``, which has no types."""
    return import_module("airflow.cli.cli_config")


def console(file: TextIO | None = None) -> Any:
    """Return Airflow's console, which prints tables.

    :param file: where it prints; by default standard output.
    """
    kind = import_module("airflow.cli.simple_table").AirflowConsole
    return kind() if file is None else kind(file=file)


def to_yaml(rows: list[dict[str, Any]]) -> str:
    """Return rows as YAML, in the order of their fields."""
    yaml = import_module("airflow.utils.yaml")
    return str(yaml.dump(rows, sort_keys=False, allow_unicode=True))
