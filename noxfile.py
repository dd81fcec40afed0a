"""Run the tests on every supported pair of Airflow and Python, each in its own environment.

``make test-matrix`` runs all pairs and prints one table; see :mod:`scripts.matrix`.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
RESULTS = ROOT / ".venv" / "matrix" / "results"

MATRIX = {
    "2.11.2": ("3.10", "3.11", "3.12"),
    "3.0.6": ("3.10", "3.11", "3.12"),
    "3.1.8": ("3.10", "3.11", "3.12", "3.13"),
    "3.2.2": ("3.10", "3.11", "3.12", "3.13"),
    "3.3.2": ("3.10", "3.11", "3.12", "3.13"),
}
"""The newest patch release of each minor version of Airflow, with the versions of Python that it supports."""

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.envdir = str(ROOT / ".venv" / "matrix" / "environments")
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False


def constraints(airflow: str) -> Path:
    """The constraints file for a version of Airflow; ``make install`` uses the file for the newest."""
    own = ROOT / "constraints" / f"airflow-{airflow}.txt"
    return own if own.exists() else ROOT / "constraints.txt"


def add_session(airflow: str, python: str) -> None:
    """Add a session that runs the tests on one pair."""
    name = f"airflow-{airflow.rpartition('.')[0]}-python-{python}"

    @nox.session(name=name, python=python)
    def tests(session: nox.Session) -> None:
        session.install("--constraint", str(constraints(airflow)), "--editable", ".[test]")
        result = RESULTS / f"{name}.xml"
        result.unlink(missing_ok=True)
        # Twice as many workers as processors: many tests wait for an emulator.
        workers = min(8, 2 * (os.cpu_count() or 1))
        spread = ("--numprocesses", str(workers), "--dist", "worksteal")
        session.run("python", "-m", "pytest", *spread, f"--junitxml={result}", "-q", *session.posargs)


for _airflow, _pythons in MATRIX.items():
    for _python in _pythons:
        add_session(_airflow, _python)
