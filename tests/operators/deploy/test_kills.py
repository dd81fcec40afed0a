"""A worker that is killed at any step of a deployment or a rollback leaves a Space that its retry completes.

Each try runs in a process of its own, which ends itself with SIGKILL right before or right after one of its
requests. What it keeps for the next try is in a file, as it is in Airflow's database.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from huggingface_hub.utils import get_session

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.operators.deploy import shipping
from tests.airflow_tools import Try
from tests.operators.deploy.test_deploy import APP, SPACE, commits_of, deploy, files_of, state_of, write

# Imported before the processes fork, so that each of them starts at once.
assert shipping

MOST_STEPS = 60
MOST_TRIES = 3
FAILED_FOR_GOOD = 3


class FileStore:
    """A store whose values outlive the process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def values(self) -> dict[str, Any]:
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any) -> None:
        self._write({**self.values, key: value})

    def delete(self, key: str) -> None:
        self._write({name: value for name, value in self.values.items() if name != key})

    def _write(self, values: dict[str, Any]) -> None:
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(values))
        draft.replace(self.path)


class Worker:
    """Tries of one task, each in a process of its own."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.store = FileStore(folder.parent / "store.json")
        self._capfd, self._log = capfd, ""

    @property
    def log(self) -> str:
        """What all tries have logged."""
        self._log += "".join(self._capfd.readouterr())
        return self._log

    def attempt(self, kill_at: int | None = None, *, after: bool = False, only: str = "") -> int:
        """Run the task once.

        :param kill_at: the number of the request at which the process is killed.
        :param after: whether the request has taken effect by then.
        :param only: count only requests whose path ends so.
        :return: the exit code: 0 for success, 3 for a failure without retries, -9 for a kill.
        """
        process = multiprocessing.get_context("fork").Process(
            target=self._run, args=(kill_at, after, only), daemon=True
        )
        process.start()
        process.join(60)
        assert process.exitcode is not None, "the try does not end"
        return process.exitcode

    def complete(self) -> list[int]:
        """Try again as Airflow does, until the task has ended. Returns the exit codes."""
        codes = []
        while len(codes) < MOST_TRIES and (not codes or codes[-1] not in (0, FAILED_FOR_GOOD)):
            codes.append(self.attempt())
        return codes

    def _run(self, kill_at: int | None, after: bool, only: str) -> None:
        logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))
        self._count_requests(kill_at, after, only)
        run = Try()
        run.store = self.store  # type: ignore[assignment]
        code = 1
        try:
            run.run(deploy(self.folder, delete=True))
            code = 0
        except AirflowFailException as error:
            print(error)
            code = FAILED_FOR_GOOD
        except Exception as error:
            print(repr(error))
        sys.stdout.flush()
        os._exit(code)

    def _count_requests(self, kill_at: int | None, after: bool, only: str) -> None:
        request_count = [0]

        def strikes(url: str) -> bool:
            request_count[0] += url.partition("?")[0].endswith(only)
            return request_count[0] == kill_at and url.partition("?")[0].endswith(only)

        def kill_before_or_after(original: Any, url_of: Any) -> Any:
            def send(*args: Any, **options: Any) -> Any:
                struck = strikes(url_of(args))
                if struck and not after:
                    os.kill(os.getpid(), signal.SIGKILL)
                answer = original(*args, **options)
                if struck:
                    os.kill(os.getpid(), signal.SIGKILL)
                return answer

            return send

        requests.Session.request = kill_before_or_after(  # type: ignore[method-assign]
            requests.Session.request, lambda args: args[2]
        )
        client = type(get_session())
        client.send = kill_before_or_after(client.send, lambda args: str(args[1].url))  # type: ignore[method-assign]


@pytest.fixture
def worker(tmp_path: Path, hub: HubEmulator, capfd: pytest.CaptureFixture[str]) -> Worker:
    return Worker(write(tmp_path / "app", APP), capfd)


def prepare(hub: HubEmulator, worker: Worker, *, is_broken: bool) -> dict[str, bytes]:
    """A Space with an app that the deployment replaces, perhaps by a broken one. Returns its files."""
    hub.reset()
    worker.store.path.unlink(missing_ok=True)
    space = hub.add_space(SPACE)
    if is_broken:
        space.fail_next_build()
    return files_of(hub)


def check_deployed(hub: HubEmulator, worker: Worker, codes: list[int]) -> None:
    assert codes[-1] == 0, worker.log[-3000:]
    assert commits_of(hub) == ["Deploy", "initial commit"]
    assert state_of(hub) == ("RUNNING", hub.branches(SPACE)["main"])
    assert files_of(hub)["app.py"] == APP["app.py"].encode()  # type: ignore[union-attr]
    assert worker.store.values == {}


def check_rolled_back(hub: HubEmulator, worker: Worker, codes: list[int], content: dict[str, bytes]) -> None:
    assert codes[-1] == FAILED_FOR_GOOD, worker.log[-3000:]
    assert [title.split()[0] for title in commits_of(hub)] == ["Roll", "Deploy", "initial"]
    assert state_of(hub) == ("RUNNING", hub.branches(SPACE)["main"])
    assert files_of(hub) == content
    assert worker.store.values == {}
    assert "The Space is rolled back" in worker.log


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_worker_killed_around_its_commit_makes_one_commit(
    hub: HubEmulator, worker: Worker, after: bool
) -> None:
    prepare(hub, worker, is_broken=False)
    assert worker.attempt(1, after=after, only="/commit/main") == -signal.SIGKILL
    check_deployed(hub, worker, worker.complete())
    assert ("was made by an earlier try" in worker.log) is after


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_worker_killed_around_its_rollback_makes_one_rollback(
    hub: HubEmulator, worker: Worker, after: bool
) -> None:
    content = prepare(hub, worker, is_broken=True)
    assert worker.attempt(2, after=after, only="/commit/main") == -signal.SIGKILL
    check_rolled_back(hub, worker, worker.complete(), content)
    assert "an earlier try has begun to roll it back" in worker.log


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("is_broken", [False, True], ids=["a deployment", "a rollback"])
def test_a_worker_may_be_killed_at_each_request(
    hub: HubEmulator, worker: Worker, is_broken: bool, after: bool
) -> None:
    for step in range(1, MOST_STEPS):
        content = prepare(hub, worker, is_broken=is_broken)
        code = worker.attempt(step, after=after)
        if code != -signal.SIGKILL:
            assert step > 10, "too few requests were counted"
            return
        if is_broken:
            check_rolled_back(hub, worker, worker.complete(), content)
        else:
            check_deployed(hub, worker, worker.complete())
    raise AssertionError("the task sends more requests than this test counts")
