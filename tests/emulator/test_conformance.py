"""The official client, unmodified and in three major versions, works with the emulator as with the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.emulator.clients import OfficialClient, Refused, addition, file_of, fixtures, volume

client, emulator, hub, process = fixtures.client, fixtures.emulator, fixtures.hub, fixtures.process

SPACE = "acme/whisper"
NEW = "alice/new"
APP = b"import gradio as gr\n"


def only(client: OfficialClient, *versions: str) -> None:
    if client.kind not in versions:
        pytest.skip(f"huggingface_hub {client.kind}.x has no such function")


def refusal_of(call: Any, *arguments: Any, **options: Any) -> Refused:
    with pytest.raises(Refused) as excinfo:
        call(*arguments, **options)
    return excinfo.value


def test_the_environment_has_the_expected_version(client: OfficialClient) -> None:
    assert client.ask("version").split(".")[0] == client.kind


class TestRuntime:
    def test_a_running_space_shows_hardware_and_sleep_time(
        self, hub: HubEmulator, client: OfficialClient
    ) -> None:
        hub.add_space(SPACE, hardware="t4-small", sleep_time=3600)
        runtime = client.get_space_runtime(SPACE)
        assert runtime["stage"] == "RUNNING"
        assert runtime["hardware"] == runtime["requested_hardware"] == "t4-small"
        assert runtime["sleep_time"] == 3600
        assert runtime["raw"]["domains"] == [{"domain": "acme-whisper.hf.space", "stage": "READY"}]

    def test_a_space_without_sleep_time_and_a_static_space(
        self, hub: HubEmulator, client: OfficialClient
    ) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        hub.add_space("acme/page", sdk="static")
        assert client.get_space_runtime(SPACE)["sleep_time"] is None
        static = client.get_space_runtime("acme/page")
        assert (static["stage"], static["hardware"], static["requested_hardware"]) == ("RUNNING", None, None)

    def test_a_public_space_needs_no_token(self, hub: HubEmulator, client: OfficialClient) -> None:
        hub.add_space(SPACE)
        client.token = None
        assert client.get_space_runtime(SPACE)["stage"] == "RUNNING"

    def test_a_failed_build_has_its_error_message(self, hub: HubEmulator, client: OfficialClient) -> None:
        hub.add_space(SPACE, stage="BUILD_ERROR", error_message="Job failed with exit code: 137")
        runtime = client.get_space_runtime(SPACE)
        assert runtime["stage"] == "BUILD_ERROR"
        assert runtime["raw"]["errorMessage"] == "Job failed with exit code: 137"


class TestLifecycle:
    def test_hardware_can_be_requested_with_and_without_a_sleep_time(
        self, hub: HubEmulator, client: OfficialClient
    ) -> None:
        space = hub.add_space(SPACE)
        requested = client.request_space_hardware(SPACE, "t4-medium", sleep_time=3600)
        assert requested["stage"] == "RUNNING_BUILDING"
        assert (requested["hardware"], requested["requested_hardware"]) == ("cpu-basic", "t4-medium")
        assert requested["sleep_time"] == 3600
        hub.advance(600)
        assert space.hardware == "t4-medium"
        assert client.request_space_hardware(SPACE, "cpu-upgrade")["sleep_time"] == 3600

    def test_the_sleep_time_can_be_set_and_removed(self, hub: HubEmulator, client: OfficialClient) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        assert client.set_space_sleep_time(SPACE, 600)["sleep_time"] == 600
        assert client.set_space_sleep_time(SPACE, -1)["sleep_time"] is None

    def test_a_space_can_be_paused_and_restarted(self, hub: HubEmulator, client: OfficialClient) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        runtime = client.pause_space(SPACE)
        assert (runtime["stage"], runtime["hardware"], runtime["requested_hardware"]) == (
            "PAUSED",
            None,
            "t4-small",
        )
        assert client.restart_space(SPACE)["stage"] == "BUILDING"
        hub.advance(600)
        assert client.get_space_runtime(SPACE)["hardware"] == "t4-small"
        assert client.restart_space(SPACE, factory_reboot=True)["stage"] == "BUILDING"

    def test_the_client_waits_for_running_and_for_errors(
        self, hub: HubEmulator, client: OfficialClient
    ) -> None:
        only(client, "2", "1")
        # The official client mistakes the stage RUNNING from before the restart for the one after it.
        hub.settings.change({"timings": {"lag": 0}})
        hub.add_space(SPACE)
        hub.world.clock.speed = 600
        client.restart_space(SPACE)
        assert client.wait_for_space(SPACE, timeout=20, poll_interval=0.05)["stage"] == "RUNNING"
        hub.space(SPACE).fail_next_build("exit code: 1")
        client.restart_space(SPACE)
        assert client.wait_for_space(SPACE, timeout=20, poll_interval=0.05)["stage"] == "BUILD_ERROR"

    def test_dev_mode_can_be_switched_on_and_off(self, hub: HubEmulator, client: OfficialClient) -> None:
        only(client, "2", "1")
        hub.add_space(SPACE)
        assert client.enable_space_dev_mode(SPACE)["dev_mode"] is True
        assert client.disable_space_dev_mode(SPACE)["dev_mode"] is False

    def test_a_space_from_its_creation_to_its_deletion(
        self, hub: HubEmulator, client: OfficialClient
    ) -> None:
        """The steps of a test of the official client itself."""
        url = client.create_repo(NEW, repo_type="space", space_sdk="gradio", private=True)
        assert url["repo_id"] == NEW
        assert url["url"] == f"{hub.url}/spaces/{NEW}"
        assert client.get_space_runtime(NEW)["stage"] == "NO_APP_FILE"
        commit = client.upload_file(
            path_or_fileobj=file_of(APP), path_in_repo="app.py", repo_id=NEW, repo_type="space"
        )
        assert commit["oid"] == hub.world.space(NEW).sha
        assert client.get_space_runtime(NEW)["stage"] == "BUILDING"
        hub.advance(600)
        assert client.get_space_runtime(NEW)["stage"] == "RUNNING"
        assert client.pause_space(NEW)["stage"] == "PAUSED"
        assert client.restart_space(NEW)["stage"] == "BUILDING"
        client.delete_repo(NEW, repo_type="space")
        assert "RepositoryNotFoundError" in refusal_of(client.get_space_runtime, NEW).kinds
        client.delete_repo(NEW, repo_type="space", missing_ok=True)


class TestCreatingAndDuplicating:
    def test_a_space_can_be_created_with_every_option(self, hub: HubEmulator, client: OfficialClient) -> None:
        client.create_repo(
            NEW,
            repo_type="space",
            space_sdk="docker",
            space_hardware="t4-small",
            space_sleep_time=600,
            space_secrets=[{"key": "S", "value": "s3cr3t"}],
            space_variables=[{"key": "V", "value": "1"}],
        )
        space = hub.space(NEW)
        assert (space.requested_hardware, space.sleep_time) == ("t4-small", 600)
        assert (space.secrets, space.variables) == ({"S": "s3cr3t"}, {"V": "1"})

    def test_an_existing_space_is_a_conflict_or_returned(
        self, hub: HubEmulator, client: OfficialClient
    ) -> None:
        hub.add_space(NEW)
        error = refusal_of(client.create_repo, NEW, repo_type="space", space_sdk="gradio")
        assert error.status == 409
        assert "You already created this space repo" in error.message
        again = client.create_repo(NEW, repo_type="space", space_sdk="gradio", exist_ok=True)
        assert again["repo_id"] == NEW

    def test_the_paywall_refuses_apps_on_free_hardware(
        self, hub: HubEmulator, client: OfficialClient
    ) -> None:
        hub.settings.paywall = True
        hub.add_user("bob")
        client.token = hub.add_token("bob")
        error = refusal_of(client.create_repo, "bob/new", repo_type="space", space_sdk="gradio")
        assert error.status == 402
        assert "requires a PRO subscription" in error.message
        client.create_repo("bob/page", repo_type="space", space_sdk="static")
        if client.kind != "0":
            hub.add_space("bob/there")
            result = client.create_repo("bob/there", repo_type="space", space_sdk="gradio", exist_ok=True)
            assert result["repo_id"] == "bob/there"

    def test_a_duplicate_can_have_every_option(self, hub: HubEmulator, client: OfficialClient) -> None:
        hub.add_space(SPACE, variables={"A": "1"}, secrets={"OLD": "kept back"})
        options = {
            "hardware": "t4-small",
            "sleep_time": 900,
            "secrets": [{"key": "S", "value": "s3cr3t", "description": "d"}],
            "variables": [{"key": "B", "value": "2"}],
        }
        if client.kind != "0":
            data = volume(type="bucket", source="acme/data", mount_path="/data")
            options = {f"space_{name}": value for name, value in options.items()}
            copy = client.duplicate_repo(
                SPACE, to_id=NEW, repo_type="space", visibility="private", space_volumes=[data], **options
            )
            assert hub.space(NEW).volumes[0]["mountPath"] == "/data"
        else:
            copy = client.duplicate_space(SPACE, to_id=NEW, private=True, **options)
        assert copy["repo_id"] == NEW
        space = hub.space(NEW)
        assert space.private
        assert (space.requested_hardware, space.sleep_time) == ("t4-small", 900)
        assert space.variables == {"A": "1", "B": "2"}
        assert space.secrets == {"S": "s3cr3t"}

    def test_a_duplicate_goes_to_the_caller_and_may_already_exist(
        self, hub: HubEmulator, client: OfficialClient
    ) -> None:
        hub.add_space(SPACE)
        options = {"repo_type": "space"} if client.kind != "0" else {}
        duplicate = client.duplicate_repo if options else client.duplicate_space
        assert duplicate(SPACE, **options)["repo_id"] == "alice/whisper"
        assert refusal_of(duplicate, SPACE, **options).status == 409
        assert duplicate(SPACE, exist_ok=True, **options)["repo_id"] == "alice/whisper"

    def test_a_moved_space_redirects(self, hub: HubEmulator, client: OfficialClient) -> None:
        hub.add_space(SPACE)
        client.move_repo(SPACE, "acme/speech", repo_type="space")
        assert client.space_info("acme/speech")["id"] == "acme/speech"
        assert client.get_space_runtime(SPACE)["stage"] == "RUNNING"
        assert client.pause_space(SPACE)["stage"] == "PAUSED"

    def test_a_space_can_become_private(self, hub: HubEmulator, client: OfficialClient) -> None:
        hub.add_space(SPACE)
        client.update_repo_settings(SPACE, private=True, repo_type="space")
        assert hub.space(SPACE).private

    def test_a_space_can_start_from_a_template(self, hub: HubEmulator, client: OfficialClient) -> None:
        only(client, "2", "1")
        assert client.list_space_templates()[0]["repo_id"] == "SpacesExamples/jupyterlab"
        client.create_repo(
            NEW, repo_type="space", space_sdk="docker", space_template="SpacesExamples/jupyterlab"
        )
        assert hub.space(NEW).stage == "BUILDING"


class TestSettingsAndFiles:
    def test_secrets_can_be_set_listed_and_deleted(self, hub: HubEmulator, client: OfficialClient) -> None:
        space = hub.add_space(SPACE)
        client.add_space_secret(SPACE, "KEY", "s3cr3t", description="d")
        assert space.secrets == {"KEY": "s3cr3t"}
        if client.kind != "0":
            assert client.get_space_secrets(SPACE)["KEY"]["description"] == "d"
        client.delete_space_secret(SPACE, "KEY")
        client.delete_space_secret(SPACE, "KEY")
        assert space.secrets == {}

    def test_every_answer_about_variables_lists_all(self, hub: HubEmulator, client: OfficialClient) -> None:
        hub.add_space(SPACE)
        client.add_space_variable(SPACE, "A", "1")
        variables = client.add_space_variable(SPACE, "B", "2", description="second")
        assert {key: each["value"] for key, each in variables.items()} == {"A": "1", "B": "2"}
        assert variables["B"]["description"] == "second"
        assert list(client.delete_space_variable(SPACE, "A")) == ["B"]
        assert list(client.get_space_variables(SPACE)) == ["B"]

    def test_volumes_can_be_set_and_removed(self, hub: HubEmulator, client: OfficialClient) -> None:
        only(client, "2", "1")
        space = hub.add_space(SPACE)
        client.set_space_volumes(SPACE, [volume(type="bucket", source="acme/data", mount_path="/data")])
        assert space.volumes[0]["source"] == "acme/data"
        assert client.get_space_runtime(SPACE)["volumes"][0]["mount_path"] == "/data"
        client.delete_space_volumes(SPACE)
        assert "BadRequestError" in refusal_of(client.delete_space_volumes, SPACE).kinds

    def test_storage_works_or_is_retired(self, hub: HubEmulator, client: OfficialClient) -> None:
        only(client, "0")
        hub.settings.storage = "works"
        hub.add_space(SPACE)
        assert client.request_space_storage(SPACE, "small")["storage"] == "small"
        assert client.delete_space_storage(SPACE)["storage"] is None
        hub.settings.storage = "retired"
        assert refusal_of(client.request_space_storage, SPACE, "small").status == 404

    def test_files_can_be_uploaded_listed_and_deleted(self, hub: HubEmulator, client: OfficialClient) -> None:
        hub.add_space(SPACE)
        upload = {"repo_id": SPACE, "repo_type": "space"}
        client.upload_file(path_or_fileobj=file_of(APP), path_in_repo="lib/app.py", **upload)
        assert "lib/app.py" in client.list_repo_files(SPACE, repo_type="space")
        (result,) = client.get_paths_info(SPACE, "lib/app.py", repo_type="space")
        assert result["size"] == len(APP)
        names = {each["path"] for each in client.list_repo_tree(SPACE, repo_type="space")}
        assert {"README.md", "lib"} <= names
        assert client.file_exists(SPACE, "lib/app.py", repo_type="space")
        assert not client.file_exists(SPACE, "nowhere.py", repo_type="space")
        client.delete_file("lib/app.py", **upload)
        assert "lib/app.py" not in client.list_repo_files(SPACE, repo_type="space")
        info = client.space_info(SPACE, revision=hub.world.space(SPACE).sha)
        assert info["sha"] == hub.world.space(SPACE).sha
        assert "RevisionNotFoundError" in refusal_of(client.space_info, SPACE, revision="nowhere").kinds
        (branch,) = client.list_repo_refs(SPACE, repo_type="space")["branches"]
        assert branch["target_commit"] == info["sha"]
        assert client.list_repo_commits(SPACE, repo_type="space")[0]["commit_id"] == info["sha"]


class TestBranchesAndCommits:
    """The calls with which a client does a compare-and-set on the Hub."""

    LEASE = "airflow-lease"

    def commit(self, client: OfficialClient, content: bytes, repo_type: str = "space", **options: Any) -> str:
        commit_info = client.create_commit(
            SPACE,
            operations=[addition("lease.json", content)],
            commit_message="Take the lease",
            repo_type=repo_type,
            revision=self.LEASE,
            **options,
        )
        return commit_info["oid"]

    @pytest.mark.parametrize("repo_type", ["space", "dataset", "model"])
    def test_a_commit_on_a_branch_must_follow_the_commit_that_its_writer_read(
        self, hub: HubEmulator, client: OfficialClient, repo_type: str, tmp_path: Path
    ) -> None:
        if repo_type == "space":
            hub.add_space(SPACE)
        else:
            hub.add_organization("acme", members={"alice": "admin"})
            client.create_repo(SPACE, repo_type=repo_type, private=True)
        client.create_branch(SPACE, branch=self.LEASE, repo_type=repo_type)
        start = hub.branches(SPACE, repo_type)[self.LEASE]
        first = self.commit(client, b"one", repo_type, parent_commit=start)
        error = refusal_of(self.commit, client, b"two", repo_type, parent_commit=start)
        assert error.status == 412
        assert "A commit has happened since. Please refresh and try again." in error.message
        assert "The branch was updated since you opened this page." in error.message
        second = self.commit(client, b"two", repo_type, parent_commit=first)
        refs = client.list_repo_refs(SPACE, repo_type=repo_type)["branches"]
        assert {each["name"]: each["target_commit"] for each in refs} == {
            "main": start,
            self.LEASE: second,
        }
        where = {"repo_type": repo_type, "cache_dir": str(tmp_path)}
        for revision, content in ((first, b"one"), (second, b"two"), (self.LEASE, b"two")):
            file = client.hf_hub_download(SPACE, "lease.json", revision=revision, **where)
            assert Path(file).read_bytes() == content
        commits = client.list_repo_commits(SPACE, repo_type=repo_type, revision=self.LEASE)
        assert [each["commit_id"] for each in commits] == [second, first, start]

    def test_a_branch_can_be_created_once_and_deleted(self, hub: HubEmulator, client: OfficialClient) -> None:
        hub.add_space(SPACE)
        client.create_branch(SPACE, branch="a/b", repo_type="space")
        assert refusal_of(client.create_branch, SPACE, branch="a/b", repo_type="space").status == 409
        client.create_branch(SPACE, branch="a/b", repo_type="space", exist_ok=True)
        client.delete_branch(SPACE, branch="a/b", repo_type="space")
        assert list(hub.branches(SPACE)) == ["main"]
        error = refusal_of(client.create_branch, SPACE, branch="x", revision="nowhere", repo_type="space")
        assert error.status == 404
        assert refusal_of(self.commit, client, b"x").status == 404

    def test_the_description_at_a_branch_has_its_commit_and_files(
        self, hub: HubEmulator, client: OfficialClient
    ) -> None:
        hub.add_space(SPACE)
        client.create_branch(SPACE, branch=self.LEASE, repo_type="space")
        oid = self.commit(client, b"one")
        info = client.space_info(SPACE, revision=self.LEASE)
        assert info["sha"] == oid
        assert {each["rfilename"] for each in info["siblings"]} >= {"lease.json", "app.py"}
        assert client.space_info(SPACE)["sha"] != oid


class TestLogs:
    @pytest.mark.parametrize("build", [True, False])
    def test_the_lines_so_far_are_returned(
        self, hub: HubEmulator, client: OfficialClient, build: bool
    ) -> None:
        only(client, "2", "1")
        hub.settings.logs_end = "at_once"
        hub.add_space(SPACE)
        hub.advance(60)
        lines = client.fetch_space_logs(SPACE, build=build)
        expected = hub.space(SPACE).logs(build=build)
        assert [line.rstrip("\n") for line in lines] == expected

    def test_a_build_is_followed_to_its_end(self, hub: HubEmulator, client: OfficialClient) -> None:
        only(client, "2", "1")
        hub.add_space(SPACE).fail_next_build("exit code: 1", ["error: failed to solve"])
        hub.world.clock.speed = 600
        client.restart_space(SPACE)
        lines = client.fetch_space_logs(SPACE, build=True, follow=True)
        assert "error: failed to solve" in lines[-1]


class TestListsAndInfo:
    def test_a_description_has_all_properties_or_the_expanded_ones(
        self, hub: HubEmulator, client: OfficialClient
    ) -> None:
        hub.add_space(SPACE, hardware="t4-small", tags=["speech"])
        info = client.space_info(SPACE)
        assert (info["id"], info["author"], info["sdk"], info["private"]) == (SPACE, "acme", "gradio", False)
        assert info["runtime"]["stage"] == "RUNNING"
        assert info["subdomain"] == "acme-whisper"
        space_info = client.space_info(SPACE, expand=["runtime", "sdk"])
        assert space_info["runtime"]["hardware"] == "t4-small"
        assert space_info.get("author") is None
        error = refusal_of(client.space_info, SPACE, expand=["everything"])
        assert "BadRequestError" in error.kinds
        assert '"expand" must be one of' in error.message

    def test_lists_have_filters_limits_and_pages(self, hub: HubEmulator, client: OfficialClient) -> None:
        hub.settings.page_size = 3
        for number in range(8):
            hub.add_space(f"acme/s{number}", likes=number, private=number % 2 == 0)
        hub.add_space("bigcorp/x", tags=["speech"])
        result = [space["id"] for space in client.list_spaces(author="acme")]
        assert sorted(result) == [f"acme/s{number}" for number in range(8)]
        assert len(client.list_spaces(author="acme", limit=5)) == 5
        assert client.list_spaces(sort="likes", limit=1)[0]["id"] == "acme/s7"
        (speech,) = client.list_spaces(filter="speech")
        assert speech["id"] == "bigcorp/x"
        runtimes = client.list_spaces(author="acme", expand=["runtime"])
        assert {space["runtime"]["stage"] for space in runtimes} == {"RUNNING"}
        client.token = None
        assert len(client.list_spaces(author="acme")) == 4

    def test_the_search_returns_running_spaces(self, hub: HubEmulator, client: OfficialClient) -> None:
        only(client, "2", "1")
        hub.add_space(SPACE)
        hub.add_space("acme/paused-whisper", stage="PAUSED")
        assert [each["id"] for each in client.search_spaces("whisper")] == [SPACE]

    def test_hardware_is_listed_with_prices(self, hub: HubEmulator, client: OfficialClient) -> None:
        only(client, "2", "1")
        flavors = {each["name"]: each for each in client.list_spaces_hardware()}
        assert flavors["t4-small"]["accelerator"]["model"] == "T4"
        assert flavors["cpu-basic"]["unit_cost_usd"] == 0

    def test_the_zero_gpu_quota_follows_the_plan(self, hub: HubEmulator, client: OfficialClient) -> None:
        only(client, "2")
        assert client.get_zero_gpu_quota()["base"] == 2400

    def test_whoami_names_user_organizations_and_role(self, hub: HubEmulator, client: OfficialClient) -> None:
        hub.add_organization("acme", members={"alice": "admin"})
        me = client.whoami()
        assert (me["name"], me["orgs"][0]["roleInOrg"]) == ("alice", "admin")
        assert me["auth"]["accessToken"]["role"] == "write"


class TestErrors:
    @pytest.mark.parametrize("token", ["own", None])
    def test_a_missing_space_is_not_found(
        self, hub: HubEmulator, client: OfficialClient, token: str | None
    ) -> None:
        client.token = hub.token if token else None
        error = refusal_of(client.get_space_runtime, "acme/nowhere")
        assert error.status == (404 if token else 401)
        assert "RepositoryNotFoundError" in error.kinds

    def test_a_private_space_is_not_found_by_strangers(
        self, hub: HubEmulator, client: OfficialClient
    ) -> None:
        hub.add_space(SPACE, private=True)
        client.token = hub.add_token("mallory")
        assert "RepositoryNotFoundError" in refusal_of(client.space_info, SPACE).kinds
        assert "RepositoryNotFoundError" in refusal_of(client.auth_check, SPACE, repo_type="space").kinds

    def test_a_gated_space_is_restricted(self, hub: HubEmulator, client: OfficialClient) -> None:
        hub.add_space(SPACE)
        client.update_repo_settings(SPACE, gated="manual", repo_type="space")
        client.token = hub.add_token("mallory")
        assert "GatedRepoError" in refusal_of(client.auth_check, SPACE, repo_type="space").kinds

    def test_an_invalid_token_is_not_a_missing_space(self, hub: HubEmulator, client: OfficialClient) -> None:
        hub.add_space(SPACE)
        client.token = "hf_wrong"
        error = refusal_of(client.pause_space, SPACE)
        assert error.status == 401
        assert "RepositoryNotFoundError" not in error.kinds
        assert "Invalid credentials in Authorization header" in error.message

    def test_a_space_of_another_owner_is_forbidden(self, hub: HubEmulator, client: OfficialClient) -> None:
        hub.add_space(SPACE)
        client.token = hub.add_token("mallory")
        error = refusal_of(client.pause_space, SPACE)
        assert error.status == 403
        assert "only its owner can do that" in error.message

    def test_a_static_space_cannot_be_restarted(self, hub: HubEmulator, client: OfficialClient) -> None:
        hub.add_space("acme/page", sdk="static")
        error = refusal_of(client.restart_space, "acme/page")
        assert "BadRequestError" in error.kinds
        assert "Can't restart a static Space" in error.message

    def test_paid_hardware_needs_a_payment_method(self, hub: HubEmulator, client: OfficialClient) -> None:
        hub.add_user("bob", can_pay=False)
        hub.add_space("bob/x")
        client.token = hub.add_token("bob")
        error = refusal_of(client.request_space_hardware, "bob/x", "t4-small")
        assert error.status == 403
        assert "You must add a payment method" in error.message

    def test_an_exhausted_quota_is_a_429(self, hub: HubEmulator, client: OfficialClient) -> None:
        hub.add_space(SPACE)
        hub.set_quota(1)
        client.get_space_runtime(SPACE)
        assert refusal_of(client.restart_space, SPACE).status == 429
