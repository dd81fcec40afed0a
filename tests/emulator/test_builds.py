"""What a commit does to a Space: the build follows from the files, and the runtime from the build."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.emulator.commits import commit
from tests.emulator.conftest import Ask

SPACE = "acme/whisper"
API = f"/api/spaces/{SPACE}"
CARD = b"---\ntitle: Whisper\nsdk: gradio\n---\n"


def runtime(ask: Ask) -> tuple[str, str | None]:
    """The stage and the commit that the runtime reports."""
    body = ask("GET", f"{API}/runtime").json()
    return body["stage"], body.get("sha")


def test_the_runtime_reports_a_new_commit_only_when_its_container_runs(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    old = hub.branches(SPACE)["main"]
    new = commit(hub, {"app.py": b"print(1)"}).json()["commitOid"]
    assert ask("GET", API).json()["sha"] == new
    assert runtime(ask) == ("RUNNING_BUILDING", old)
    hub.advance(120)
    assert runtime(ask) == ("RUNNING_APP_STARTING", old)
    hub.advance(30)
    assert runtime(ask) == ("RUNNING", new)


def test_a_commit_during_a_build_starts_the_build_again(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    commit(hub, {"app.py": b"1"})
    hub.advance(119)
    second = commit(hub, {"app.py": b"2"}).json()["commitOid"]
    hub.advance(119)
    assert runtime(ask)[0] == "RUNNING_BUILDING"
    hub.advance(31)
    assert runtime(ask) == ("RUNNING", second)
    assert f"Commit SHA: {second[:7]}" in hub.space(SPACE).logs(build=True)[0]


def test_a_space_that_wakes_runs_the_commit_that_was_built_last(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE, hardware="t4-small", sleep_time=600)
    built_commit = hub.branches(SPACE)["main"]
    ask("POST", f"{API}/pause")
    waiting = commit(hub, {"app.py": b"1"}).json()["commitOid"]
    assert runtime(ask) == ("PAUSED", None), "a commit does not start a paused Space"
    ask("POST", f"{API}/restart")
    hub.advance(150)
    assert runtime(ask) == ("RUNNING", waiting) != ("RUNNING", built_commit)
    hub.advance(600)
    assert runtime(ask) == ("SLEEPING", None)
    space.visit()
    hub.advance(20)
    assert runtime(ask) == ("RUNNING", waiting)


def test_the_commit_in_the_runtime_can_be_late_or_missing(hub: HubEmulator, ask: Ask) -> None:
    hub.settings.change({"timings": {"sha_lag": 20}})
    hub.add_space(SPACE)
    old = hub.branches(SPACE)["main"]
    new = commit(hub, {"app.py": b"1"}).json()["commitOid"]
    hub.advance(150)
    assert runtime(ask) == ("RUNNING", old)
    hub.advance(20)
    assert runtime(ask) == ("RUNNING", new)
    hub.settings.change({"runtime_has_sha": False})
    assert runtime(ask) == ("RUNNING", None)


def test_a_list_that_lags_shows_the_commit_of_its_time(hub: HubEmulator, ask: Ask) -> None:
    hub.settings.change({"timings": {"list_lag": 200}})
    hub.add_space(SPACE)
    hub.advance(1000)
    old = hub.branches(SPACE)["main"]
    commit(hub, {"app.py": b"1"})
    hub.advance(150)
    (entry,) = ask("GET", "/api/spaces?expand=runtime").json()
    assert (entry["runtime"]["stage"], entry["runtime"]["sha"]) == ("RUNNING", old)


@pytest.mark.parametrize("serves", [False, True], ids=["the old app ends", "the old app serves"])
def test_a_failed_build_ends_in_build_error_and_a_setting_keeps_the_old_app(
    hub: HubEmulator, ask: Ask, serves: bool
) -> None:
    hub.settings.failed_build_serves = serves
    space = hub.add_space(SPACE, hardware="t4-small")
    old = hub.branches(SPACE)["main"]
    space.fail_next_build("Job failed with exit code: 1")
    commit(hub, {"app.py": b"1"})
    hub.advance(120)
    assert runtime(ask) == ("BUILD_ERROR", old if serves else None)
    assert requests.get(space.app_url, timeout=5).status_code == (200 if serves else 503)
    assert bool(hub.bill().running) is serves
    assert space.hardware == ("t4-small" if serves else None)
    fix = commit(hub, {"app.py": b"2"}).json()["commitOid"]
    assert runtime(ask)[0] == ("RUNNING_BUILDING" if serves else "BUILDING")
    hub.advance(150)
    assert runtime(ask) == ("RUNNING", fix)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (b"# Whisper\n", "Missing configuration in README"),
        (b"---\ntitle: [\nsdk: gradio\n---\n", "YAML metadata error"),
        (b"---\n- sdk\n---\n", "must be an object"),
        (b"---\ntitle: Whisper\n---\n", '"sdk" is required'),
        (b"---\nsdk: streamlit\n---\n", '"sdk" must be one of [gradio, docker, static]'),
        (b"---\nsdk: gradio\nsdk_version: newest\n---\n", '"sdk_version" must be a version'),
        (b"---\nsdk: docker\napp_port: 99999\n---\n", '"app_port" must be a valid port'),
        (b"---\nsdk: gradio\nmodels: acme/m\n---\n", '"models" must be an array'),
    ],
)
def test_a_readme_that_does_not_configure_a_space_is_a_config_error(
    hub: HubEmulator, ask: Ask, card: bytes, message: str
) -> None:
    space = hub.add_space(SPACE)
    assert commit(hub, {"README.md": card}).status_code == 200
    assert runtime(ask) == ("CONFIG_ERROR", None)
    assert message in ask("GET", f"{API}/runtime").json()["errorMessage"]
    ask("POST", f"{API}/restart")
    assert space.stage == "CONFIG_ERROR", "a restart builds the same files"
    commit(hub, {"README.md": CARD})
    hub.advance(150)
    assert runtime(ask)[0] == "RUNNING"


def test_a_space_without_its_app_file_has_nothing_to_build(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE, stage="NO_APP_FILE")
    commit(hub, {"notes.txt": b"later"})
    assert runtime(ask) == ("NO_APP_FILE", None)
    commit(hub, {"README.md": CARD.replace(b"sdk: gradio", b"sdk: gradio\napp_file: src/main.py")})
    commit(hub, {"app.py": b""})
    assert space.stage == "NO_APP_FILE", "the card names another file"
    commit(hub, {"src/main.py": b""})
    hub.advance(150)
    assert space.stage == "RUNNING"
    commit(hub, deletions=["src/main.py"])
    assert space.stage == "NO_APP_FILE"


def test_the_readme_decides_the_sdk(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE)
    commit(hub, {"README.md": b"---\nsdk: docker\n---\n"})
    assert space.stage == "NO_APP_FILE", "a Docker Space needs a Dockerfile"
    commit(hub, {"Dockerfile": b"FROM scratch"})
    hub.advance(150)
    assert (space.stage, ask("GET", API).json()["sdk"]) == ("RUNNING", "docker")
    commit(hub, {"README.md": b"---\nsdk: static\n---\n", "index.html": b"<p>"})
    body = ask("GET", f"{API}/runtime").json()
    assert (body["stage"], body["hardware"]) == ("RUNNING", {"current": None, "requested": None})
    assert "static" in ask("GET", API).json()["tags"]
    commit(hub, {"README.md": CARD})
    assert space.requested_hardware == "cpu-basic"
    hub.advance(150)
    assert (space.stage, space.hardware) == ("RUNNING", "cpu-basic")


def test_the_card_is_in_the_description_with_its_version_and_links(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    assert ask("GET", API).json()["cardData"]["sdk_version"]
    card = b"---\nsdk: gradio\nsdk_version: 5.0.1\nmodels:\n- acme/asr\ndatasets:\n- acme/speech\n---\n"
    commit(hub, {"README.md": card})
    hub.add_space("acme/other")
    body = ask("GET", f"{API}?expand=cardData&expand=models&expand=datasets").json()
    assert body["cardData"]["sdk_version"] == "5.0.1"
    assert (body["models"], body["datasets"]) == (["acme/asr"], ["acme/speech"])
    for query in ("models=acme/asr", "datasets=acme/speech", "linked=true"):
        assert [each["id"] for each in ask("GET", f"/api/spaces?{query}").json()] == [SPACE]
    assert ask("GET", "/api/spaces?models=acme/asr&models=acme/none").json() == []


def test_a_new_static_space_has_a_page(hub: HubEmulator, ask: Ask) -> None:
    body = {"name": "page", "organization": "alice", "type": "space", "sdk": "static"}
    assert ask("POST", "/api/repos/create", body).status_code == 200
    assert sorted(hub.files("alice/page")) == [".gitattributes", "README.md", "index.html", "style.css"]
    assert b"sdk: static" in hub.files("alice/page")["README.md"]


def test_a_state_file_keeps_which_commit_was_built(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    commit(hub, {"app.py": b"1"})
    state = ask("GET", "/_emulator/state").json()
    with HubEmulator(speed=0) as other:
        with other.world.lock:
            from airflow_provider_hfspaces.emulator.state_file import load

            load(other.world, state)
        for each in (hub, other):
            each.advance(150)
        assert other.space(SPACE).runtime().raw["sha"] == hub.branches(SPACE)["main"]


def test_a_test_commits_as_another_person_would(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    before = space.running_sha
    sha = space.commit({"app.py": "import gradio", "weights.bin": b"\0", "nowhere": None}, title="Hotfix")
    assert hub.files(SPACE)["app.py"] == b"import gradio"
    assert ask("GET", f"{API}/commits/main").json()[0]["title"] == "Hotfix"
    assert (space.stage, space.running_sha) == ("RUNNING_BUILDING", before)
    hub.advance(150)
    assert (space.stage, space.running_sha) == ("RUNNING", sha)
    for files in ({}, {"app.py": 1}, "app.py"):
        with pytest.raises(ValueError, match="content"):
            space.commit(files)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no branch 'side'"):
        space.commit({"a": "b"}, branch="side")


def test_a_program_commits_through_the_control_api(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    path = f"/_emulator/spaces/{SPACE}/commit"
    answer = ask("POST", path, {"files": {"app.py": "1", "README.md": None}}).json()
    assert answer["stage"] == "CONFIG_ERROR"
    assert ask("POST", path, {"files": {}}).status_code == 400
