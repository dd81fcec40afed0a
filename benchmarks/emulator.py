"""Compare the speed of the emulator with that of a bare starlette application, on one core in one run.

``python -m benchmarks.emulator`` prints the start time of the emulator, the time and the memory for 10,000
Spaces, and the number of runtime requests that the emulator answers per second.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.load import Load, load

SPACES = 10_000
LOAD_SECONDS = 3.0
ROUNDS = 3

_HELLO = """
import sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def hello(request):
    return JSONResponse({"hello": "world"})

app = Starlette(routes=[Route("/hello", hello)])
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
"""

_HUB = """
import sys, time
from airflow_provider_hfspaces.emulator import HubEmulator

hub = HubEmulator(port=int(sys.argv[1]), speed=60, enforce=False)
began = time.perf_counter()
for number in range(int(sys.argv[2])):
    hub.add_space(f"acme/s{number}", hardware="t4-small")
print(f"{time.perf_counter() - began} {hub.token}", flush=True)
hub.start()
hub.wait()
"""


def main() -> None:
    with server(["-m", "airflow_provider_hfspaces.emulator", "--port", "8981"], 8981) as (seconds, _):
        print(
            f"from the command to the first answer: {seconds:.2f} s, including the import of Python modules"
        )
    with (
        server(["-c", _HELLO, "8982"], 8982),
        server(["-c", _HUB, "8983", str(SPACES)], 8983) as (_, process),
    ):
        assert process.stdout is not None
        made, token = process.stdout.readline().split()
        print(f"making {SPACES:,} Spaces: {float(made):.2f} s, {resident(process.pid):.0f} MB of memory")
        runtimes = [f"/api/spaces/acme/s{number}/runtime" for number in range(SPACES)]
        page = ["/api/spaces?author=acme&expand=runtime&limit=1000"]
        for number in range(1, ROUNDS + 1):
            bare = load("http://127.0.0.1:8982", ["/hello"], seconds=LOAD_SECONDS)
            hub = load("http://127.0.0.1:8983", runtimes, token=token, seconds=LOAD_SECONDS)
            lists = load("http://127.0.0.1:8983", page, token=token, seconds=LOAD_SECONDS, connections=2)
            print(f"round {number}")
            show("bare starlette, hello", bare)
            show("the emulator, runtimes", hub)
            show("the emulator, pages of 1,000 runtimes", lists)
            print(
                f"  a runtime request takes {bare.per_second / hub.per_second:.1f} times as long as a hello"
            )


def show(what: str, done: Load) -> None:
    median, late = done.quantile(0.5) * 1000, done.quantile(0.99) * 1000
    print(f"  {what:<38} {done.per_second:>9,.0f} a second   median {median:6.2f} ms, 99 % in {late:6.2f} ms")


@contextmanager
def server(arguments: list[str], port: int) -> Iterator[tuple[float, subprocess.Popen[str]]]:
    """Run a server on the first core, and the load on the others.

    :returns: the seconds until the first answer, and the process of the server.
    """
    cores = sorted(os.sched_getaffinity(0))
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
    os.sched_setaffinity(process.pid, {cores[0]})
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/hello", timeout=1).close()
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.01)
        seconds = time.perf_counter() - began
        if len(cores) > 1:
            os.sched_setaffinity(0, set(cores[1:]))
        yield seconds, process
    finally:
        os.sched_setaffinity(0, set(cores))
        process.kill()
        process.wait()


def resident(pid: int) -> float:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
