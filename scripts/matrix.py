"""Run the tests on pairs of Airflow and Python, and print one table of results.

``python scripts/matrix.py [PAIR …] [-- ARGUMENTS OF PYTEST]``. A pair is ``airflow-2.11-python-3.10``; a
part of such a name selects every pair that contains it. ``oldest`` and ``newest`` select the first and the
last pair whose Python is installed. Without arguments, all pairs run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / ".venv" / "matrix" / "results"


def main(arguments: list[str]) -> int:
    wanted, _, for_pytest = _split(arguments)
    environment = {**os.environ, "PATH": os.pathsep.join([os.environ["PATH"], *_pyenv()])}
    names = _pairs(environment)
    installed = [name for name in names if _has_interpreter(name, environment)]
    chosen = _chosen(wanted, names, installed)
    if not chosen:
        print(f"No pair matches {' or '.join(wanted)}. The pairs are {', '.join(names)}.")
        return 2
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        (RESULTS / f"{name}.xml").unlink(missing_ok=True)
    report = RESULTS / "report.json"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "nox", "--report", str(report), "--session", *chosen]
    done = subprocess.run([*command, "--", *for_pytest], cwd=ROOT, env=environment, check=False)
    return _show_results(chosen, installed, report, done.returncode)


def _split(arguments: list[str]) -> tuple[list[str], str, list[str]]:
    if "--" in arguments:
        at = arguments.index("--")
        return arguments[:at], "--", arguments[at + 1 :]
    return arguments, "", []


def _pyenv() -> list[str]:
    """The folders of pyenv's interpreters, which are not in the PATH by default."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return [str(folder) for folder in sorted((root / "versions").glob("*/bin"))]


def _pairs(environment: dict[str, str]) -> list[str]:
    """The names of all sessions, oldest first."""
    command = [sys.executable, "-m", "nox", "--list", "--json"]
    listed = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    return [each["session"] for each in json.loads(listed.stdout)]


def _has_interpreter(name: str, environment: dict[str, str]) -> bool:
    python = f"python{name.rpartition('-')[2]}"
    try:
        command = [python, "-c", "import sys; print(sys.version_info[:2])"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return False
    # A shim of pyenv exists for every installed Python, but fails unless that Python is selected.
    return done.returncode == 0


def _chosen(wanted: list[str], names: list[str], installed: list[str]) -> list[str]:
    ends = {"oldest": installed[:1], "newest": installed[-1:]}
    if not wanted:
        return names
    return [
        name for name in names if any(name in ends[part] if part in ends else part in name for part in wanted)
    ]


def _show_results(chosen: list[str], installed: list[str], report: Path, status: int) -> int:
    """Print the table of results. Returns the exit status."""
    ended = {}
    if report.exists():
        sessions = json.loads(report.read_text())["sessions"]
        ended = {each["name"]: each["result"] for each in sessions}
    rows, ran = [], 0
    for name in chosen:
        counts = _counts(RESULTS / f"{name}.xml")
        if name not in installed:
            result = f"skipped: Python {name.rpartition('-')[2]} is not installed"
        elif counts is None:
            result, status = "FAILED before the tests", status or 1
        else:
            passed, failed, skipped, seconds = counts
            ran += 1
            good = not failed and passed and ended.get(name) == "success"
            status = status or (0 if good else 1)
            result = f"{passed:6}  {failed:6}  {skipped:7}  {seconds:6.0f} s  {'' if good else 'FAILED'}"
        rows.append(f"{name:28}{result}".rstrip())
    print()
    print(f"{'pair':28}{'passed':>6}  {'failed':>6}  {'skipped':>7}  {'time':>8}")
    print("\n".join(rows))
    if not ran:
        print("No pair has run.")
    return status if ran else status or 1


def _counts(result: Path) -> tuple[int, int, int, float] | None:
    """The numbers of passed, failed and skipped tests, and the seconds."""
    if not result.exists():
        return None
    suite = ElementTree.parse(result).getroot()
    results = suite if suite.tag == "testsuite" else suite[0]
    total, failed = (
        int(results.get("tests", 0)),
        int(results.get("failures", 0)) + int(results.get("errors", 0)),
    )
    skipped = int(results.get("skipped", 0))
    return total - failed - skipped, failed, skipped, float(results.get("time", 0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
