"""Hundreds of ways in which runs with copies can die: no copy is left, and nothing else is ever deleted.

Runs reserve, create and delete copies on an emulated Hub. A seeded chance kills their processes before or
after any request, ends runs for good, and lets the sweeper work in between, which may die too. Beside them
are Spaces that look like copies by their names, marks or owners.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.state.copies import CopyMark
from tests.copy_tools import SPACE, CopyWindow, add_marked_copy, copies, foreign_spaces, sweep
from tests.lease_tools import AirflowWithoutServer

FAST_KILLS, SLOW_KILLS = 30, 500
MOST_TRIES = 3


class Died(BaseException):
    """The end of a process, which no handler of the code catches."""


class Killer:
    """Kills the process at one of its next requests, before or after the Hub has received the request."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kills = 0
        self._remaining: int | None = None
        self._is_received = False
        send = requests.Session.request

        def request(session: requests.Session, method: str, url: str, **options: Any) -> Any:
            if self._remaining is None or threading.current_thread() is not threading.main_thread():
                return send(session, method, url, **options)
            self._remaining -= 1
            if self._remaining >= 0:
                return send(session, method, url, **options)
            self._remaining = None
            if self._is_received:
                send(session, method, url, **options)
            self.kills += 1
            raise Died

        monkeypatch.setattr(requests.Session, "request", request)

    @contextmanager
    def perhaps_kill(self, chance: random.Random) -> Iterator[None]:
        """Perhaps kill what runs in this block."""
        self._remaining = chance.randrange(8) if chance.random() < 0.6 else None
        self._is_received = chance.random() < 0.5
        try:
            yield
        finally:
            self._remaining = None


def sweep_perhaps_dies(killer: Killer, chance: random.Random) -> None:
    try:
        with killer.perhaps_kill(chance):
            sweep()
    except Died:
        pass


def one_run(
    number: int, hub: HubEmulator, airflow: AirflowWithoutServer, killer: Killer, chance: random.Random
) -> None:
    """One run with a copy, whose processes may die at any request."""
    run_id = f"run {number}"
    to_id = chance.choice([SPACE, "acme/nightly", f"acme/{'y' * 96}"])
    window = CopyWindow(run_id, to_id=to_id, poll_interval=0.001)
    for task in ("reserve", "create", "delete"):
        has_succeeded = False
        for _ in range(MOST_TRIES):
            try:
                with killer.perhaps_kill(chance):
                    window.run(task)
                has_succeeded = True
                break
            except Died:
                if chance.random() < 0.3:
                    airflow.over.add(run_id)
                    return
        if chance.random() < 0.2:
            before = set(copies(hub))
            sweep_perhaps_dies(killer, chance)
            if task != "reserve":
                assert before & {window.copy_id} <= set(copies(hub)), "a copy in use was deleted"
        if task == "reserve" and not has_succeeded:
            break
    airflow.over.add(run_id)


@pytest.mark.parametrize("kills", [FAST_KILLS, pytest.param(SLOW_KILLS, marks=pytest.mark.slow)])
def test_no_crash_leaves_an_orphan_and_no_foreign_space_is_deleted(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    airflow, killer, chance = AirflowWithoutServer(monkeypatch), Killer(monkeypatch), random.Random(kills)
    hub.add_space(SPACE)
    foreign = [SPACE, *foreign_spaces(hub, chance)]
    in_use = add_marked_copy(hub, hours_left=24)
    number = 0
    while killer.kills < kills:
        number += 1
        one_run(number, hub, airflow, killer, chance)
    sweep()
    assert [repo_id for repo_id in foreign if not hub.has_space(repo_id)] == []
    marks = {each: CopyMark.from_variables(each, hub.world.spaces[each].variables) for each in copies(hub)}
    assert [each for each, mark in marks.items() if mark is not None and each not in foreign] == [
        in_use.copy_id
    ]
    billed_ids = [item.repo_id for item in hub.bill().items if item.stopped is None]
    assert billed_ids == [in_use.copy_id], "only the copy of another Airflow may still cost money"
    deletions = [each.json["name"] for each in hub.requests if each.path == "/api/repos/delete"]
    assert len(deletions) > number / 2
    assert not set(deletions) & {repo_id.partition("/")[2] for repo_id in foreign}
