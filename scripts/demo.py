"""Run an example DAG in a real Airflow: an emulated Space moves to a GPU, works, and returns. Show the bill.

Needs no account and changes nothing outside this checkout.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".airflow"
LOG = HOME / "demo.log"
SPACE = "acme/whisper"
GPU = "t4-small"
SPEED = 25
BATCH_SIZE = 200
SECONDS_PER_ITEM = 1.0
WIDTH = 220
STORY = re.compile(r"airflow_provider_hfspaces\.(operators|hooks)|returned value", re.IGNORECASE)


def main() -> int:
    """Run the demo. Returns 0 if the Space is back on its own hardware."""
    prepare_airflow()
    from airflow_provider_hfspaces.emulator import GradioApp, HubEmulator

    print(f"An emulated Hub runs {SPEED} times as fast as real time. No account, no costs.\n")
    with HubEmulator(speed=SPEED) as hub:
        os.environ["AIRFLOW_CONN_HF_SPACES_DEFAULT"] = json.dumps(
            {"conn_type": "hf_spaces", "host": hub.url, "password": hub.token}
        )
        space = hub.add_space(SPACE, private=True, app=GradioApp(seconds=SECONDS_PER_ITEM))
        began = hub.now()
        print("Airflow runs example_dags/gpu_batch_window.py:\n", flush=True)
        with story():
            run = run_dag()
        settle(hub, space)
        show_tasks(run)
        show_history(space, began)
        show_batch(run)
        show_bill(hub)
        back = (space.stage, space.hardware) == ("RUNNING", "cpu-basic") and not hub.bill().running
    print(f"\nThe complete log of the run is in {LOG.relative_to(ROOT)}.")
    print("To use the real Hub, set the password of the connection hf_spaces_default to your token.")
    return 0 if back and str(run.state) == "success" else 1


def prepare_airflow() -> None:
    """Create an Airflow home with a database."""
    HOME.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        {
            "AIRFLOW_HOME": str(HOME),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(HOME / "logs"),
        }
    )
    print("Preparing Airflow …", flush=True)
    with open(LOG, "w") as log, redirected(log):
        from airflow.utils.db import upgradedb

        upgradedb()


def run_dag() -> Any:
    """Run the example DAG in this process, as ``airflow dags test`` does."""
    sys.path.insert(0, str(ROOT / "example_dags"))
    conf = {"batch_size": BATCH_SIZE, "output": str(HOME / "demo")}
    return import_module("gpu_batch_window").dag.test(run_conf=conf)


@contextlib.contextmanager
def redirected(stream: Any) -> Iterator[None]:
    """Redirect what Airflow prints to a stream."""
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        yield


class _Story(io.TextIOBase):
    """Writes everything to the log, and the messages of the Space's tasks to the screen."""

    def __init__(self, log: Any, screen: Any) -> None:
        self._log, self._screen = log, screen
        self._line = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._log.write(text)
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            if STORY.search(line):
                shown = readable(line)
                self._screen.write(f"  {shown[:WIDTH]}{'…' if len(shown) > WIDTH else ''}\n")
                self._screen.flush()
        return len(text)

    def flush(self) -> None:
        self._log.flush()


@contextlib.contextmanager
def story() -> Iterator[None]:
    """Show the messages of the Space's tasks while the DAG runs."""
    logging.captureWarnings(True)
    with open(LOG, "a") as log, redirected(_Story(log, sys.stdout)):
        yield


def readable(line: str) -> str:
    """A log line with its time and its message only."""
    line = re.sub(r"\x1b\[[0-9;]*m", "", line)
    match = re.match(r"\S*?(\d\d:\d\d:\d\d)\S*\s+\[\w+\s*\]\s+(.*?)\s+\[airflow\.", line)
    if match:
        return f"{match[1]}  {match[2]}"
    return re.sub(r"^\[\S+\]\s+\{[^}]*\}\s+\w+ - ", "", line)


