"""The hook creates, finds, moves and deletes Spaces, and follows their logs."""

from __future__ import annotations

import sys

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.connection import InvalidConnection
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.errors import HubConflict, HubError, SpaceNotFound
from tests.emulator.commits import commit

SPACE = "acme/whisper"


def test_a_space_lives_from_its_creation_to_its_end(hub: HubEmulator) -> None:
    hub.add_space("acme/base")
    hook = HfSpacesHook()
    url = hook.create_space(SPACE, sdk="docker", variables={"A": "1"})
    assert (url.repo_id, url.url) == (SPACE, f"{hub.url}/spaces/{SPACE}")
    assert hub.space(SPACE).private
    with pytest.raises(HubConflict, match="already created"):
        hook.create_space(SPACE, sdk="docker")
    assert hook.create_space(SPACE, sdk="docker", exist_ok=True).repo_id == SPACE
    hook.set_visibility(SPACE, "public")
    assert not hub.space(SPACE).private
    hook.move_space(SPACE, "acme/other")
    assert hook.get_space(SPACE).id == "acme/other"
    hook.delete_space("acme/other")
    with pytest.raises(SpaceNotFound):
        hook.get_space("acme/other")


def test_a_secret_of_a_new_space_is_in_no_error(hub: HubEmulator) -> None:
    hub.add_space("acme/base")
    hub.faults.add(
        kind="status", path="/repos/create", status=400, message="very-s3cr3t is not a valid value"
    )
    with pytest.raises(HubError) as excinfo:
        HfSpacesHook().create_space(SPACE, sdk="docker", secrets={"KEY": "very-s3cr3t"})
    assert "very-s3cr3t" not in str(excinfo.value)


def test_templates_search_results_and_quota_are_read(hub: HubEmulator) -> None:
    hub.add_space(SPACE, tags=["speech"])
    hub.add_space("acme/asleep", stage="SLEEPING", tags=["speech"])
    hook = HfSpacesHook()
    (template,) = [each for each in hook.list_space_templates() if each.name == "JupyterLab"]
    assert (template.repo_id, template.sdk) == ("SpacesExamples/jupyterlab", "docker")
    assert template.preferred_private
    (result,) = hook.search_spaces("speech")
    assert (result.id, result.sdk, result.runtime and result.runtime.stage) == (SPACE, "gradio", "RUNNING")
    assert len(hook.search_spaces("speech", include_non_running=True)) == 2
    assert hook.search_spaces("speech", sdk="docker") == []
    quota = hook.zero_gpu_quota()
    assert 0 < quota.remaining_seconds <= quota.base_seconds
    with pytest.raises(InvalidInput, match="query must be the text to search for"):
        hook.search_spaces(" ")


def test_a_copy_that_another_operation_delays_is_not_taken_for_one_that_exists(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    hub.faults.add(kind="status", status=409, path="/duplicate", message="operation in progress")
    with pytest.raises(HubConflict, match="in progress"):
        HfSpacesHook().duplicate(SPACE, to_id="acme/copy", exist_ok=True)


def test_commits_are_listed_newest_first(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    shas = [str(commit(hub, {"app.py": str(number).encode()}).json()["commitOid"]) for number in range(3)]
    hook = HfSpacesHook()
    assert [each.sha for each in hook.list_commits(SPACE)][:3] == shas[::-1]
    (last,) = hook.list_commits(SPACE, limit=1)
    assert (last.sha, last.title) == (shas[-1], "Change the app")


def test_a_log_is_followed_until_the_build_is_over(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    commit(hub, {"app.py": b"1"})
    lines = HfSpacesHook().follow_logs(SPACE, build=True)
    first = next(lines)
    assert "Build Queued" in first
    hub.advance(200)
    rest = list(lines)
    assert [first, *rest] == hub.space(SPACE).logs(build=True)


def test_the_official_client_has_the_connections_token_and_endpoint(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_space(SPACE)
    api = HfSpacesHook().hf_api()
    assert (api.endpoint, api.token) == (hub.url, hub.token)
    assert "app.py" in api.list_repo_files(SPACE, repo_type="space")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InvalidConnection, match="needs the package huggingface_hub"):
        HfSpacesHook().hf_api()
