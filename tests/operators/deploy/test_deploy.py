"""A folder is shipped in one commit, and the task succeeds when exactly this commit answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_hfspaces.compat.imports import AIRFLOW_3, AirflowFailException
from airflow_provider_hfspaces.emulator import Fault, HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.errors import HubError, SpaceWaitFailed, SpaceWaitTimeout
from airflow_provider_hfspaces.operators.deploy import DeploySpaceOperator
from tests.airflow_tools import Try, first_event, in_another_process, reload_trigger
from tests.conftest import TaskLog
from tests.emulator.commits import commit
from tests.lease_tools import AirflowWithoutServer, Window

SPACE = "acme/whisper"
README = "---\ntitle: Whisper\nsdk: gradio\n---\n"
APP = {"README.md": README, "app.py": "print(1)\n", "assets/ünïcödé ß.txt": "Grüße"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an app."""
    return write(tmp_path / "app", APP)


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def deploy(folder: Path | str, **options: Any) -> DeploySpaceOperator:
    return DeploySpaceOperator(
        **{"task_id": "deploy", "repo_id": SPACE, "source": folder, "poll_interval": 0.02, **options}
    )


def files_of(hub: HubEmulator, space: str = SPACE) -> dict[str, bytes]:
    """The files on the Space's branch main."""
    return {path: bytes(content) for path, content in hub.world.spaces[space].files.items()}


def commits_of(hub: HubEmulator, space: str = SPACE) -> list[str]:
    """The titles of the commits on main, newest first."""
    git = hub.world.spaces[space].git
    return [each.title for each in git.history(git.main)]


def state_of(hub: HubEmulator) -> tuple[str, str | None]:
    runtime = hub.space(SPACE).runtime()
    return runtime.stage, runtime.sha


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_task_succeeds_when_exactly_its_commit_runs(
    hub: HubEmulator, folder: Path, deferrable: bool
) -> None:
    hub.add_space(SPACE)
    before = hub.branches(SPACE)["main"]
    task = deploy(folder, deferrable=deferrable)
    result = Try().run_deferred(task) if deferrable else Try().run(task)
    assert state_of(hub) == ("RUNNING", result["sha"])
    assert (result["previous_sha"], result["committed"], result["created"]) == (before, True, False)
    assert sorted(result["changed_files"]) == sorted(APP)
    assert result["url"] == f"{hub.url}/spaces/{SPACE}"
    assert result["seconds"] >= 0
    assert {path: content.decode() for path, content in files_of(hub).items() if path in APP} == APP
    assert len(commits_of(hub)) == 2


def test_the_log_does_not_show_the_signed_addresses_of_uploads(
    hub: HubEmulator, folder: Path, task_log: TaskLog
) -> None:
    hub.add_space(SPACE)
    write(folder, {"model.bin": b"\0" * 2000})
    Try().run(deploy(folder))
    assert "model.bin" in task_log.text
    assert "HTTP Request" not in task_log.text


