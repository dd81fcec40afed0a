"""Real Gradio apps as processes, and gradio_client beside them, each in the environment of its version."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow_provider_hfspaces.space_app import SpaceApp
from airflow_provider_hfspaces.space_app.files import is_file, is_path_like
from tests.conftest import ROOT

HERE = Path(__file__).parent / "environments"
START_SECONDS = 90


def python(major: int) -> Path:
    """The interpreter of an environment, see ``make apps``."""
    return ROOT / ".venv" / "apps" / str(major) / "bin" / "python"


class RealApp:
    """A Gradio app in a process.

    :param queue: number of calls that may wait.
    """

    def __init__(self, major: int, home: Path, *, queue: int | None = None, login: str | None = None) -> None:
        self.major = major
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_TEMP_DIR": str(home / "gradio"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HOME": str(home / "huggingface"),
            **({"APP_LOGIN": login} if login else {}),
        }
        self._queue = [] if queue is None else [str(queue)]
        self._home = home
        self.start()

    def start(self) -> None:
        """Start the process, and wait until it serves."""
        self._log = (self._home / f"app-{self.port}.log").open("ab")
        self.process = subprocess.Popen(
            [str(python(self.major)), str(HERE / "app.py"), str(self.port), *self._queue],
            env=self._settings,
            stdout=self._log,
            stderr=self._log,
        )
        ends = time.monotonic() + START_SECONDS
        while time.monotonic() < ends and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.url}/config", timeout=5).close()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                pass
            time.sleep(0.3)
        raise AssertionError((self._home / f"app-{self.port}.log").read_text()[-2_000:])

    def kill(self) -> None:
        """End the process without any warning."""
        self.process.kill()
        self.process.wait(30)
        self._log.close()

    @contextlib.contextmanager
    def oracle(self) -> Iterator[Oracle]:
        """Run gradio_client against this app."""
        process = subprocess.Popen(
            [str(python(self.major)), str(HERE / "oracle.py"), self.url],
            env=self._settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield Oracle(process)
        finally:
            process.kill()
            process.communicate()


class Oracle:
    """gradio_client in a process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._read()

    def answer(self, api: str, inputs: Any, **options: Any) -> dict[str, Any]:
        """What a call returns, as ``value``, or raises, as ``error``."""
        assert self._process.stdin is not None
        order = {"api": api, "inputs": sort_keys(inputs), **options}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def sort_keys(value: Any) -> Any:
    """Inputs as the oracle reads them: a path becomes the name of a file."""
    if is_path_like(value):
        return {"file": str(value)}
    if isinstance(value, dict):
        return {key: sort_keys(each) for key, each in value.items()}
    return [sort_keys(each) for each in value] if isinstance(value, list) else value


def plain(app: SpaceApp, value: Any, folder: Path) -> Any:
    """An answer with the SHA-256 of its files, which are downloaded."""
    if is_file(value):
        app.download(value, folder / "downloaded")
        return {"file": hashlib.sha256((folder / "downloaded").read_bytes()).hexdigest()}
    if isinstance(value, dict):
        return {key: plain(app, each, folder) for key, each in value.items()}
    return [plain(app, each, folder) for each in value] if isinstance(value, list) else value
