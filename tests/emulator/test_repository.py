"""The files, history, branches and tags of a repository, beyond what the official client shows of them."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.emulator.commits import commit, file_line
from tests.emulator.conftest import Ask

SPACE = "acme/whisper"
API = f"/api/spaces/{SPACE}"
TREE = {"1/2/deep.txt": b"deep", "1/near.txt": b"near", "top.txt": b"top", "naïve/日本.txt": b"name"}


@pytest.fixture
def hub_with_files(hub: HubEmulator) -> HubEmulator:
    hub.add_space(SPACE)
    assert commit(hub, TREE).status_code == 200
    return hub


def list_paths(ask: Ask, path: str) -> list[str]:
    answer = ask("GET", f"{API}/tree/{path}")
    assert answer.status_code == 200
    return [each["path"] for each in answer.json()]


class TestTrees:
    def test_a_folder_lists_its_files_and_folders(self, hub_with_files: HubEmulator, ask: Ask) -> None:
        first = [".gitattributes", "1", "README.md", "app.py", "naïve", "top.txt"]
        assert list_paths(ask, "main") == first
        assert list_paths(ask, "main/1") == ["1/2", "1/near.txt"]
        assert list_paths(ask, "main/1%2F2") == ["1/2/deep.txt"]
        assert ask("GET", f"{API}/tree/main/nowhere").headers["X-Error-Code"] == "EntryNotFound"
        assert ask("GET", f"{API}/tree/nowhere").headers["X-Error-Code"] == "RevisionNotFound"

    def test_a_recursive_list_has_nested_folders(self, hub_with_files: HubEmulator, ask: Ask) -> None:
        assert {"1", "1/2", "1/2/deep.txt", "naïve"} <= set(list_paths(ask, "main?recursive=true"))
        assert list_paths(ask, "main/1?recursive=True") == ["1/2", "1/2/deep.txt", "1/near.txt"]

    def test_a_long_list_has_pages(self, hub_with_files: HubEmulator, ask: Ask) -> None:
        path, paths = f"{API}/tree/main?recursive=true&limit=3", []
        while path:
            answer = ask("GET", path)
            paths += [each["path"] for each in answer.json()]
            following = answer.links.get("next", {}).get("url", "")
            path = following.removeprefix(hub_with_files.url)
        assert paths == list_paths(ask, "main?recursive=true")
        assert len(paths) > 6
        assert ask("GET", f"{API}/tree/main?limit=0").status_code == 400

    def test_each_entry_can_name_the_commit_that_changed_it_last(
        self, hub_with_files: HubEmulator, ask: Ask
    ) -> None:
        first = hub_with_files.branches(SPACE)["main"]
        second = commit(hub_with_files, {"1/near.txt": b"changed"}).json()["commitOid"]
        entries = {each["path"]: each for each in ask("GET", f"{API}/tree/main?expand=true").json()}
        assert entries["1"]["lastCommit"]["id"] == second
        assert entries["top.txt"]["lastCommit"]["id"] == first
        assert entries["top.txt"]["lastCommit"]["title"] == "Change the app"
        info = ask("POST", f"{API}/paths-info/main", {"paths": ["1/2", "1/near.txt"], "expand": True}).json()
        assert [each["lastCommit"]["id"] for each in info] == [first, second]

    def test_the_information_on_paths_leaves_out_missing_ones(
        self, hub_with_files: HubEmulator, ask: Ask
    ) -> None:
        body = {"paths": ["1", "top.txt", "nowhere"]}
        info = ask("POST", f"{API}/paths-info/main", body).json()
        assert [(each["type"], each["path"], each["size"]) for each in info] == [
            ("directory", "1", 0),
            ("file", "top.txt", 3),
        ]

    def test_a_description_can_have_sizes(self, hub_with_files: HubEmulator, ask: Ask) -> None:
        siblings = {each["rfilename"]: each for each in ask("GET", f"{API}?blobs=true").json()["siblings"]}
        assert siblings["top.txt"]["size"] == 3
        assert len(siblings["top.txt"]["blobId"]) == 40
        assert "size" not in ask("GET", API).json()["siblings"][0]


class TestCommits:
    @pytest.mark.parametrize("line", ["deletedFolder", "deletedFile"])
    @pytest.mark.parametrize("path", ["1", "1/"])
    def test_a_folder_is_deleted_with_and_without_a_slash(
        self, hub_with_files: HubEmulator, line: str, path: str
    ) -> None:
        assert commit(hub_with_files, {}, {"key": line, "value": {"path": path}}).status_code == 200
        assert not [each for each in hub_with_files.files(SPACE) if each.startswith("1/")]
        assert "top.txt" in hub_with_files.files(SPACE)

    def test_a_path_that_does_not_exist_cannot_be_deleted(self, hub_with_files: HubEmulator) -> None:
        before = hub_with_files.branches(SPACE)
        answer = commit(hub_with_files, {"x": b""}, deletions=["nowhere"])
        assert (answer.status_code, answer.headers["X-Error-Code"]) == (404, "EntryNotFound")
        assert hub_with_files.branches(SPACE) == before

    def test_a_folder_can_be_replaced_in_one_commit(self, hub_with_files: HubEmulator) -> None:
        folder = {"key": "deletedFolder", "value": {"path": "1"}}
        assert commit(hub_with_files, {}, folder, file_line("1/new.txt", b"new")).status_code == 200
        assert [each for each in hub_with_files.files(SPACE) if each.startswith("1/")] == ["1/new.txt"]

    @pytest.mark.parametrize(
        "path", ["..\\x", "../x", "a/../x", "/x", "a//x", "./x", ".git/config", "x\n", "..", ""]
    )
    def test_a_path_that_leaves_the_repository_is_refused(
        self, hub_with_files: HubEmulator, path: str
    ) -> None:
        before = hub_with_files.branches(SPACE)
        answer = commit(hub_with_files, {path: b"x"})
        assert answer.status_code == 422
        assert "Invalid path" in answer.json()["error"]
        assert hub_with_files.branches(SPACE) == before

    def test_an_empty_or_unreadable_commit_is_refused(self, hub_with_files: HubEmulator) -> None:
        assert commit(hub_with_files, {}).status_code == 400
        assert commit(hub_with_files, {}, {"key": "renamedFile", "value": {}}).status_code == 400
        assert commit(hub_with_files, {}, {"key": "file", "value": "x"}).status_code == 400

    def test_a_stale_parent_is_refused_on_main_too(self, hub_with_files: HubEmulator) -> None:
        parent = hub_with_files.branches(SPACE)["main"]
        assert commit(hub_with_files, {"a": b"1"}, parent=parent).status_code == 200
        answer = commit(hub_with_files, {"a": b"2"}, parent=parent)
        assert answer.status_code == 412
        assert hub_with_files.files(SPACE)["a"] == b"1"

    def test_older_revisions_stay_readable_by_id_short_id_branch_and_tag(
        self, hub_with_files: HubEmulator, ask: Ask
    ) -> None:
        first = hub_with_files.branches(SPACE)["main"]
        assert ask("POST", f"{API}/tag/main", {"tag": "v1"}).status_code == 200
        assert ask("POST", f"{API}/branch/stable", {"startingPoint": "v1"}).status_code == 200
        commit(hub_with_files, {"top.txt": b"new"}, deletions=["1/near.txt"])
        for revision in (first, first[:7], "v1", "stable", "refs%2Ftags%2Fv1"):
            assert ask("GET", f"/spaces/{SPACE}/resolve/{revision}/top.txt").text == "top"
            assert "1/near.txt" in list_paths(ask, f"{revision}/1")
            assert ask("GET", f"{API}/revision/{revision}").json()["sha"] == first
        assert ask("GET", f"/spaces/{SPACE}/resolve/main/top.txt").text == "new"

    def test_the_history_has_pages(self, hub: HubEmulator, ask: Ask) -> None:
        hub.add_space(SPACE)
        for number in range(60):
            commit(hub, {"n": str(number).encode()})
        first = ask("GET", f"{API}/commits/main")
        rest = ask("GET", first.links["next"]["url"].removeprefix(hub.url))
        ids = [each["id"] for each in (*first.json(), *rest.json())]
        assert (len(ids), len(set(ids))) == (61, 61)
        assert "next" not in rest.links

    def test_a_history_can_become_one_commit(self, hub_with_files: HubEmulator, ask: Ask) -> None:
        before = hub_with_files.files(SPACE)
        assert ask("POST", f"{API}/super-squash/main", {"message": "Start over"}).status_code == 200
        (only,) = ask("GET", f"{API}/commits/main").json()
        assert only["title"] == "Start over"
        assert hub_with_files.files(SPACE) == before
        assert hub_with_files.space(SPACE).stage == "RUNNING_BUILDING"


class TestReferences:
    def test_a_tag_is_created_once_listed_and_deleted(self, hub_with_files: HubEmulator, ask: Ask) -> None:
        assert ask("POST", f"{API}/tag/main", {"tag": "v1"}).status_code == 200
        assert ask("POST", f"{API}/tag/main", {"tag": "v1"}).status_code == 409
        (tag,) = ask("GET", f"{API}/refs").json()["tags"]
        assert tag == {
            "name": "v1",
            "ref": "refs/tags/v1",
            "targetCommit": hub_with_files.branches(SPACE)["main"],
        }
        assert ask("DELETE", f"{API}/tag/main").headers["X-Error-Code"] == "RevisionNotFound"
        assert ask("DELETE", f"{API}/tag/v1").status_code == 200
        assert ask("GET", f"{API}/revision/v1").headers["X-Error-Code"] == "RevisionNotFound"
        assert ask("POST", f"{API}/tag/nowhere", {"tag": "v2"}).status_code == 404

    @pytest.mark.parametrize("name", ["two words", "a..b", "x.lock", "", "refs/pr/1", "tilde~", "/x"])
    def test_a_name_that_git_does_not_allow_is_refused(
        self, hub_with_files: HubEmulator, ask: Ask, name: str
    ) -> None:
        assert ask("POST", f"{API}/tag/main", {"tag": name}).status_code == 400

    def test_tags_are_in_the_state_file(self, hub_with_files: HubEmulator, ask: Ask) -> None:
        ask("POST", f"{API}/tag/main", {"tag": "v1"})
        state = ask("GET", "/_emulator/state").json()
        assert ask("PUT", "/_emulator/state", state).status_code == 200
        assert ask("GET", f"{API}/refs").json()["tags"][0]["name"] == "v1"


class TestUploads:
    @pytest.mark.parametrize("in_request", [True, False], ids=["in the request", "committed"])
    def test_gitignore_excludes_files(self, hub_with_files: HubEmulator, ask: Ask, in_request: bool) -> None:
        rules = "*.log\nbuild/\n!keep.log\n"
        if not in_request:
            commit(hub_with_files, {".gitignore": rules.encode()})
        paths = ["a.log", "deep/b.log", "build/x.txt", "keep.log", "app.py"]
        body = {"files": [{"path": path, "sample": "", "size": 1} for path in paths]}
        answer = ask(
            "POST", f"{API}/preupload/main", {**body, **({"gitIgnore": rules} if in_request else {})}
        )
        ignored_paths = [each["path"] for each in answer.json()["files"] if each["shouldIgnore"]]
        assert ignored_paths == ["a.log", "deep/b.log", "build/x.txt"]

    def test_a_readme_is_checked_before_it_is_uploaded(self, hub: HubEmulator, ask: Ask) -> None:
        def validate(content: str, repo_type: str = "space") -> tuple[int, list[str], list[str]]:
            answer = ask("POST", "/api/validate-yaml", {"content": content, "repoType": repo_type})
            body = answer.json()
            return (
                answer.status_code,
                [each["message"] for each in body["errors"]],
                [each["message"] for each in body["warnings"]],
            )

        assert validate("---\nsdk: gradio\n---\n") == (200, [], [])
        status, errors, _ = validate("---\nsdk: [\n---\n")
        assert status == 400
        assert "YAML metadata error" in errors[0]
        assert validate("---\nsdk: pygame\n---\n")[0] == 400
        assert validate("# no card")[2] == ["empty or missing yaml metadata in repo card"]
        assert validate("\n---\nlicense: mit\n---\n", "model")[0] == 200
        assert validate("---\nmodel-index: none\n---\n", "model")[0] == 400
        assert ask("POST", "/api/validate-yaml", {"content": 1}).status_code == 400
        assert ask("POST", "/api/validate-yaml", {"content": "", "repoType": "zoo"}).status_code == 400


class TestPages:
    def test_the_links_that_clients_print_open(self, hub_with_files: HubEmulator, ask: Ask) -> None:
        commit_info = commit(hub_with_files, {"<b>.txt": b"x"}, deletions=["top.txt"]).json()
        page = ask("GET", commit_info["commitUrl"].removeprefix(hub_with_files.url), token=None)
        assert "Change the app" in page.text
        assert "top.txt (deleted)" in page.text
        assert "&lt;b&gt;.txt" in page.text
        tree = ask("GET", f"/spaces/{SPACE}/tree/main/1", token=None).text
        assert "1/near.txt" in tree
        assert "app.py" not in tree
        assert commit_info["commitOid"][:7] in ask("GET", f"/spaces/{SPACE}/commits/main", token=None).text
        assert "app.py" in ask("GET", f"/spaces/{SPACE}/blob/main/app.py", token=None).text

    def test_pages_do_not_show_what_the_caller_may_not_read(
        self, hub_with_files: HubEmulator, ask: Ask
    ) -> None:
        ask("PUT", f"{API}/settings", {"visibility": "protected"})
        for path in ("tree/main", "commits/main", f"commit/{hub_with_files.branches(SPACE)['main']}"):
            assert ask("GET", f"/spaces/{SPACE}/{path}", token=None).status_code == 404
        assert ask("GET", f"/spaces/{SPACE}/tree/nowhere").status_code == 404


class TestWhatIsNotEmulated:
    @pytest.mark.parametrize("path", ["commit/main?create_pr=1", "preupload/main?create_pr=1"])
    def test_a_pull_request_is_refused_and_changes_nothing(
        self, hub_with_files: HubEmulator, ask: Ask, path: str
    ) -> None:
        before = hub_with_files.branches(SPACE)
        answer = ask("POST", f"{API}/{path}", {"files": []})
        assert answer.status_code == 501
        assert "pull requests and discussions" in answer.json()["error"]
        assert commit(hub_with_files, {"x": b""}, branch="refs%2Fpr%2F1").status_code == 501
        assert commit(hub_with_files, {"x": b""}, query="?hot_reload=1").status_code == 501
        assert hub_with_files.branches(SPACE) == before

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", f"{API}/discussions"),
            ("POST", f"{API}/discussions/1/merge"),
            ("GET", f"{API}/compare/a..b"),
            ("POST", f"{API}/like"),
            ("GET", "/api/collections"),
            ("GET", "/api/models"),
            ("POST", "/api/jobs/alice"),
            ("GET", f"/spaces/{SPACE}.git/info/refs?service=git-upload-pack"),
            ("POST", f"/spaces/{SPACE}/git-receive-pack"),
        ],
    )
    def test_anything_else_is_refused_with_a_sentence(
        self, hub_with_files: HubEmulator, ask: Ask, method: str, path: str
    ) -> None:
        answer = ask(method, path)
        assert answer.status_code == 501
        assert "documentation lists" in answer.json()["error"]

    def test_a_missing_repository_is_not_found_and_never_not_implemented(
        self, hub: HubEmulator, ask: Ask
    ) -> None:
        assert ask("GET", "/api/spaces/acme/nowhere/discussions").headers["X-Error-Code"] == "RepoNotFound"
        assert ask("POST", "/api/spaces/acme/nowhere/like").status_code == 404
        assert ask("GET", "/api/agent-harnesses").status_code == 404


def test_an_account_lists_its_repositories_with_the_storage_they_use(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space("alice/app")
    hub.add_repository("alice/data", private=True)
    hub.add_space(SPACE)
    own = {each["id"]: each for each in ask("GET", "/api/settings/repositories").json()}
    assert set(own) == {"alice/app", "alice/data"}
    assert (own["alice/data"]["type"], own["alice/data"]["visibility"]) == ("dataset", "private")
    assert sum(each["storagePercent"] for each in own.values()) == pytest.approx(100, abs=0.1)
    (theirs,) = ask("GET", "/api/organizations/acme/settings/repositories").json()
    assert theirs["id"] == SPACE
    stranger = hub.add_token("mallory")
    answer = ask("GET", "/api/organizations/acme/settings/repositories", token=stranger)
    assert answer.status_code == 403
