"""Commits to the emulated Hub as a client sends them, line by line."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

import requests

from airflow_provider_hfspaces.emulator import HubEmulator

__all__ = ["commit", "file_line"]


def file_line(path: str, content: bytes) -> dict[str, Any]:
    """The line of a commit that adds a file."""
    return {
        "key": "file",
        "value": {"content": base64.b64encode(content).decode(), "path": path, "encoding": "base64"},
    }


def commit(
    hub: HubEmulator,
    files: Mapping[str, bytes] | None = None,
    *more: Mapping[str, Any],
    deletions: Iterable[str] = (),
    parent: str | None = None,
    space: str = "acme/whisper",
    branch: str = "main",
    query: str = "",
) -> requests.Response:
    """Commit files and further lines to a Space."""
    header: dict[str, Any] = {"summary": "Change the app", "description": ""}
    if parent is not None:
        header["parentCommit"] = parent
    lines: list[Mapping[str, Any]] = [{"key": "header", "value": header}]
    lines += [file_line(path, content) for path, content in (files or {}).items()]
    lines += [{"key": "deletedFile", "value": {"path": path}} for path in deletions]
    return requests.post(
        f"{hub.url}/api/spaces/{space}/commit/{branch}{query}",
        data="\n".join(json.dumps(line) for line in (*lines, *more)),
        headers={"Authorization": f"Bearer {hub.token}", "Content-Type": "application/x-ndjson"},
        timeout=30,
    )
