"""Compare many calls at once by SpaceApp and by the official client, against a real Gradio app.

``python -m benchmarks.app_calls [--counts 100,1000] [--seconds 30]`` prints one table for each number of
calls in flight: correct answers, wall time, CPU, threads, added memory, connections, the longest block of the
event loop and the time of the import. The ways in :data:`WAYS` run one after the other, each in a process of
its own with an app of its own.

Requires the environment that ``make apps`` creates.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

SAMPLE_SECONDS = 0.5
IMPORT_ROUNDS = 5
ESTABLISHED = "01"
"""The state of an open connection in ``/proc/net/tcp``."""

CACHE = Path(tempfile.gettempdir()) / f"space-app-import-benchmark-{os.getuid()}"
HERE = Path(__file__).resolve().parent
GRADIO = HERE.parent / ".venv" / "apps" / "6" / "bin" / "python"
WAYS = {
    "ours": "SpaceApp, a session for each call",
    "shared": "SpaceApp, one shared session",
    "one client": "gradio_client, one Client",
    "clients": "gradio_client, a Client for each call",
}
COLUMNS = {
    "right": "{:,.0f}",
    "wall": "{:.1f}",
    "cpu": "{:.1f}",
    "threads": "{:,.0f}",
    "memory": "{:.0f}",
    "connections": "{:,.0f}",
    "blocked": "{:.0f}",
    "imported": "{:.0f}",
}
HEADER = "calls right|wall s|CPU s|threads|memory MiB|connections|loop blocked ms|import CPU ms"


def start_app(python: Path, app: str = "app_server.py") -> tuple[subprocess.Popen[bytes], str]:
    """Start an app and return its process and address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
    process = subprocess.Popen(
        [str(python), str(HERE / app), str(port)],
        env=settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    ends = time.monotonic() + 120
    while time.monotonic() < ends:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{url}/config", timeout=5).close()
            return process, url
        time.sleep(0.5)
    process.kill()
    raise SystemExit("The app did not start.")


def measure(way: str, count: int, seconds: float, url: str) -> dict[str, Any] | None:
    """Run one way in a process of its own, and measure this process from outside."""
    own = way in ("ours", "shared")
    python = sys.executable if own else str(GRADIO)
    settings = {**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1"}
    if own:
        settings["PYTHONPATH"] = str(HERE.parent)
    process = subprocess.Popen(
        [python, str(HERE / "app_callers.py"), way, str(count), str(seconds), url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=settings,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    if not first:
        print(f"{way}: {process.communicate()[1][-500:]}")
        return None
    before = json.loads(first)["resident"]
    most = {"memory": 0.0, "threads": 0.0, "connections": 0.0}
    while process.poll() is None:
        for key, value in usage(process.pid).items():
            most[key] = max(most[key], value)
        time.sleep(SAMPLE_SECONDS)
    out, err = process.communicate()
    if not out.strip():
        print(f"{way}: {err[-500:]}")
        return None
    result: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    result |= {**most, "memory": most["memory"] - before}
    result["blocked"] *= 1000
    result["imported"] = import_milliseconds(own)
    return result


def import_milliseconds(own: bool) -> float:
    """CPU milliseconds to import a client with all modules of a call, the lowest of several processes."""
    lines = {
        True: "from airflow_provider_hfspaces.space_app.app import SpaceApp\n"
        "import airflow_provider_hfspaces.space_app.http.aio",
        False: "from gradio_client import Client",
    }
    code = f"import time\nbegan = time.process_time()\n{lines[own]}\nprint(time.process_time() - began)"
    python = sys.executable if own else str(GRADIO)
    # Every installation has compiled files. The first process writes them here, and is the slowest.
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    settings["PYTHONPYCACHEPREFIX"] = str(CACHE)
    if own:
        settings["PYTHONPATH"] = str(HERE.parent)
    taken = [
        float(subprocess.run([python, "-c", code], capture_output=True, text=True, env=settings).stdout)
        for _ in range(IMPORT_ROUNDS)
    ]
    return min(taken) * 1000


def usage(pid: int) -> dict[str, float]:
    """Resident memory in MiB, threads and TCP connections of a process."""
    place = Path("/proc") / str(pid)
    try:
        pages = int((place / "statm").read_text().split()[1])
        inodes = {os.readlink(each)[8:-1] for each in (place / "fd").iterdir() if each.is_symlink()}
        threads = len(list((place / "task").iterdir()))
        lines = [line.split() for line in (place / "net" / "tcp").read_text().splitlines()[1:]]
    except (OSError, IndexError):
        return {}
    connections = sum(line[3] == ESTABLISHED and line[9] in inodes for line in lines)
    memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return {"memory": memory, "threads": threads, "connections": connections}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--counts", default="100,1000", help="numbers of calls in flight, by default 100,1000"
    )
    parser.add_argument("--seconds", type=float, default=30, help="how long a call takes, by default 30")
    parser.add_argument("--ways", default=",".join(WAYS), help=f"by default {','.join(WAYS)}")
    options = parser.parse_args()
    if not GRADIO.exists():
        raise SystemExit("Run 'make apps' first: it creates the environment with gradio.")
    for count in [int(each) for each in options.counts.split(",")]:
        print(f"\n{count:,} calls of {options.seconds:g} seconds at once, against gradio on loopback\n")
        print(f"{'':<40}" + "".join(f"{each:>17}" for each in HEADER.split("|")))
        results: dict[str, dict[str, Any]] = {}
        for way in options.ways.split(","):
            process, url = start_app(GRADIO)
            try:
                result = measure(way, count, options.seconds, url)
            finally:
                process.terminate()
                process.wait(30)
            if result is not None:
                results[way] = result
                cells = [form.format(result[key]) for key, form in COLUMNS.items()]
                print(f"{WAYS[way]:<40}" + "".join(f"{each:>17}" for each in cells), flush=True)
        compare(results)


def compare(results: dict[str, dict[str, Any]]) -> None:
    """Print the ratios of the official client's cost to the cost of SpaceApp."""
    for own in ("ours", "shared"):
        for other in ("one client", "clients"):
            if own in results and other in results:
                ours, theirs = results[own], results[other]
                ratios = {key: theirs[key] / max(ours[key], 0.1) for key in ("cpu", "memory", "threads")}
                shown = ", ".join(f"{ratio:.1f} times the {key}" for key, ratio in ratios.items())
                print(f"{WAYS[other]} takes {shown} of {WAYS[own]}.")


if __name__ == "__main__":
    main()
