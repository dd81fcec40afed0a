"""Compare the cost of importing this provider with that of other providers, after ``airflow.sdk``.

``python -m benchmarks.imports`` prints CPU milliseconds and the number of modules, each the lowest of several
new processes. Every public class is imported by name, as in a DAG file, because some packages load their
modules only then.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from airflow_provider_hfspaces import get_provider_info

_OPERATORS = [module for entry in get_provider_info()["operators"] for module in entry["python-modules"]]
_FIRST_RELEASE = ("hardware", "lifecycle", "duplicate", "settings", "storage", "fleet", "cost")
OURS = {
    "operators, all of them": _OPERATORS,
    "operators of version 0.1.0": [each for each in _OPERATORS if each.rpartition(".")[2] in _FIRST_RELEASE],
    "RequestHardwareOperator": ["airflow_provider_hfspaces.operators.hardware:RequestHardwareOperator"],
    "sensors": ["airflow_provider_hfspaces.sensors.spaces"],
    "triggers": ["airflow_provider_hfspaces.triggers.spaces"],
    "notifiers": ["airflow_provider_hfspaces.notifications.spaces"],
    "hooks": ["airflow_provider_hfspaces.hooks.hfspaces"],
    "command line, in each command": ["airflow_provider_hfspaces.cli.definition"],
}
THEIRS = {
    "http operator": ["airflow.providers.http.operators.http"],
    "dbt Cloud operators": ["airflow.providers.dbt.cloud.operators.dbt"],
    "requests alone": ["requests"],
    "httpx alone": ["httpx"],
}
ROUNDS = 10
"""Measured processes for each row, after one that compiles the modules."""

CACHE = Path(tempfile.gettempdir()) / f"hf-spaces-import-benchmark-{os.getuid()}"

_CODE = """
import importlib, json, sys, time
try:
    import airflow.sdk
except ImportError:
    import airflow.models.baseoperator, airflow.sensors.base
from airflow.sdk import BaseOperator, BaseSensorOperator
before = set(sys.modules)
began = time.process_time()
for name in json.loads(sys.argv[1]):
    name, _, chosen = name.partition(":")
    module = importlib.import_module(name)
    names = getattr(module, "__all__", ()) if name.startswith("airflow") else ()
    for each in [chosen] if chosen else names:
        getattr(module, each)
took = time.process_time() - began
new = set(sys.modules) - before
print(json.dumps([took, len(new), "requests" in new]))
"""


def measure(modules: list[str]) -> tuple[float, int, bool] | None:
    """Measure the import of some modules, each with all its public names or, as ``module:Name``, one of them.

    :returns: CPU milliseconds, number of loaded modules, and whether ``requests`` is one of them; ``None`` if
        a module is not installed.
    """
    best: tuple[float, int, bool] | None = None
    # Every installation has compiled files. The first process writes them here, and is the slowest.
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    settings |= {"PYTHONPYCACHEPREFIX": str(CACHE), "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    for _ in range(ROUNDS + 1):
        done = subprocess.run(
            [sys.executable, "-c", _CODE, json.dumps(modules)],
            capture_output=True,
            text=True,
            env=settings,
        )
        if done.returncode:
            return None
        seconds, number, requests = json.loads(done.stdout.splitlines()[-1])
        if best is None or seconds * 1000 < best[0]:
            best = seconds * 1000, number, requests
    return best


def main() -> None:
    print(f"{'':<31}{'CPU ms':>8}{'modules':>10}   imports requests")
    for name, modules in {**OURS, **THEIRS}.items():
        result = measure(modules)
        if result is None:
            print(f"{name:<31}{'not installed':>18}")
        else:
            milliseconds, number, requests = result
            print(f"{name:<31}{milliseconds:>8.1f}{number:>10}   {'yes' if requests else 'no'}")


if __name__ == "__main__":
    main()