def settle(hub: Any, space: Any) -> None:
    """Wait until the Space is RUNNING again, which the DAG does not wait for."""
    deadline = time.monotonic() + 30
    while space.stage != "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.1)


def show_tasks(run: Any) -> None:
    """Show when each task ran, in real time, and how it ended."""
    tasks = sorted(run.get_task_instances(), key=lambda ti: (ti.start_date is None, ti.start_date))
    rows = []
    for ti in tasks:
        began = ti.start_date.astimezone().strftime("%H:%M:%S") if ti.start_date else "-"
        took = (ti.end_date - ti.start_date).total_seconds() if ti.start_date and ti.end_date else 0
        rows.append((ti.task_id, began, f"{took:5.1f} s", str(getattr(ti.state, "value", ti.state))))
    table("Tasks", ("task", "started", "duration", "state"), rows)


def show_history(space: Any, began: float) -> None:
    """Show the stages and the hardware of the Space over the emulated time."""
    rows = []
    moments = space.history
    for moment, following in zip(moments, [*moments[1:], None], strict=True):
        at = max(moment.time - began, 0)
        lasted = "" if following is None else clock(following.time - max(moment.time, began))
        rows.append(
            (
                clock(at),
                moment.stage,
                moment.hardware or "-",
                moment.requested or "-",
                lasted,
                moment.billed or "free",
            )
        )
    table(
        "Stages of the Space (minutes and seconds of the emulated Hub)",
        ("at", "stage", "hardware", "requested", "for", "billed as"),
        rows,
    )


def show_batch(run: Any) -> None:
    """Show what the batch did, in which time, and what a thousand items cost."""
    report = next(ti for ti in run.get_task_instances() if ti.task_id == "batch").xcom_pull(task_ids="batch")
    if report is None:
        print("\nThe batch did not end. Look into the log of the run.")
        return
    emulated = report["seconds"] * SPEED
    rate = report["done"] / emulated
    table(
        "Batch (time of the emulated Hub)",
        ("items", "done", "failed", "repeated", "on", "time", "items/s", "USD per 1,000 items"),
        [
            (
                str(report["items"]),
                str(report["done"]),
                str(report["failed"]),
                str(report["repeated"]),
                report["hardware"],
                f"{emulated:.0f} s",
                f"{rate:.2f}",
                f"${thousand_items(report['hardware'], rate):.4f}",
            )
        ],
    )
    print(f"\nThe results are in {Path(report['results']).relative_to(ROOT)}.")


def thousand_items(hardware: str, rate: float) -> float:
    """USD for the time that a thousand items take."""
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook

    return (HfSpacesHook().price_list().hourly(hardware) or 0.0) / 3600 * 1000 / rate


def show_bill(hub: Any) -> None:
    """Show the cost of the run, and of a day on the GPU."""
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook

    bill = hub.bill()
    price = next(flavor for flavor in HfSpacesHook().list_hardware() if flavor.name == GPU)
    rows = [(item.hardware, f"{item.minutes} min", price.price, f"${item.usd:8.4f}") for item in bill.items]
    rows.append(("this run", f"{bill.minutes} min", "", f"${bill.total_usd:8.4f}"))
    day = (price.hourly_cost or 0) * 24
    rows.append(("a day on the GPU", "1440 min", price.price, f"${day:8.4f}"))
    table(
        "Cost (minutes of the emulated Hub, at list prices; the log counts real minutes)",
        ("", "time", "price", "USD"),
        rows,
    )
    if bill.total_usd:
        print(f"\nA {GPU} that stays on for a day costs {day / bill.total_usd:.0f} times as much.")


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds."""
    return f"{int(seconds) // 60:3d}:{int(seconds) % 60:02d}"


def table(title: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table."""
    from airflow_provider_hfspaces.hub.text import text_table

    print(f"\n{title}\n\n{text_table(header, rows)}")


if __name__ == "__main__":
    sys.exit(main())
