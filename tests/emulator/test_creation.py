"""Creating, moving, hiding and deleting repositories on the emulated Hub."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import requests

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.emulator.conftest import Ask

SPACE = "acme/whisper"
API = f"/api/spaces/{SPACE}"
BODY = {"name": "new", "organization": "acme", "type": "space", "sdk": "docker"}


@pytest.fixture
def acme(hub: HubEmulator) -> HubEmulator:
    hub.add_organization("acme", members={"alice": "admin", "carol": "read"})
    return hub


def create(ask: Ask, token: str | None = "owner", **more: Any) -> requests.Response:
    return ask("POST", "/api/repos/create", {**BODY, **more}, token=token)


class TestCreating:
    def test_one_request_sets_everything(self, acme: HubEmulator, ask: Ask) -> None:
        entry = {"key": "K", "value": "v"}
        volume = {"type": "bucket", "source": "acme/data", "mountPath": "/data"}
        files = [
            {"path": "Dockerfile", "content": "FROM scratch"},
            {"path": "run.sh", "content": base64.b64encode(b"#!").decode(), "encoding": "base64"},
        ]
        answer = create(
            ask,
            visibility="protected",
            hardware="t4-small",
            sleepTimeSeconds=600,
            secrets=[entry],
            variables=[entry],
            volumes=[volume],
            files=files,
            devModeEnabled=True,
            short_description="What it does",
            license="mit",
        )
        assert answer.json()["name"] == "acme/new"
        space = acme.space("acme/new")
        assert (space.stage, space.requested_hardware, space.sleep_time) == ("BUILDING", "t4-small", 600)
        assert (space.secrets, space.variables, space.dev_mode) == ({"K": "v"}, {"K": "v"}, True)
        assert space.volumes[0]["mountPath"] == "/data"
        assert acme.files("acme/new")["run.sh"] == b"#!"
        info = ask("GET", "/api/spaces/acme/new").json()
        assert info["cardData"]["license"] == "mit"
        assert info["cardData"]["short_description"] == "What it does"
        acme.advance(150)
        assert (space.stage, space.hardware) == ("RUNNING", "t4-small")

    def test_a_new_space_without_an_app_has_nothing_to_build(self, acme: HubEmulator, ask: Ask) -> None:
        create(ask)
        assert acme.space("acme/new").stage == "NO_APP_FILE"
        broken_files = [{"path": "README.md", "content": "# no card"}]
        create(ask, name="broken", files=broken_files)
        assert acme.space("acme/broken").stage == "CONFIG_ERROR"
        assert "Missing configuration" in str(acme.space("acme/broken").error_message)
        copy = ask("POST", "/api/spaces/acme/broken/duplicate", {"repository": "acme/copy"})
        assert copy.status_code == 200
        assert acme.space("acme/copy").stage == "CONFIG_ERROR"

    def test_the_version_of_the_sdk_is_in_the_card(self, acme: HubEmulator, ask: Ask) -> None:
        create(ask, sdk="gradio", sdkVersion="4.44.1")
        assert ask("GET", "/api/spaces/acme/new").json()["cardData"]["sdk_version"] == "4.44.1"

    @pytest.mark.parametrize(
        ("more", "status", "words"),
        [
            ({"sdk": None}, 400, '"sdk" must be one of'),
            ({"sdk": "streamlit"}, 400, '"sdk" must be one of'),
            ({"hardware": "h100"}, 400, "valid hardware flavor"),
            ({"sleepTimeSeconds": 0}, 400, "sleepTimeSeconds"),
            ({"visibility": "secret"}, 400, '"visibility" must be one of'),
            ({"visibility": "private", "private": True}, 400, "cannot be specified together"),
            ({"type": "dataset", "visibility": "protected"}, 400, "only for Spaces"),
            ({"secrets": [{"key": "1X", "value": ""}]}, 400, "pattern"),
            ({"volumes": [{"type": "disk"}]}, 400, "volumes[0].type"),
            ({"files": [{"path": "../x", "content": ""}]}, 422, "Invalid path"),
            ({"files": [{"path": "x", "content": "%", "encoding": "base64"}]}, 400, "base64"),
            ({"files": "x"}, 400, '"files" must be an array'),
            ({"short_description": "x" * 61}, 400, "short_description"),
            ({"devModeEnabled": "yes"}, 400, "devModeEnabled"),
            ({"region": "moon"}, 400, "region"),
            ({"resourceGroupId": "a" * 24}, 501, "resource groups"),
            ({"name": "a--b"}, 400, "full name"),
            ({"template": "acme/none"}, 400, "templates"),
            ({"sdk": "docker", "hardware": "zerogpu"}, 400, "ZeroGPU"),
        ],
    )
    def test_invalid_values_are_refused_and_create_nothing(
        self, acme: HubEmulator, ask: Ask, more: dict[str, Any], status: int, words: str
    ) -> None:
        answer = create(ask, **more)
        assert (answer.status_code, words in answer.json()["error"]) == (status, True), answer.text
        assert not acme.has_space("acme/new")

    def test_only_members_who_may_write_create_repositories(self, acme: HubEmulator, ask: Ask) -> None:
        assert create(ask, token=None).status_code == 401
        for user in ("carol", "mallory"):
            assert create(ask, token=acme.add_token(user)).status_code == 403
        assert create(ask, token=acme.add_token("alice", "read")).status_code == 403

    def test_dev_mode_needs_a_subscription(self, hub: HubEmulator, ask: Ask) -> None:
        hub.add_user("bob")
        token = hub.add_token("bob")
        body = {"organization": "bob", "sdk": "gradio"}
        assert create(ask, token=token, **body, devModeEnabled=True).status_code == 402
        assert create(ask, token=token, **body).status_code == 200
        mode = "/api/spaces/bob/new/dev-mode"
        assert ask("POST", mode, {"enabled": True}, token=token).status_code == 402
        assert ask("POST", mode, {"enabled": False}, token=token).status_code == 200
        assert ask("POST", mode, {"enabled": "on"}, token=token).status_code == 400


class TestVisibility:
    def test_everybody_uses_a_protected_app_and_only_members_read_its_files(
        self, acme: HubEmulator, ask: Ask
    ) -> None:
        space = acme.add_space(SPACE)
        assert ask("PUT", f"{API}/settings", {"visibility": "protected"}).json()["visibility"] == "protected"
        stranger = acme.add_token("mallory")
        assert ask("GET", f"{API}/runtime", token=stranger).status_code == 200
        assert requests.get(space.app_url, timeout=5).status_code == 200
        for path in (f"/spaces/{SPACE}/resolve/main/app.py", f"{API}/tree/main", f"{API}/refs"):
            assert ask("GET", path, token=stranger).status_code == 404
            assert ask("GET", path, token=None).status_code == 401
            assert ask("GET", path, token=acme.add_token("carol")).status_code == 200

    @pytest.mark.parametrize("body", [{"visibility": "secret"}, {"gated": "perhaps"}])
    def test_a_setting_that_does_not_exist_is_refused(
        self, acme: HubEmulator, ask: Ask, body: dict[str, Any]
    ) -> None:
        acme.add_space(SPACE)
        assert ask("PUT", f"{API}/settings", body).status_code == 400

    def test_a_dataset_cannot_be_protected(self, acme: HubEmulator, ask: Ask) -> None:
        acme.add_repository("acme/data")
        body = {"visibility": "protected"}
        assert ask("PUT", "/api/datasets/acme/data/settings", body).status_code == 400


class TestMovingAndDeleting:
    def test_a_space_moves_only_to_a_free_valid_name_in_a_namespace_with_write_access(
        self, acme: HubEmulator, ask: Ask
    ) -> None:
        acme.add_space(SPACE)
        acme.add_space("acme/other")
        acme.add_space("bigcorp/app")
        acme.add_organization("closed", members={"mallory": "admin"})

        def move(to: str, source: str = SPACE, token: str = "owner") -> int:
            body = {"fromRepo": source, "toRepo": to, "type": "space"}
            return ask("POST", "/api/repos/move", body, token=token).status_code

        assert move("acme/other") == 409
        assert move("no-owner") == 400
        assert move("closed/app") == 403
        assert move("acme/x", source="acme/nowhere") == 404
        assert move("acme/x", token=acme.add_token("carol")) == 403
        assert move("acme/speech") == 200
        assert ask("GET", API).status_code == 307
        assert move("acme/again", source=SPACE) == 404, "the old name only redirects"

    def test_a_space_is_deleted_once_and_only_with_write_access(self, acme: HubEmulator, ask: Ask) -> None:
        acme.add_space(SPACE)

        def delete(token: str | None = "owner") -> requests.Response:
            body = {"name": "whisper", "organization": "acme", "type": "space"}
            return ask("DELETE", "/api/repos/delete", body, token=token)

        assert delete(None).status_code == 401
        assert delete(acme.add_token("carol")).status_code == 403
        assert delete().text == "OK"
        assert delete().headers["X-Error-Code"] == "RepoNotFound"


class TestReplicas:
    def test_replicas_need_paid_hardware_and_a_whole_positive_number(
        self, acme: HubEmulator, ask: Ask
    ) -> None:
        space = acme.add_space(SPACE)
        assert ask("POST", f"{API}/replicas", {"replicas": 2}).status_code == 400
        acme.add_space("acme/gpu", hardware="t4-small")
        path = "/api/spaces/acme/gpu/replicas"
        for wrong in (0, -1, 1.5, "2", True, None):
            assert ask("POST", path, {"replicas": wrong}).status_code == 400
        assert ask("POST", path, {"replicas": 2}, token=acme.add_token("carol")).status_code == 403
        assert ask("POST", path, {"replicas": 3}).json()["replicas"]["requested"] == 3
        assert space.replicas == 1
