"""Files, history and references of a Space through the official client, in each of its versions."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.emulator.clients import (
    VERSIONS,
    OfficialClient,
    Refused,
    addition,
    deletion,
    environment,
    fixtures,
)

client, emulator, hub, process = fixtures.client, fixtures.emulator, fixtures.hub, fixtures.process

SPACE = "alice/app"
CARD = b"---\ntitle: App\nsdk: gradio\n---\n"
SOURCE = {
    "README.md": CARD,
    "app.py": b"import gradio as gr\n",
    "deep/er/nested.txt": b"nested",
    "empty.txt": b"",
    "naïve 日本 (1).txt": b"a name that needs quotes",
    "weights.bin": b"outside git because of .gitattributes",
    "floats.safetensors": b"".join(number.to_bytes(4, "big") for number in range(30_000)),
    "text.parquet": b"".join(b"line %d of a text\n" % number for number in range(20_000)),
}
"""A folder as people upload it."""

LARGE = random.Random(0).randbytes(10 * 2**20 + 1)
"""More than the Hub accepts as a regular file."""

REPO = {"repo_type": "space"}


def write(folder: Path, files: dict[str, bytes]) -> str:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return str(folder)


def read(folder: str) -> dict[str, bytes]:
    root = Path(folder)
    paths = (path for path in root.rglob("*") if path.is_file() and ".cache" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def refusal_of(call: Any, *arguments: Any, **options: Any) -> Refused:
    with pytest.raises(Refused) as excinfo:
        call(*arguments, **options)
    return excinfo.value


@pytest.fixture
def space(hub: HubEmulator) -> HubEmulator:
    hub.add_space(SPACE)
    return hub


def commit(client: OfficialClient, *operations: Any, **options: Any) -> str:
    commit_info = client.create_commit(
        SPACE, operations=list(operations), commit_message="Change", **REPO, **options
    )
    return str(commit_info["oid"])


class TestFolders:
    def test_a_folder_is_uploaded_built_and_downloaded_again(
        self, hub: HubEmulator, client: OfficialClient, tmp_path: Path
    ) -> None:
        client.create_repo(SPACE, space_sdk="gradio", **REPO)
        files = {**SOURCE, "large.txt": LARGE}
        source = write(tmp_path / "source", files)
        commit_info = client.upload_folder(folder_path=source, repo_id=SPACE, **REPO)
        hub.advance(600)
        assert client.get_space_runtime(SPACE)["raw"]["sha"] == commit_info["oid"]
        assert {path: hub.files(SPACE)[path] for path in files} == files
        folder = client.snapshot_download(SPACE, cache_dir=str(tmp_path / "cache"), **REPO)
        copy = read(folder)
        assert copy.pop(".gitattributes")
        assert copy == files
        again = client.upload_folder(folder_path=source, repo_id=SPACE, **REPO)
        if client.kind != "0":
            assert again["oid"] == commit_info["oid"], "an unchanged folder makes no commit"

    def test_ignored_files_stay_at_home(
        self, space: HubEmulator, client: OfficialClient, tmp_path: Path
    ) -> None:
        files = {".gitignore": b"*.log\nsecret/\n", "a.log": b"", "secret/key": b"", "kept.txt": b""}
        client.upload_folder(folder_path=write(tmp_path, files), repo_id=SPACE, **REPO)
        assert {"kept.txt", ".gitignore"} <= set(space.files(SPACE))
        assert not {"a.log", "secret/key"} & set(space.files(SPACE))

    def test_files_that_left_the_folder_can_be_deleted_with_the_upload(
        self, space: HubEmulator, client: OfficialClient, tmp_path: Path
    ) -> None:
        commit(client, addition("old/a.txt", b"a"), addition("old/b.bin", b"b"))
        source = write(tmp_path, {"new.txt": b"new"})
        client.upload_folder(folder_path=source, repo_id=SPACE, delete_patterns=["old/*"], **REPO)
        assert set(space.files(SPACE)) == {".gitattributes", "README.md", "app.py", "new.txt"}

    @pytest.mark.parametrize("path", ["folder", "folder/"])
    def test_a_folder_can_be_deleted(self, space: HubEmulator, client: OfficialClient, path: str) -> None:
        commit(client, addition("folder/a.txt", b"a"), addition("folder/b/c.txt", b"c"))
        if path.endswith("/"):
            commit(client, deletion(path))
        else:
            client.delete_folder(path_in_repo=path, repo_id=SPACE, **REPO)
        assert not [each for each in space.files(SPACE) if each.startswith("folder")]


class TestHistory:
    def test_an_older_revision_can_be_downloaded(
        self, space: HubEmulator, client: OfficialClient, tmp_path: Path
    ) -> None:
        first = commit(client, addition("v.txt", b"one"), addition("v.bin", b"one"))
        client.create_tag(SPACE, tag="v1", **REPO)
        second = commit(client, addition("v.txt", b"two"), addition("v.bin", b"two"))
        where = {"cache_dir": str(tmp_path), **REPO}
        for revision, content in ((first, b"one"), ("v1", b"one"), (second, b"two"), ("main", b"two")):
            for name in ("v.txt", "v.bin"):
                file = client.hf_hub_download(SPACE, name, revision=revision, **where)
                assert Path(file).read_bytes() == content
        commits = client.list_repo_commits(SPACE, formatted=True, **REPO)
        assert [each["commit_id"] for each in commits[:2]] == [second, first]
        assert commits[0]["formatted_title"] == "Change"
        client.super_squash_history(SPACE, **REPO)
        assert len(client.list_repo_commits(SPACE, **REPO)) == 1

    def test_a_stale_parent_commit_is_refused(self, space: HubEmulator, client: OfficialClient) -> None:
        parent = space.branches(SPACE)["main"]
        commit(client, addition("a.txt", b"1"), parent_commit=parent)
        assert refusal_of(commit, client, addition("a.txt", b"2"), parent_commit=parent).status == 412
        assert space.files(SPACE)["a.txt"] == b"1"

    def test_lists_of_files_have_folders_and_last_commits(
        self, space: HubEmulator, client: OfficialClient
    ) -> None:
        first = commit(client, addition("1/2/deep.txt", b"x"), addition("1/w.bin", b"12345"))
        commit(client, addition("top.txt", b"x"))
        tree = {each["path"]: each for each in client.list_repo_tree(SPACE, recursive=True, **REPO)}
        assert {"1", "1/2", "1/2/deep.txt", "1/w.bin", "top.txt"} <= set(tree)
        assert tree["1/w.bin"]["lfs"]["size"] == 5
        entries = {each["path"]: each for each in client.list_repo_tree(SPACE, "1", expand=True, **REPO)}
        assert set(entries) == {"1/2", "1/w.bin"}
        assert entries["1/2"]["last_commit"]["oid"] == first
        infos = client.get_paths_info(SPACE, ["1", "top.txt", "nowhere"], expand=True, **REPO)
        assert [each["path"] for each in infos] == ["1", "top.txt"]
        siblings = client.space_info(SPACE, files_metadata=True)["siblings"]
        assert {each["rfilename"]: each["size"] for each in siblings}["1/w.bin"] == 5
        assert "EntryNotFoundError" in refusal_of(client.list_repo_tree, SPACE, "nowhere", **REPO).kinds

    def test_tags_can_be_created_listed_and_deleted(self, space: HubEmulator, client: OfficialClient) -> None:
        client.create_tag(SPACE, tag="v1", tag_message="First", **REPO)
        assert refusal_of(client.create_tag, SPACE, tag="v1", **REPO).status == 409
        client.create_tag(SPACE, tag="v1", exist_ok=True, **REPO)
        assert [each["name"] for each in client.list_repo_refs(SPACE, **REPO)["tags"]] == ["v1"]
        client.delete_tag(SPACE, tag="v1", **REPO)
        assert "RevisionNotFoundError" in refusal_of(client.delete_tag, SPACE, tag="v1", **REPO).kinds
        assert "RevisionNotFoundError" in refusal_of(client.space_info, SPACE, revision="v1").kinds

    def test_existence_can_be_asked_for(self, space: HubEmulator, client: OfficialClient) -> None:
        assert client.file_exists(SPACE, "app.py", **REPO)
        assert not client.file_exists(SPACE, "nowhere.py", **REPO)
        assert not client.revision_exists(SPACE, "nowhere", **REPO)
        assert not client.repo_exists("alice/nowhere", **REPO)
        assert not client.repo_exists("no-owner", **REPO)


class TestRefusals:
    def test_a_readme_that_is_not_valid_is_refused_before_the_upload(
        self, space: HubEmulator, client: OfficialClient
    ) -> None:
        before = space.branches(SPACE)
        error = refusal_of(commit, client, addition("README.md", b"---\nsdk: pygame\n---\n"))
        assert "Invalid metadata in README.md" in error.message
        assert '"sdk" must be one of' in error.message
        assert space.branches(SPACE) == before

    def test_a_path_that_leaves_the_repository_is_refused(
        self, space: HubEmulator, client: OfficialClient
    ) -> None:
        assert refusal_of(commit, client, addition("..\\ddd", b"x")).status == 422

    @pytest.mark.parametrize("what", ["commit", "discussion"])
    def test_pull_requests_are_refused_and_nothing_is_committed(
        self, space: HubEmulator, client: OfficialClient, what: str
    ) -> None:
        before = space.branches(SPACE)
        if what == "commit":
            error = refusal_of(commit, client, addition("a.txt", b"x"), create_pr=True)
        else:
            error = refusal_of(client.create_discussion, SPACE, title="Question", **REPO)
        assert error.status == 501
        assert "pull requests and discussions" in error.message
        assert space.branches(SPACE) == before


class TestLists:
    def test_spaces_are_listed_by_the_models_and_datasets_that_they_link(
        self, space: HubEmulator, client: OfficialClient
    ) -> None:
        space.add_space("alice/other")
        card = b"---\nsdk: gradio\nmodels:\n- acme/asr\ndatasets:\n- acme/speech\n---\n"
        commit(client, addition("README.md", card))
        for options in ({"models": "acme/asr"}, {"datasets": ["acme/speech"]}, {"linked": True}):
            assert [each["id"] for each in client.list_spaces(**options)] == [SPACE]
        assert client.list_spaces(models="acme/none") == []
        info = client.space_info(SPACE)
        assert info["models"] == ["acme/asr"]

    def test_the_card_has_the_version_of_the_sdk(self, space: HubEmulator, client: OfficialClient) -> None:
        assert client.space_info(SPACE)["card_data"]["sdk_version"]

    def test_a_new_static_space_has_a_page(self, hub: HubEmulator, client: OfficialClient) -> None:
        client.create_repo("alice/page", space_sdk="static", **REPO)
        files = client.list_repo_files("alice/page", **REPO)
        assert sorted(files) == [".gitattributes", "README.md", "index.html", "style.css"]

    def test_the_repositories_of_an_account_are_listed(
        self, space: HubEmulator, client: OfficialClient
    ) -> None:
        if client.kind == "0":
            pytest.skip("huggingface_hub 0.x has no such function")
        (own,) = client.list_user_repos()
        assert (own["id"], own["type"], own["visibility"]) == (SPACE, "space", "public")
        assert own["storage"] > 0


def hf(version: str, hub: HubEmulator, *arguments: str) -> str:
    variables = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token, "HF_HUB_DISABLE_TELEMETRY": "1"}
    result = subprocess.run(
        [environment(version) / "hf", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": os.environ["AIRFLOW_HOME"], "NO_COLOR": "1", **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize(
    "version", [VERSIONS[0], *(pytest.param(each, marks=pytest.mark.slow) for each in VERSIONS[1:])]
)
def test_the_command_line_uploads_and_downloads_a_folder(
    hub: HubEmulator, tmp_path: Path, version: str
) -> None:
    if not (environment(version) / "hf").exists():
        pytest.skip(f"huggingface_hub {version}.x has no environment here: run 'make clients'")
    hub.add_space(SPACE)
    source = write(tmp_path / "source", SOURCE)
    hf(version, hub, "upload", SPACE, source, "--repo-type", "space")
    hf(version, hub, "download", SPACE, "--repo-type", "space", "--local-dir", str(tmp_path / "copy"))
    files = read(str(tmp_path / "copy"))
    assert files.pop(".gitattributes")
    assert files == SOURCE
    if version != "0":
        assert SPACE in hf(version, hub, "repos", "ls")


@pytest.mark.slow
@pytest.mark.parametrize("xet", [True, False], ids=["Xet", "LFS in parts"])
def test_a_file_of_200_megabytes_does_not_pass_through_the_memory_of_the_emulator(
    tmp_path: Path, xet: bool
) -> None:
    """In a process of its own, as people start it."""
    folder = tmp_path / "source"
    folder.mkdir()
    with (folder / "weights.safetensors").open("wb") as file:
        for number in range(200):
            file.write(random.Random(number).randbytes(10**6))
    program = [sys.executable, "-m", "airflow_provider_hfspaces.emulator", "--port", "0", "--token", "hf_big"]
    with subprocess.Popen([*program, "--fleet", "empty"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            words = (word for line in process.stdout for word in line.split())
            url = next(word for word in words if word.startswith("http://")).rstrip("/,")
            variables = {"HF_ENDPOINT": url, "HF_TOKEN": "hf_big", "HOME": str(tmp_path)}
            if not xet:
                settings = {"lfs_part_bytes": 30_000_000}
                requests.post(f"{url}/_emulator/settings", json=settings, timeout=5).raise_for_status()
                variables["HF_HUB_DISABLE_XET"] = "1"
            code = (
                "import filecmp, huggingface_hub as hub; api = hub.HfApi(); "
                "api.create_repo('alice/app', repo_type='space', space_sdk='gradio'); "
                f"api.upload_folder(repo_id='alice/app', repo_type='space', folder_path={str(folder)!r}); "
                "copy = api.snapshot_download('alice/app', repo_type='space'); name = 'weights.safetensors'; "
                f"assert filecmp.cmp(f'{{copy}}/{{name}}', {str(folder)!r} + '/' + name, shallow=False)"
            )
            subprocess.run(
                [environment("2") / "python", "-c", code],
                env={"PATH": os.environ["PATH"], **variables},
                check=True,
                timeout=300,
            )
            status = Path(f"/proc/{process.pid}/status").read_text()
        finally:
            process.terminate()
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    assert int(peak) * 1024 < 150_000_000
