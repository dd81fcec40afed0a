"""Take the screenshots of the documentation, from a real Airflow that works with an emulated Hub.

``python scripts/screenshots.py [--out docs/images] [--spaces 0] [--only fleet|form]`` requires Chromium and
the Python package ``playwright``, and names what is missing. The script starts Airflow and the emulator in
``.airflow/screenshots``, on free ports, and stops both at the end.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".airflow" / "screenshots"
DAG = "gpu_batch_window"
SPEED = 20
WIDE, TALL = {"width": 1280, "height": 800}, {"width": 1280, "height": 1080}
LOG = {"width": 1560, "height": 620}
NARROW = {"width": 390, "height": 844}
MOST_BYTES = 190_000
HARDWARE = ("cpu-basic", "cpu-upgrade", "t4-small", "a10g-small", "l4x1")
BUDGETS = "acme=8,alice=20"
STAGES = ("RUNNING", "RUNNING", "RUNNING", "SLEEPING", "PAUSED", "RUNTIME_ERROR")


def main() -> int:
    """Take all screenshots, or those that ``--only`` names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--spaces", type=int, default=0, help="add this many Spaces to the demo fleet")
    parser.add_argument(
        "--only", choices=["fleet", "form", "all"], default="all", help="take only these screenshots"
    )
    choices = parser.parse_args()
    paths = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    browser_path = next(filter(None, paths), None)
    missing = missing_parts(browser_path)
    if missing:
        print(f"The screenshots need {' and '.join(missing)}.", file=sys.stderr)
        return 1
    sys.path.insert(0, str(ROOT))
    choices.out.mkdir(parents=True, exist_ok=True)
    with running(choices.spaces) as (airflow, hub):
        if choices.only in ("fleet", "all"):
            run_dag(airflow)
            lease_spaces(airflow, hub)
        with browser(str(browser_path)) as chromium:
            take(chromium, airflow, choices.out, choices.only)
    return 0


def missing_parts(browser_path: str | None) -> list[str]:
    """The programs and packages that are not installed, each with the command that installs it."""
    missing = []
    if browser_path is None:
        missing.append("Chromium (Debian: apt-get install chromium)")
    if importlib.util.find_spec("playwright") is None:
        missing.append("playwright (pip install playwright)")
    return missing


@contextmanager
def running(more_spaces: int) -> Iterator[tuple[Any, Any]]:
    """Run Airflow with the example DAGs, a user ``admin`` and a connection to an emulated Hub."""
    from airflow_provider_hfspaces.emulator import HubEmulator
    from tests.processes.airflow_processes import AirflowProcesses

    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    passwords = HOME / "passwords.json"
    passwords.write_text(json.dumps({"admin": "admin"}))
    with HubEmulator(speed=SPEED, fleet="demo") as hub:
        for number in range(more_spaces):
            hub.add_space(
                f"acme/worker-{number:04}",
                hardware=HARDWARE[number % len(HARDWARE)],
                stage=STAGES[number % len(STAGES)],
                sleep_time=3600 if number % 3 else None,
            )
        airflow = AirflowProcesses(
            HOME,
            hub,
            dags=ROOT / "example_dags",
            environment={
                "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
                "AIRFLOW__HF_SPACES__MONTHLY_BUDGET": BUDGETS,
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            },
        )
        # Airflow shows its form only for connections in its database.
        del airflow.environment["AIRFLOW_CONN_HF_SPACES_DEFAULT"]
        connection = {"conn_type": "hf_spaces", "host": hub.url, "password": hub.token, "port": 443}
        try:
            print("Starting Airflow …", flush=True)
            airflow.airflow("db", "migrate")
            airflow.airflow("connections", "add", "hf_spaces_default", "--conn-json", json.dumps(connection))
            airflow.spawn("api-server", "api-server", "--port", str(airflow.port))
            for name in ("dag-processor", "scheduler", "triggerer"):
                airflow.spawn(name, name)
            airflow.until(airflow.answers, 120)
            yield airflow, hub
        finally:
            airflow.stop()


def run_dag(airflow: Any) -> None:
    """Run the example DAG to its end, and start it once more, so that the pages show both states."""
    print(f"Running {DAG} …", flush=True)
    parsed = f"SELECT count(*) FROM serialized_dag WHERE dag_id = '{DAG}'"
    airflow.until(lambda: airflow.query(parsed)[0][0], 120)
    airflow.airflow("dags", "unpause", DAG)
    airflow.airflow("dags", "trigger", DAG)
    ended = f"SELECT count(*) FROM dag_run WHERE dag_id = '{DAG}' AND state IN ('success', 'failed')"
    airflow.until(lambda: airflow.query(ended)[0][0], 300)
    print(f"Running {DAG} once more, until its batch works …", flush=True)
    airflow.airflow("dags", "trigger", DAG, "--conf", json.dumps({"batch_size": 200}))
    working = "SELECT count(*) FROM task_instance WHERE task_id = 'batch' AND state = 'running'"
    airflow.until(lambda: airflow.query(working)[0][0], 300)