class TestUnchanged:
    def test_an_unchanged_folder_makes_no_commit(
        self, hub: HubEmulator, folder: Path, task_log: TaskLog
    ) -> None:
        hub.add_space(SPACE)
        sha = Try().run(deploy(folder))["sha"]
        result = Try().run(deploy(folder))
        assert (result["sha"], result["committed"], result["changed_files"]) == (sha, False, [])
        assert len(commits_of(hub)) == 2
        assert "the source is unchanged, nothing to commit" in task_log.text

    def test_only_what_differs_is_sent(self, hub: HubEmulator, folder: Path) -> None:
        hub.add_space(SPACE)
        Try().run(deploy(folder))
        write(folder, {"app.py": "print(2)\n", "new.py": "x"})
        result = Try().run(deploy(folder))
        assert sorted(result["changed_files"]) == ["app.py", "new.py"]
        assert files_of(hub)["app.py"] == b"print(2)\n"

    @pytest.mark.parametrize("stage", ["SLEEPING", "RUNTIME_ERROR", "BUILD_ERROR"])
    def test_a_space_that_does_not_run_its_commit_is_restarted(
        self, hub: HubEmulator, folder: Path, stage: str
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small", sleep_time=3600)
        Try().run(deploy(folder))
        if stage == "SLEEPING":
            hub.advance(3600)
        elif stage == "RUNTIME_ERROR":
            space.crash()
        else:
            space.fail_next_build()
            HfSpacesHook().restart(SPACE)
            hub.advance(200)
        assert space.stage == stage
        result = Try().run(deploy(folder))
        assert result["committed"] is False
        assert state_of(hub) == ("RUNNING", result["sha"])


class TestCreation:
    def test_a_missing_space_is_created_with_all_settings_in_one_request(
        self, hub: HubEmulator, folder: Path
    ) -> None:
        hub.add_space("acme/base")
        result = Try().run(
            deploy(
                folder,
                hardware="t4-small",
                sleep_time="360000",
                secrets={"TOKEN": "s3cr3t"},
                variables={"MODEL": "large"},
                volumes=[{"type": "bucket", "source": "acme/data", "mount_path": "/data"}],
            )
        )
        assert result["created"] is True
        space = hub.space(SPACE)
        assert (space.private, space.hardware, space.sleep_time) == (True, "t4-small", 360000)
        assert (space.secrets, space.variables) == ({"TOKEN": "s3cr3t"}, {"MODEL": "large"})
        assert state_of(hub) == ("RUNNING", result["sha"])
        posts = [request.path for request in hub.requests if request.method not in ("GET", "HEAD")]
        assert len([path for path in posts if path.endswith(("/create", "/hardware", "/secrets"))]) == 1

    def test_settings_of_a_new_space_leave_an_existing_space_alone(
        self, hub: HubEmulator, folder: Path
    ) -> None:
        space = hub.add_space(SPACE)
        Try().run(deploy(folder, hardware="t4-small", visibility="private", variables={"A": "1"}))
        assert (space.hardware, space.private, space.variables) == ("cpu-basic", False, {})

    def test_the_sdk_is_needed_if_the_readme_does_not_name_one(
        self, hub: HubEmulator, tmp_path: Path
    ) -> None:
        hub.add_space("acme/base")
        folder = write(tmp_path / "app", {"app.py": "1"})
        with pytest.raises(AirflowFailException, match="sdk is needed to create Space acme/whisper"):
            Try().run(deploy(folder))
        assert Try().run(deploy(folder, sdk="gradio"))["created"] is True

    def test_without_create_a_missing_space_fails_the_task(self, hub: HubEmulator, folder: Path) -> None:
        with pytest.raises(AirflowFailException, match=r"does not exist. Nothing was sent"):
            Try().run(deploy(folder, create=False))

    def test_a_renamed_space_is_not_created_again_under_its_old_id(
        self, hub: HubEmulator, folder: Path
    ) -> None:
        hub.add_space(SPACE)
        HfSpacesHook().move_space(SPACE, "acme/other")
        with pytest.raises(AirflowFailException, match=r"was renamed to acme/other. Nothing was sent"):
            Try().run(deploy(folder))
        assert commits_of(hub, "acme/other") == ["initial commit"]

    def test_a_retry_after_a_lost_answer_to_the_creation_continues_with_the_space(
        self, hub: HubEmulator, folder: Path
    ) -> None:
        hub.add_space("acme/base")
        hub.faults.add(Fault("reset", path="/repos/create$", after=True, times=1))
        result = Try().run(deploy(folder))
        assert (result["created"], len(commits_of(hub))) == (True, 2)

    def test_a_static_space_serves_its_files_at_once(self, hub: HubEmulator, tmp_path: Path) -> None:
        hub.add_space("acme/base")
        folder = write(tmp_path / "page", {"index.html": "<p>Hi</p>"})
        result = Try().run(deploy(folder, sdk="static"))
        assert files_of(hub)["index.html"] == b"<p>Hi</p>"
        assert result["sha"] == hub.branches(SPACE)["main"]


class TestFiles:
    def test_ignored_files_are_not_sent(self, hub: HubEmulator, folder: Path) -> None:
        hub.add_space(SPACE)
        write(
            folder,
            {
                ".gitignore": "*.log\n/build/\nassets/*.tmp\n!keep.log\n",
                "a.log": "",
                "keep.log": "",
                "build/x": "",
                "src/build/y": "",
                "assets/.gitignore": "!b.tmp\n",
                "assets/a.tmp": "",
                "assets/b.tmp": "",
                ".git/config": "",
                "__pycache__/app.pyc": "",
                "data/big.bin": "",
                "notes.md": "",
            },
        )
        result = Try().run(deploy(folder, ignore=["data/", "*.md", "!README.md"]))
        shipped_paths = {".gitignore", "assets/.gitignore", "assets/b.tmp", "keep.log", "src/build/y", *APP}
        assert set(result["changed_files"]) == shipped_paths

    @pytest.mark.parametrize(
        ("delete", "remaining"),
        [
            (False, {"old.py", "old/a.txt", "old/b.txt"}),
            (True, set()),
            (["old/"], {"old.py"}),
            ("['*.py', 'old/a.*']", {"old/b.txt"}),
        ],
    )
    def test_delete_removes_what_left_the_source(
        self, hub: HubEmulator, folder: Path, delete: Any, remaining: set[str]
    ) -> None:
        hub.add_space(SPACE)
        commit(hub, {"old.py": b"1", "old/a.txt": b"2", "old/b.txt": b"3"})
        (folder / "README.md").unlink()
        result = Try().run(deploy(folder, delete=delete))
        assert {path for path in files_of(hub) if path.startswith("old")} == remaining
        assert {"README.md", ".gitattributes"} <= set(files_of(hub))
        assert result["deleted_count"] == 3 - len(remaining)

    def test_a_dry_run_lists_what_would_be_sent_and_changes_nothing(
        self, hub: HubEmulator, folder: Path, task_log: TaskLog
    ) -> None:
        hub.add_space(SPACE)
        commit(hub, {"old.py": b"1"})
        head = hub.branches(SPACE)["main"]
        result = Try().run(deploy(folder, dry_run=True, delete=True))
        assert (result["dry_run"], result["create"], result["deleted_files"]) == (True, False, ["old.py"])
        assert sorted(result["changed_files"]) == sorted(APP)
        assert "deleted  old.py" in task_log.text
        assert hub.branches(SPACE)["main"] == head
        missing = Try().run(deploy(folder, repo_id="acme/new", dry_run=True))
        assert (missing["create"], "acme/new" in hub.world.spaces) == (True, False)

    @pytest.mark.parametrize("scheme", ["file", "memory"])
    def test_the_source_may_be_in_an_object_storage(
        self, hub: HubEmulator, folder: Path, tmp_path: Path, scheme: str
    ) -> None:
        hub.add_space(SPACE)
        source = f"file://{folder}"
        if scheme == "memory":
            attach = import_module("airflow.sdk.io" if AIRFLOW_3 else "airflow.io.store").attach
            attach("memory", fs=MemoryFileSystem())
            source = f"memory://{tmp_path.name}/app"
            for path, content in APP.items():
                with MemoryFileSystem().open(f"/{tmp_path.name}/app/{path}", "wb") as file:
                    file.write(content.encode())
        assert sorted(Try().run(deploy(source))["changed_files"]) == sorted(APP)

    def test_a_relative_source_starts_from_the_folder_of_the_dag_file(
        self, hub: HubEmulator, folder: Path
    ) -> None:
        hub.add_space(SPACE)
        dag = SimpleNamespace(fileloc=str(folder.parent / "dag.py"))
        assert Try().run(deploy("app"), dag=dag)["committed"] is True


class TestSource:
    def test_a_source_without_files_is_refused(self, hub: HubEmulator, tmp_path: Path) -> None:
        empty = write(tmp_path / "empty", {".gitignore": "*\n"})
        for source, message in [
            (empty, "has no file to ship: patterns exclude all 1 entries"),
            (tmp_path / "missing", "does not exist on this worker"),
            (empty / ".gitignore", "is a file"),
        ]:
            with pytest.raises(AirflowFailException, match=message):
                Try().run(deploy(source))
        assert hub.requests == []

    def test_a_link_that_leads_out_of_the_source_is_refused(
        self, hub: HubEmulator, folder: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "outside.txt").write_text("x")
        (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
        with pytest.raises(AirflowFailException, match=r"'link.txt' is a link that leads out of it"):
            Try().run(deploy(folder))
        (folder / "link.txt").unlink()
        (folder / "linked").symlink_to(tmp_path)
        with pytest.raises(AirflowFailException, match="'linked' is a link to a folder"):
            Try().run(deploy(folder))
        assert hub.requests == []

    @pytest.mark.parametrize(
        ("path", "content", "reason"),
        [
            (".env", "A=1", "by its name"),
            ("config/.env.production", "A=1", "by its name"),
            ("certs/server.key", "x", "by its name"),
            (".ssh/id_ed25519", "x", "by its name"),
            ("a.py", "token = 'hf_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0iL3o'", "a Hugging Face token"),
            ("key.txt", "-----BEGIN RSA PRIVATE KEY-----\nabc", "a private key"),
            ("aws.cfg", "AKIA" + "Q3EXAMPLE7XYZ12B", "an AWS access key"),
        ],
    )
    def test_a_likely_secret_is_refused_unless_it_is_named(
        self, hub: HubEmulator, folder: Path, path: str, content: str, reason: str
    ) -> None:
        hub.add_space(SPACE)
        write(folder, {path: content})
        with pytest.raises(AirflowFailException, match="files that look like secrets") as excinfo:
            Try().run(deploy(folder))
        assert path in str(excinfo.value)
        assert reason in str(excinfo.value)
        assert "hf_" not in str(excinfo.value)
        assert hub.requests == []
        assert path in Try().run(deploy(folder, allow_secrets=[path]))["changed_files"]

    def test_examples_and_placeholders_are_not_secrets(self, hub: HubEmulator, folder: Path) -> None:
        hub.add_space(SPACE)
        write(folder, {".env.example": "A=", "doc.md": "hf_" + "x" * 34, "model.bin": b"\0hf_" + b"aB3" * 12})
        assert Try().run(deploy(folder))["committed"] is True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": " "}, "source of task 'deploy' is empty"),
        ({"sdk": "streamlit"}, "sdk of task 'deploy' must be one of gradio"),
        ({"visibility": "hidden"}, "visibility of task 'deploy' must be one of private"),
        ({"on_failure": "retry"}, "on_failure of task 'deploy' must be one of rollback, pause, keep"),
        ({"commit_message": ""}, "commit_message of task 'deploy' is empty"),
    ],
)
def test_an_argument_that_is_not_valid_is_refused_when_the_dag_is_parsed(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        deploy(**{"folder": "app", **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parent_commit": "main"}, "'main' is not a commit"),
        ({"sleep_time": 0}, "sleep_time must not be 0"),
        ({"variables": {"1": "x"}}, "is not a valid key of a variable"),
    ],
)
def test_a_rendered_argument_that_is_not_valid_is_refused_before_any_request(
    hub: HubEmulator, folder: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(AirflowFailException, match=message):
        Try().run(deploy(folder, **options))
    assert hub.requests == []


class TestConcurrentPushes:
    def test_a_repository_at_another_commit_than_parent_commit_is_left_alone(
        self, hub: HubEmulator, folder: Path
    ) -> None:
        hub.add_space(SPACE)
        old = hub.branches(SPACE)["main"]
        new = str(commit(hub, {"x": b"1"}).json()["commitOid"])
        with pytest.raises(
            AirflowFailException, match=f"is at commit {new[:7]}, not at parent_commit {old[:7]}"
        ):
            Try().run(deploy(folder, parent_commit=old))
        assert hub.branches(SPACE)["main"] == new
        assert Try().run(deploy(folder, parent_commit=new[:8]))["previous_sha"] == new

    def test_a_push_between_the_look_and_the_commit_is_not_overwritten(
        self, hub: HubEmulator, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.add_space(SPACE)
        pushes = before_commit(monkeypatch, lambda: commit(hub, {"app.py": b"theirs"}))
        run = Try()
        with pytest.raises(
            HubError, match=r"somebody has pushed since this task read it. Nothing was committed"
        ):
            run.run(deploy(folder))
        assert files_of(hub)["app.py"] == b"theirs"
        assert len(pushes) == 1
        assert run.run(deploy(folder))["committed"] is True

    def test_a_push_after_an_earlier_try_has_committed_fails_the_task(
        self, hub: HubEmulator, folder: Path
    ) -> None:
        hub.add_space(SPACE)
        run = Try()
        run.deferral(deploy(folder, deferrable=True))
        commit(hub, {"app.py": b"theirs"})
        with pytest.raises(AirflowFailException, match=r"has made commit .*, and somebody has pushed"):
            run.run(deploy(folder))
        assert files_of(hub)["app.py"] == b"theirs"
        assert run.run(deploy(folder))["committed"] is True, "after a clear, the source is deployed again"


class TestFailure:
    @pytest.mark.parametrize("deferrable", [False, True])
    @pytest.mark.parametrize("serves", [False, True], ids=["nothing serves", "the old app serves"])
    def test_a_broken_build_leaves_the_old_content_serving(
        self, hub: HubEmulator, folder: Path, task_log: TaskLog, deferrable: bool, serves: bool
    ) -> None:
        hub.settings.failed_build_serves = serves
        space = hub.add_space(SPACE)
        good = Try().run(deploy(folder))["sha"]
        content = files_of(hub)
        write(folder, {"app.py": "import missing\n", "new.py": "1"})
        (folder / "assets" / "ünïcödé ß.txt").unlink()
        space.fail_next_build("Job failed with exit code: 1", log=["ERROR: No module named missing"])
        run, task = Try(), deploy(folder, delete=True, deferrable=deferrable)
        play = resume if deferrable else Try.run
        with pytest.raises(
            AirflowFailException, match="The Space is rolled back: it runs the content"
        ) as excinfo:
            play(run, task)
        assert "its build failed (BUILD_ERROR)" in str(excinfo.value)
        assert "Job failed with exit code: 1" in str(excinfo.value)
        assert "ERROR: No module named missing" in task_log.text
        assert files_of(hub) == content
        assert state_of(hub) == ("RUNNING", hub.branches(SPACE)["main"])
        assert commits_of(hub)[:3] == [f"Roll back to {good[:7]}", "Deploy", "Deploy"]
        assert run.store.values == {}

    def test_a_broken_app_is_rolled_back(self, hub: HubEmulator, folder: Path, task_log: TaskLog) -> None:
        space = hub.add_space(SPACE)
        content = files_of(hub)
        space.fail_next_start(log=["Traceback: boom"])
        with pytest.raises(AirflowFailException, match=r"its app failed.*rolled back"):
            Try().run(deploy(folder, delete=True))
        assert files_of(hub) == content
        assert "Traceback: boom" in task_log.text

    def test_a_commit_that_does_not_run_in_time_is_rolled_back(self, hub: HubEmulator, folder: Path) -> None:
        hub.add_space(SPACE)
        hub.settings.change({"runtime_has_sha": False, "timings": {"build": 0, "start": 0}})
        with pytest.raises(AirflowFailException, match=r"at a commit that the Hub does not report.*either"):
            Try().run(deploy(folder, timeout=0.3))

    def test_a_rollback_that_does_not_run_either_says_so(
        self, hub: HubEmulator, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        space = hub.add_space(SPACE)
        space.fail_next_build()
        before_commit(monkeypatch, space.fail_next_build, number=2)
        run = Try()
        with pytest.raises(AirflowFailException, match="The rollback to the content of commit"):
            run.run(deploy(folder))
        assert run.store.values == {}

    def test_a_rollback_does_not_overwrite_a_push(
        self, hub: HubEmulator, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        space = hub.add_space(SPACE)
        space.fail_next_build()
        before_commit(monkeypatch, lambda: commit(hub, {"app.py": b"theirs"}), number=2)
        with pytest.raises(AirflowFailException, match="not rolled back: somebody has pushed to it since"):
            Try().run(deploy(folder))
        assert files_of(hub)["app.py"] == b"theirs"

    def test_a_space_without_an_earlier_app_is_not_rolled_back(
        self, hub: HubEmulator, folder: Path, task_log: TaskLog
    ) -> None:
        hub.add_space("acme/base")
        run = Try()
        deferred = run.deferral(deploy(folder, deferrable=True))
        hub.space(SPACE).fail_next_build()
        with pytest.raises(SpaceWaitFailed, match="its build failed"):
            finish(run, deploy(folder), deferred)
        assert "is not rolled back: no app ran before" in task_log.text
        assert len(commits_of(hub)) == 2

    def test_on_failure_pause_pauses_the_space(self, hub: HubEmulator, folder: Path) -> None:
        space = hub.add_space(SPACE)
        space.fail_next_build()
        with pytest.raises(AirflowFailException, match="The Space is paused, as on_failure says"):
            Try().run(deploy(folder, on_failure="pause"))
        assert space.stage == "PAUSED"
        assert len(commits_of(hub)) == 2

    def test_on_failure_keep_leaves_the_space_alone_and_a_retry_attaches(
        self, hub: HubEmulator, folder: Path
    ) -> None:
        space = hub.add_space(SPACE)
        space.fail_next_build()
        run = Try()
        with pytest.raises(SpaceWaitFailed, match="its build failed"):
            run.run(deploy(folder, on_failure="keep"))
        assert (space.stage, len(commits_of(hub))) == ("BUILD_ERROR", 2)
        with pytest.raises(SpaceWaitFailed, match="its build failed"):
            run.run(deploy(folder, on_failure="keep", timeout=0.4))
        assert len(commits_of(hub)) == 2

    def test_a_killed_task_leaves_its_commit(self, hub: HubEmulator, folder: Path) -> None:
        hub.add_space(SPACE)
        task = deploy(folder)
        wait_for = task.hook.wait_for

        def wait_while_killed(*args: Any, **options: Any) -> Any:
            task.on_kill()
            return wait_for(*args, **options)

        task.hook.wait_for = wait_while_killed  # type: ignore[method-assign]
        with pytest.raises(SpaceWaitFailed, match="was stopped"):
            Try().run(task)
        assert len(commits_of(hub)) == 2


class TestHealth:
    @pytest.fixture(autouse=True)
    def _quick_builds_and_logs(self, hub: HubEmulator) -> None:
        hub.settings.change({"timings": {"build": 0, "start": 0}, "logs_end": "at_once"})

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_the_task_succeeds_when_the_app_answers(
        self, hub: HubEmulator, folder: Path, deferrable: bool
    ) -> None:
        space = hub.add_space(SPACE)
        hub.faults.add(kind="status", app=SPACE, status=503, times=2)
        task = deploy(folder, health=True, deferrable=deferrable)
        result = Try().run_deferred(task) if deferrable else Try().run(task)
        assert result["committed"] is True
        assert len(space.app_requests) == 1, "the probes end with the first answer"

    def test_an_app_that_does_not_answer_is_rolled_back_without_the_new_health_check(
        self, hub: HubEmulator, folder: Path
    ) -> None:
        hub.add_space(SPACE)
        content = files_of(hub)
        hub.faults.add(kind="status", app=SPACE, status=503)
        with pytest.raises(AirflowFailException, match=r"503.*The Space is rolled back"):
            Try().run(deploy(folder, health="/", delete=True, timeout=0.5))
        assert files_of(hub) == content

    def test_an_unchanged_app_has_to_answer_too(self, hub: HubEmulator, folder: Path) -> None:
        hub.add_space(SPACE)
        Try().run(deploy(folder))
        hub.faults.add(kind="status", app=SPACE, status=503)
        with pytest.raises(SpaceWaitTimeout, match="503"):
            Try().run(deploy(folder, health=True, timeout=0.2))
        assert len(commits_of(hub)) == 2

    def test_a_health_check_without_a_wait_is_refused_when_the_dag_is_parsed(self) -> None:
        with pytest.raises(ValueError, match="health of task 'deploy' has no effect with wait=False"):
            deploy("app", health=True, wait=False)


class TestLeases:
    def test_a_space_that_another_run_has_leased_is_left_alone(
        self, hub: HubEmulator, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        airflow = AirflowWithoutServer(monkeypatch)
        hub.add_space(SPACE)
        Window("nightly").run("snapshot")
        run = Try()
        with pytest.raises(HubError, match=r"is leased by .*nightly.*Nothing was sent"):
            run.run(deploy(folder))
        assert len(commits_of(hub)) == 1
        airflow.over.add("nightly")
        assert run.run(deploy(folder))["committed"] is True

    def test_a_task_of_the_run_that_has_leased_the_space_may_deploy(
        self, hub: HubEmulator, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        AirflowWithoutServer(monkeypatch)
        hub.add_space(SPACE)
        Window("run").run("snapshot")
        assert Try().run(deploy(folder))["committed"] is True


class TestPaused:
    def test_a_paused_space_is_not_deployed_to(self, hub: HubEmulator, folder: Path) -> None:
        hub.add_space(SPACE, stage="PAUSED")
        with pytest.raises(AirflowFailException, match="is paused, and a commit does not start it"):
            Try().run(deploy(folder))
        assert len(commits_of(hub)) == 1

    def test_without_wait_a_paused_space_gets_the_commit(self, hub: HubEmulator, folder: Path) -> None:
        space = hub.add_space(SPACE, stage="PAUSED")
        assert Try().run(deploy(folder, wait=False))["committed"] is True
        assert (space.stage, len(commits_of(hub))) == ("PAUSED", 2)


class TestRetry:
    @pytest.mark.parametrize("after", [True, False], ids=["the answer is lost", "the request is lost"])
    def test_a_retry_recognises_its_own_commit(
        self, hub: HubEmulator, folder: Path, task_log: TaskLog, after: bool
    ) -> None:
        hub.add_space(SPACE)
        hub.faults.add(Fault("reset", method="POST", path="/commit/main$", after=after, times=1))
        run = Try()
        if not after:
            with pytest.raises(HubError, match="no answer from the Hub"):
                run.run(deploy(folder))
        result = run.run(deploy(folder))
        assert (result["committed"], len(commits_of(hub))) == (True, 2)
        assert run.store.values == {}

    def test_a_commit_whose_answer_the_client_cannot_read_is_recognised(
        self, hub: HubEmulator, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As with huggingface_hub 1.0 and an endpoint of one's own."""
        from huggingface_hub import HfApi

        original = HfApi.create_commit

        def create_commit(self: HfApi, *args: Any, **options: Any) -> Any:
            original(self, *args, **options)
            raise ValueError("Unable to retrieve user and repo ID from the passed HF ID")

        monkeypatch.setattr(HfApi, "create_commit", create_commit)
        hub.add_space(SPACE)
        assert Try().run(deploy(folder))["committed"] is True
        assert len(commits_of(hub)) == 2

    def test_a_retry_after_the_death_of_the_worker_attaches_to_the_commit(
        self, hub: HubEmulator, folder: Path, task_log: TaskLog
    ) -> None:
        hub.add_space(SPACE)
        run = Try()
        run.deferral(deploy(folder, deferrable=True))
        result = run.run(deploy(folder))
        assert "was made by an earlier try" in task_log.text
        assert (result["committed"], len(commits_of(hub))) == (True, 2)
        assert sorted(result["changed_files"]) == sorted(APP)

    def test_a_source_that_changed_between_the_tries_is_committed(
        self, hub: HubEmulator, folder: Path
    ) -> None:
        hub.add_space(SPACE)
        before = hub.branches(SPACE)["main"]
        run = Try()
        run.deferral(deploy(folder, deferrable=True))
        write(folder, {"app.py": "print(2)\n"})
        result = run.run(deploy(folder))
        assert (result["previous_sha"], len(commits_of(hub))) == (before, 3)
        assert state_of(hub) == ("RUNNING", result["sha"])


def test_without_the_official_client_the_task_says_what_to_install(
    hub: HubEmulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_space(SPACE)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(AirflowFailException, match=r"Install 'airflow-provider-hfspaces\[deploy\]'"):
        Try().run(deploy(folder))
    assert len(commits_of(hub)) == 1


def test_a_readme_that_the_hub_refuses_fails_the_task_without_a_commit(
    hub: HubEmulator, folder: Path
) -> None:
    hub.add_space(SPACE)
    write(folder, {"README.md": "---\ntitle: [\nsdk: gradio\n---\n"})
    with pytest.raises(AirflowFailException, match="refused by the official client: Invalid metadata"):
        Try().run(deploy(folder))
    assert len(commits_of(hub)) == 1


def test_neither_the_token_nor_a_secret_is_in_the_log(
    hub: HubEmulator, folder: Path, task_log: TaskLog
) -> None:
    hub.add_space("acme/base")
    Try().run(deploy(folder, secrets={"KEY": "very-s3cr3t"}))
    assert hub.token not in task_log.text
    assert "s3cr3t" not in task_log.text


def test_a_commit_that_the_hub_does_not_report_is_never_taken_for_deployed(
    hub: HubEmulator, folder: Path
) -> None:
    hub.add_space(SPACE)
    hub.settings.change({"runtime_has_sha": False, "timings": {"build": 0, "start": 0}})
    with pytest.raises(SpaceWaitTimeout, match="at a commit that the Hub does not report"):
        Try().run(deploy(folder, timeout=0.3, on_failure="keep"))


def before_commit(monkeypatch: pytest.MonkeyPatch, push: Callable[[], Any], number: int = 1) -> list[Any]:
    """Let somebody push right before the official client's commit of this number. Returns the pushes."""
    from huggingface_hub import HfApi

    original, pushes, commits = HfApi.create_commit, [], []

    def create_commit(self: HfApi, *args: Any, **options: Any) -> Any:
        commits.append(args)
        if len(commits) == number:
            pushes.append(push())
        return original(self, *args, **options)

    monkeypatch.setattr(HfApi, "create_commit", create_commit)
    return pushes


def finish(run: Try, task: Any, deferred: Any) -> Any:
    """Run the trigger of a deferral and the method that resumes the task."""
    event = first_event(reload_trigger(deferred.trigger))
    return getattr(task, deferred.method_name)(run.context(task), event)


def resume(run: Try, task: Any) -> Any:
    """Run a deferrable task that defers once for its commit and once for its rollback."""
    deferred = run.deferral(task)
    try:
        return finish(run, in_another_process(task), deferred)
    except BaseException as raised:
        if type(raised).__name__ != "TaskDeferred":
            raise
        return finish(run, in_another_process(task), raised)
