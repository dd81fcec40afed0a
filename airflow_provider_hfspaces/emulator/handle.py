"""SpaceHandle, by which a test reads one emulated Space, changes it and injects failures.

Each method that injects a failure also has a route in the control API; see ``routes/control.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_hfspaces.emulator.apps.choice import checked_app
from airflow_provider_hfspaces.emulator.http.payloads import runtime_payload
from airflow_provider_hfspaces.emulator.model.moments import Moment
from airflow_provider_hfspaces.emulator.model.request_log import AppRequest
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.model.world import World
from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = ["SpaceHandle"]


class SpaceHandle:
    """An emulated Space in a test: its state, and the failures that a test injects.

        space = hub.add_space("acme/whisper", hardware="t4-small")
        space.fail_next_build("exit code: 1")
        assert space.stage == "RUNNING"

    Properties return the actual state. :meth:`runtime` returns what the Hub's API reports, which may lag.
    """

    def __init__(self, world: World, space: Space) -> None:
        self._world = world
        self._space = space

    def __repr__(self) -> str:
        return f"<SpaceHandle {self.repo_id} {self.stage} on {self.hardware}>"

    @property
    def repo_id(self) -> str:
        """The current ``owner/name``."""
        return self._space.repo_id

    @property
    def stage(self) -> str:
        """The actual stage, without the lag of the API."""
        return self._current().stage

    @property
    def hardware(self) -> str | None:
        """The hardware that the Space runs on; ``None`` while nothing runs."""
        return self._current().hardware

    @property
    def requested_hardware(self) -> str | None:
        """The hardware that was requested last; ``None`` for a static Space."""
        return self._current().requested

    @property
    def sleep_time(self) -> int | None:
        """Seconds without a visitor until the Space sleeps; ``None`` for never."""
        return self._current().sleep_time

    @property
    def replicas(self) -> int:
        """The requested number of replicas."""
        return self._current().replicas

    @property
    def private(self) -> bool:
        """Whether only members of the owner can see the Space."""
        return self._current().private

    @property
    def dev_mode(self) -> bool:
        """Whether dev mode is on."""
        return self._current().dev_mode

    @property
    def error_message(self) -> str | None:
        """The error message of an error stage; ``None`` in other stages."""
        return self._current().error_message

    @property
    def storage(self) -> str | None:
        """The storage tier; ``None`` without one."""
        return self._current().storage

    @property
    def secrets(self) -> dict[str, str]:
        """Secrets with their values, which the API does not show."""
        return {key: entry.value for key, entry in self._current().secrets.items()}

    @property
    def variables(self) -> dict[str, str]:
        """Variables with their values."""
        return {key: entry.value for key, entry in self._current().variables.items()}

    @property
    def volumes(self) -> list[dict[str, Any]]:
        """Volumes with the Hub's keys: ``type``, ``source``, ``mountPath``, ``readOnly``, …"""
        return [dict(volume) for volume in self._current().volumes]

    @property
    def history(self) -> list[Moment]:
        """The states that the Space has been in, oldest first. The last 10,000 are kept."""
        return list(self._current().history)

    @property
    def visits(self) -> int:
        """Number of visits to the app. A visit keeps a Space awake or wakes it."""
        return self._current().visits

    @property
    def app_url(self) -> str:
        """The address of the app, such as ``http://127.0.0.1:43122``; empty before the emulator starts."""
        with self._world.lock:
            return self._world.app_url(self._space, self._world.endpoint)

    @property
    def app_requests(self) -> list[AppRequest]:
        """The requests that reached the app, as the app saw them, oldest first. The last 20,000 are kept."""
        with self._world.lock:
            return list(self._space.app.requests)

    def app_saw(self, text: str) -> bool:
        """Whether a text reached the app: in an address, a header or the first 64 KiB of a body.

        assert not space.app_saw(hub.token)
        """
        return any(request.contains(text) for request in self.app_requests)

    def runtime(self) -> SpaceRuntime:
        """The runtime as the Hub's API reports it, which may lag behind the actual state."""
        with self._world.lock:
            return SpaceRuntime.from_payload(runtime_payload(self._space.catch_up()))

    def logs(self, *, build: bool = False) -> list[str]:
        """The lines of the app's log, or of the last build's log with ``build=True``."""
        space = self._current()
        log = space.logs.build if build else space.logs.run
        return [line.text for line in log.until(space.now())]

    def write_log(self, *lines: str, build: bool = False) -> None:
        """Write lines to the app's log, or to the last build's log with ``build=True``.

        space.write_log("step 1 of 100")
        """
        with self._world.lock:
            space = self._current()
            (space.logs.build if build else space.logs.run).write(space.now(), *lines)

    @property
    def running_sha(self) -> str | None:
        """The commit whose container answers visitors; ``None`` while nothing runs, and for static Spaces."""
        return self._current().running_sha

    def commit(
        self, files: Mapping[str, str | bytes | None], *, branch: str = "main", title: str = "Change files"
    ) -> str:
        """Commit files as another person would, and return the id of the commit.

        A commit to ``main`` starts a build, unless the Space is paused or static.

            space.commit({"app.py": "import gradio", "old.py": None})

        :param files: new content by path; ``None`` deletes a file.
        :param branch: an existing branch.
        :raises ValueError: if ``files`` is empty or has content of another type, and for a missing branch.
        """
        if not isinstance(files, Mapping) or not files:
            raise ValueError(f"files must map paths to their content; got {files!r}.")
        changes = {
            str(path): each.encode() if isinstance(each, str) else each for path, each in files.items()
        }
        wrong = [path for path, each in changes.items() if not isinstance(each, (bytes, type(None)))]
        if wrong:
            raise ValueError(f"files: the content of {', '.join(wrong)} must be text, bytes or None.")
        with self._world.lock:
            if self._space.git.branch(branch) is None:
                raise ValueError(f"Space {self.repo_id} has no branch {branch!r}. Create the branch first.")
            return self._space.commit(changes, branch, title=title).oid

    def visit(self) -> None:
        """Open the app, which wakes a sleeping Space."""
        with self._world.lock:
            self._space.visit()

    def serve(self, app: Any) -> None:
        """Serve another app. A running Space starts it at once, in a new process.

        :param app: as in :meth:`HubEmulator.add_space`.
        :raises ValueError: for an invalid app.
        """
        with self._world.lock:
            space = self._current()
            space.app.choice = checked_app(app)
            if space.app.process is not None:
                space.app.start(space.now())

    def kill_app(self) -> None:
        """Kill the app's process. The Space stays RUNNING, and a new process starts with an empty memory.

        :raises ValueError: if no app is running.
        """
        with self._world.lock:
            space = self._current()
            if space.app.process is None:
                raise ValueError(
                    f"Space {self.repo_id} has no running app to kill: its stage is {space.stage}. "
                    "Wait until the Space is RUNNING."
                )
            space.app.start(space.now(), self._world.settings.timings.boot)

    def crash(self, message: str = "Exit code: 1. Reason: application crashed") -> None:
        """Crash the app: the Space enters RUNTIME_ERROR.

        :param message: error message of the Space, also written to the app's log.

        :raises ValueError: if no app is running.
        """
        with self._world.lock:
            if not self._space.crash(message):
                raise ValueError(
                    f"Space {self.repo_id} has no running app to crash: its stage is {self._space.stage}. "
                    "Wait until the Space is RUNNING."
                )

    def fail_next_build(self, message: str = "Job failed with exit code: 1", log: Iterable[str] = ()) -> None:
        """Make the current or next build fail: the Space enters BUILD_ERROR.

        :param message: error message of the Space.
        :param log: last lines of the build log; by default the message.
        """
        with self._world.lock:
            self._current().luck.build = (message, tuple(log))
            self._space.replan()

    def fail_next_start(
        self, message: str = "Exit code: 1. Reason: application crashed", log: Iterable[str] = ()
    ) -> None:
        """Make the current or next start fail: the Space enters RUNTIME_ERROR.

        :param message: error message of the Space.
        :param log: last lines of the app's log; by default the message.
        """
        with self._world.lock:
            self._current().luck.start = (message, tuple(log))
            self._space.replan()

    def hang_next_start(self) -> None:
        """Make the current or next start hang.

        After ``timings.launch_timeout`` emulated seconds (1,800), the Space enters RUNTIME_ERROR.
        """
        with self._world.lock:
            self._current().luck.hang = True
            self._space.replan()

    def crash_loop(self, after: float = 5.0, times: int | None = None) -> None:
        """Make the app crash after each start.

        :param after: emulated seconds from RUNNING to the crash.
        :param times: number of crashes; ``None`` for no limit, 0 to stop the crashes.
        :raises ValueError: for negative numbers.
        """
        if after < 0 or (times is not None and times < 0):
            raise ValueError(f"after and times must be 0 or more; got after={after!r}, times={times!r}.")
        with self._world.lock:
            self._current().luck.crash_after, self._space.luck.crashes = after, times
            self._space.replan()

    def no_capacity(self, *hardware: str, times: int | None = None, waits: bool = False) -> None:
        """Make starts on this hardware fail with RUNTIME_ERROR, because the Hub has no machines left.

        :param hardware: flavors without machines; pass none to make all flavors available again.
        :param times: number of starts that fail; ``None`` for all.
        :param waits: whether such a start waits for machines instead of failing. After
            ``timings.launch_timeout`` emulated seconds, it fails.
        :raises ValueError: if ``times`` is less than 1.
        """
        if times is not None and (isinstance(times, bool) or times < 1):
            raise ValueError(f"times must be 1 or more; got {times!r}.")
        with self._world.lock:
            luck = self._current().luck
            luck.no_capacity, luck.capacity_failures, luck.capacity_waits = set(hardware), times, waits
            self._space.replan()

    def over_quota(self, *hardware: str) -> None:
        """Make the Hub pause the Space at its next start on this hardware, because the quota is used up.

        :param hardware: flavors whose quota is used up; pass none to make all flavors available again.
        """
        with self._world.lock:
            self._current().luck.over_quota = set(hardware)
            self._space.replan()

    def _current(self) -> Space:
        with self._world.lock:
            return self._space.catch_up()
