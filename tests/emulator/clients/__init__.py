"""The official client in its three major versions, each in an environment of its own: ``make clients``."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

__all__ = [
    "VERSIONS",
    "OfficialClient",
    "Refused",
    "addition",
    "deletion",
    "environment",
    "file_of",
    "volume",
]

VERSIONS = ("2", "1", "0")

_FOLDER = Path(
    os.environ.get("HFSPACES_CLIENTS") or Path(__file__).resolve().parents[3] / ".venv" / "clients"
)


def environment(version: str) -> Path:
    """The folder of the programs of one environment: ``"0"``, ``"1"`` or ``"2"``."""
    return _FOLDER / version / "bin"


def volume(**options: Any) -> dict[str, Any]:
    """Stands for the client's ``Volume``."""
    return {"volume": options}


def file_of(content: bytes) -> dict[str, Any]:
    """Stands for a file to upload."""
    return {"bytes": base64.b64encode(content).decode()}


def addition(path: str, content: bytes) -> dict[str, Any]:
    """Stands for the client's ``CommitOperationAdd``."""
    return {"add": path, **file_of(content)}


def deletion(path: str) -> dict[str, Any]:
    """Stands for the client's ``CommitOperationDelete``."""
    return {"delete": path}


class Refused(Exception):
    """An exception of the client, which it raised in its own process.

    :ivar kinds: the names of the exception's class and of its base classes.
    :ivar status: the status of the response that caused the exception.
    """

    def __init__(self, kinds: list[str], message: str, status: int | None) -> None:
        super().__init__(f"{kinds[0]}: {message}")
        self.kinds, self.message, self.status = kinds, message, status


class OfficialClient:
    """``HfApi`` of one version, in another process whose HF_ENDPOINT is the emulator."""

    def __init__(self, version: str, endpoint: str) -> None:
        self.kind = version
        self.token: str | None = None
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTHON"))}
        self._process = subprocess.Popen(
            [environment(version) / "python", Path(__file__).with_name("runner.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **clean,
                "HF_ENDPOINT": endpoint,
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
            },
        )

    def __getattr__(self, method: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            return self.ask(method, *arguments, **options)

        return call

    def ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Let the client call a method. Returns the result.

        :raises Refused: if the method raises an exception.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {
            "method": method,
            "arguments": arguments,
            "options": options,
            "token": self.token,
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "raised" in answer:
            raise Refused(answer["kinds"], answer["message"], answer["status"])
        return answer["returned"]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()
