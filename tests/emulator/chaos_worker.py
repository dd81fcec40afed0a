"""Drives some Spaces through changes on a bad day, and prints the result of each call.

``python -m tests.emulator.chaos_worker FIRST LAST THREADS``, with the connection in the environment.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def main() -> None:
    first, last, threads = map(int, sys.argv[1:])
    logging.disable(logging.WARNING)
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook

    hook = HfSpacesHook()
    assert hook.client.has_token
    with ThreadPoolExecutor(threads) as pool:
        reported = pool.map(lambda number: live(hook, f"acme/s{number}"), range(first, last))
        print(json.dumps(dict(reported)))


def live(hook: Any, repo_id: str) -> tuple[str, dict[str, str]]:
    """Take a Space through its life. Returns its id, and the outcome of each step."""
    steps: dict[str, Callable[[], Any]] = {
        "hardware": lambda: hook.request_hardware(repo_id, "t4-small", sleep_time=3600),
        "restart": lambda: hook.restart(repo_id),
        "duplicate": lambda: hook.duplicate(repo_id, to_id=f"{repo_id}-copy"),
        "pause": lambda: hook.pause(repo_id),
    }
    return repo_id, {name: outcome(step) for name, step in steps.items()}


def outcome(step: Callable[[], Any]) -> str:
    """Returns ``done``, ``failed: …`` or ``unknown``."""
    from airflow_provider_hfspaces.hub.errors import HubError

    try:
        step()
    except HubError as error:
        return "unknown" if error.outcome_unknown else f"failed: {error}"
    return "done"


if __name__ == "__main__":
    main()