def lease_spaces(airflow: Any, hub: Any) -> None:
    """Lease a Space to the run that works, and leave a lease on another Space behind."""
    from airflow_provider_hfspaces.state.leases import LeaseOwner, variable_name
    from tests.lease_tools import hold

    connection = {"conn_type": "hf_spaces", "host": hub.url, "password": hub.token}
    os.environ["AIRFLOW_CONN_HF_SPACES_DEFAULT"] = json.dumps(connection)
    rows = airflow.query(f"SELECT run_id FROM dag_run WHERE dag_id = '{DAG}' ORDER BY id DESC LIMIT 1")
    owner = LeaseOwner(DAG, rows[0][0], "snapshot")
    holder = hold("acme/whisper", holder_id="ab" * 16)
    name = variable_name(holder.holder_id)
    airflow.airflow("variables", "set", name, json.dumps(owner.to_dict()))
    hold("acme/forgotten-gpu", requested=("a100-large",), abandoned=True, holder_id="cd" * 16)


@contextmanager
def browser(path: str) -> Iterator[Any]:
    """Start Chromium without its requests to other servers."""
    from playwright.sync_api import sync_playwright

    switches = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=switches)
        try:
            yield chromium
        finally:
            chromium.close()


def take(chromium: Any, airflow: Any, out: Path, only: str) -> None:
    """Log in and take the screenshots."""

    def shot(name: str, prepare: Callable[[Any], Any], *, theme: str = "light", size: Any = WIDE) -> None:
        context = chromium.new_context(viewport=size, color_scheme=theme)
        context.add_init_script(f"localStorage.setItem('theme', '{theme}')")
        page = context.new_page()
        try:
            log_in(page, airflow.api)
            prepare(page)
            page.wait_for_timeout(500)
            page.screenshot(path=out / f"{name}.png")
            shrink(out / f"{name}.png")
            print(f"{out / name}.png", flush=True)
        except Exception:
            page.screenshot(path=HOME / f"{name}-failed.png")
            raise
        finally:
            context.close()

    def fleet(page: Any) -> None:
        page.goto(f"{airflow.api}/plugin/hf_spaces")
        frame = page.frame_locator("iframe")
        frame.locator("tbody tr").first.wait_for(timeout=30_000)
        frame.locator("#status", has_text="As of").wait_for(timeout=30_000)

    def form(page: Any) -> None:
        page.goto(f"{airflow.api}/connections")
        with page.expect_response("**/connections/test") as tested:
            page.get_by_role("button", name="Test Connection").first.click()
        print(f"The connection test reports: {tested.value.json()['message']}", flush=True)
        page.get_by_role("button", name="Edit").first.click()
        page.get_by_text("Extra Fields", exact=True).click()
        page.get_by_text("Owner of Spaces").wait_for(timeout=30_000)
        # The note about the test covers the form for some seconds.
        page.get_by_text("Test Connection Successful").wait_for(state="hidden", timeout=30_000)

    def log(page: Any) -> None:
        page.goto(task_url(airflow, "upgrade"))
        page.get_by_text("Requesting").first.wait_for(timeout=30_000)

    def links(page: Any) -> None:
        page.goto(task_url(airflow, "upgrade") + "/details")
        page.get_by_text("Open Space").first.wait_for(timeout=30_000)

    if only in ("fleet", "all"):
        shot("fleet", fleet)
        shot("fleet-dark", fleet, theme="dark")
        shot("fleet-narrow", fleet, size=NARROW)
    if only in ("form", "all"):
        shot("connection-form", form, size=TALL)
    if only == "all":
        shot("upgrade-log", log, size=LOG)
        shot("task-links", links)


def log_in(page: Any, api: str) -> None:
    """Log in through the login form."""
    for _ in range(3):
        page.goto(f"{api}/auth/login?next={api}/", wait_until="networkidle")
        page.locator("input[name=username]").fill("admin")
        page.locator("input[name=password]").fill("admin")
        page.get_by_role("button").last.click()
        try:
            page.wait_for_url(lambda address: "/auth/login" not in address, timeout=10_000)
            return
        except Exception:
            time.sleep(2)
    raise RuntimeError(f"Airflow did not accept the login of admin. See {HOME}/api-server.out.")


def task_url(airflow: Any, task: str) -> str:
    """The page of the newest successful instance of a task."""
    rows = airflow.query(
        f"SELECT task_id, run_id FROM task_instance WHERE dag_id = '{DAG}' AND task_id LIKE '%{task}' "
        f"AND state = 'success' ORDER BY start_date DESC LIMIT 1"
    )
    task_id, run_id = rows[0]
    return f"{airflow.api}/dags/{DAG}/runs/{quote(run_id)}/tasks/{task_id}"


def shrink(picture: Path) -> None:
    """Reduce the colours of a large picture, if Pillow is installed, to keep the repository small."""
    if picture.stat().st_size < MOST_BYTES or importlib.util.find_spec("PIL") is None:
        return
    from PIL import Image

    with Image.open(picture) as image:
        small = image.convert("RGB").quantize(colors=256, dither=Image.Dither.NONE)
    small.save(picture, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
