"""Branches and commits on the emulated Hub, beyond what the official client shows of them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import requests

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.emulator.conftest import Ask

SPACE = "acme/whisper"
API = f"/api/spaces/{SPACE}"
LEASE = "airflow-lease"


@pytest.fixture
def hub_with_lease(hub: HubEmulator, ask: Ask) -> HubEmulator:
    hub.add_space(SPACE, hardware="t4-small")
    assert ask("POST", f"{API}/branch/{LEASE}", {}).status_code == 200
    return hub


def commit(
    hub: HubEmulator, content: str, branch: str = LEASE, *, parent: str | None = None, api: str = API
) -> requests.Response:
    header: dict[str, Any] = {"summary": "Take the lease", "description": ""}
    if parent is not None:
        header["parentCommit"] = parent
    file = {
        "content": base64.b64encode(content.encode()).decode(),
        "path": "lease.json",
        "encoding": "base64",
    }
    lines = [{"key": "header", "value": header}, {"key": "file", "value": file}]
    return requests.post(
        f"{hub.url}{api}/commit/{branch}",
        data="\n".join(json.dumps(line) for line in lines),
        headers={"Authorization": f"Bearer {hub.token}", "Content-Type": "application/x-ndjson"},
        timeout=5,
    )


def lease(hub: HubEmulator) -> bytes:
    return hub.files(SPACE, LEASE)["lease.json"]


def test_only_a_commit_to_main_rebuilds_the_space(hub_with_lease: HubEmulator) -> None:
    commit(hub_with_lease, "one")
    assert hub_with_lease.space(SPACE).stage == "RUNNING"
    assert hub_with_lease.space(SPACE).runtime().raw["sha"] == hub_with_lease.branches(SPACE)["main"]
    commit(hub_with_lease, "one", "main")
    assert hub_with_lease.space(SPACE).stage == "RUNNING_BUILDING"


def test_a_branch_may_start_empty_or_at_another_branch(hub_with_lease: HubEmulator, ask: Ask) -> None:
    commit(hub_with_lease, "one")
    assert ask("POST", f"{API}/branch/copy", {"startingPoint": LEASE}).status_code == 200
    assert ask("POST", f"{API}/branch/empty", {"emptyBranch": True}).status_code == 200
    assert hub_with_lease.branches(SPACE)["copy"] == hub_with_lease.branches(SPACE)[LEASE]
    assert hub_with_lease.files(SPACE, "empty") == {}
    assert ask("POST", f"{API}/branch/copy", {}).status_code == 409
    assert ask("DELETE", f"{API}/branch/main").status_code == 403
    assert ask("DELETE", f"{API}/branch/nowhere").headers["X-Error-Code"] == "RevisionNotFound"


def test_a_branch_needs_a_token_that_may_write(hub_with_lease: HubEmulator, ask: Ask) -> None:
    reader = hub_with_lease.add_token("alice", "read")
    assert ask("POST", f"{API}/branch/other", {}, token=reader).status_code == 403
    assert (
        ask("DELETE", f"{API}/branch/{LEASE}", token=hub_with_lease.add_token("mallory")).status_code == 403
    )
    assert ask("GET", f"{API}/refs", token=None).status_code == 200


def test_the_answer_to_a_read_names_its_commit_and_counts_as_a_file(
    hub_with_lease: HubEmulator, ask: Ask
) -> None:
    first = commit(hub_with_lease, "one").json()["commitOid"]
    second = commit(hub_with_lease, "two").json()["commitOid"]
    for revision, content, oid in ((LEASE, "two", second), (first, "one", first)):
        answer = ask("GET", f"/spaces/{SPACE}/resolve/{revision}/lease.json")
        assert (answer.text, answer.headers["X-Repo-Commit"]) == (content, oid)
        assert answer.headers["RateLimit"].startswith('"resolvers"')
    assert ask("GET", f"{API}/revision/{LEASE}").json()["sha"] == second


def test_files_read_by_branch_can_be_behind_the_branch(hub_with_lease: HubEmulator, ask: Ask) -> None:
    hub_with_lease.settings.change({"timings": {"branch_lag": 30}})
    first = commit(hub_with_lease, "one").json()["commitOid"]
    hub_with_lease.advance(60)
    second = commit(hub_with_lease, "two", parent=first).json()["commitOid"]
    by_branch = f"/spaces/{SPACE}/resolve/{LEASE}/lease.json"
    assert ask("GET", by_branch).text == "one"
    assert ask("GET", f"/spaces/{SPACE}/resolve/{second}/lease.json").text == "two"
    assert ask("GET", f"{API}/revision/{LEASE}").json()["sha"] == second
    hub_with_lease.advance(31)
    assert ask("GET", by_branch).text == "two"


def test_one_of_many_writers_that_read_the_same_commit_wins(hub_with_lease: HubEmulator) -> None:
    start = hub_with_lease.branches(SPACE)[LEASE]
    statuses = [commit(hub_with_lease, str(number), parent=start).status_code for number in range(5)]
    assert statuses == [200, 412, 412, 412, 412]
    assert lease(hub_with_lease) == b"0"


def test_a_commit_can_be_applied_though_its_answer_is_lost(hub_with_lease: HubEmulator) -> None:
    start = hub_with_lease.branches(SPACE)[LEASE]
    hub_with_lease.faults.add(kind="reset", method="POST", path="/commit/", after=True, times=1)
    with pytest.raises(requests.ConnectionError):
        commit(hub_with_lease, "one", parent=start)
    assert lease(hub_with_lease) == b"one"
    assert commit(hub_with_lease, "one", parent=start).status_code == 412


@pytest.mark.parametrize("status", [None, 504])
def test_a_commit_can_be_applied_after_its_writer_has_given_up(
    hub_with_lease: HubEmulator, status: int | None
) -> None:
    start = hub_with_lease.branches(SPACE)[LEASE]
    hub_with_lease.faults.add(kind="late", status=status, seconds=30, method="POST", path="/commit/", times=1)
    if status is None:
        with pytest.raises(requests.ConnectionError):
            commit(hub_with_lease, "late", parent=start)
    else:
        assert commit(hub_with_lease, "late", parent=start).status_code == status
    assert hub_with_lease.branches(SPACE)[LEASE] == start
    assert not hub_with_lease.requests[-1].took_effect
    hub_with_lease.advance(31)
    assert lease(hub_with_lease) == b"late"
    assert hub_with_lease.requests[-1].took_effect


def test_a_late_commit_does_not_overwrite_a_newer_one(hub_with_lease: HubEmulator) -> None:
    start = hub_with_lease.branches(SPACE)[LEASE]
    hub_with_lease.faults.add(kind="late", status=504, seconds=30, method="POST", path="/commit/", times=1)
    assert commit(hub_with_lease, "late", parent=start).status_code == 504
    assert commit(hub_with_lease, "prompt", parent=start).status_code == 200
    hub_with_lease.advance(31)
    assert lease(hub_with_lease) == b"prompt"


def test_the_commit_limit_counts_all_branches_of_a_repository(hub_with_lease: HubEmulator) -> None:
    hub_with_lease.settings.commits_per_hour = 3
    assert [
        commit(hub_with_lease, str(number), branch).status_code
        for number, branch in enumerate((LEASE, "main", LEASE))
    ] == [200, 200, 200]
    refusal = commit(hub_with_lease, "4")
    assert refusal.status_code == 429
    assert "rate limit for repository commits (3 per hour)" in refusal.json()["error"]
    assert int(refusal.headers["Retry-After"]) == 3600
    assert '"api";r=0' not in refusal.headers["RateLimit"]
    hub_with_lease.add_space("acme/other")
    assert commit(hub_with_lease, "1", "main", api="/api/spaces/acme/other").status_code == 200
    hub_with_lease.advance(3600)
    assert commit(hub_with_lease, "5").status_code == 200


def test_a_rename_keeps_all_branches_and_a_duplicate_has_only_main(
    hub_with_lease: HubEmulator, ask: Ask
) -> None:
    oid = commit(hub_with_lease, "one").json()["commitOid"]
    assert ask("POST", f"{API}/duplicate", {"repository": "alice/copy"}).status_code == 200
    assert list(hub_with_lease.branches("alice/copy")) == ["main"]
    hub_with_lease.rename_space(SPACE, "acme/speech")
    assert hub_with_lease.branches("acme/speech")[LEASE] == oid
    answer_after_move = ask("GET", f"{API}/revision/{LEASE}")
    assert (answer_after_move.status_code, answer_after_move.headers["Location"]) == (
        307,
        f"/api/spaces/acme/speech/revision/{LEASE}",
    )


def test_a_dataset_holds_a_branch_for_each_space(hub: HubEmulator, ask: Ask) -> None:
    hub.add_repository("acme/airflow-leases", private=True)
    api = "/api/datasets/acme/airflow-leases"
    assert ask("POST", f"{api}/branch/acme%2Fwhisper", {}).status_code == 200
    oid = commit(hub, "one", "acme%2Fwhisper", api=api).json()["commitOid"]
    assert hub.branches("acme/airflow-leases", "dataset")["acme/whisper"] == oid
    assert ask("GET", f"{api}/revision/acme%2Fwhisper").json()["sha"] == oid
    assert ask("GET", f"{api}/auth-check/write").status_code == 200
    reader = hub.add_token("alice", "read")
    assert ask("GET", f"{api}/auth-check", token=reader).status_code == 200
    assert ask("GET", f"{api}/auth-check/write", token=reader).status_code == 403
    file = "/datasets/acme/airflow-leases/resolve/acme%2Fwhisper/lease.json"
    assert ask("GET", file).text == "one"
    assert ask("GET", file, token=None).status_code == 401
    assert ask("GET", "/api/spaces/acme/airflow-leases").status_code == 404


def test_a_state_file_keeps_branches_commits_and_datasets(hub_with_lease: HubEmulator, ask: Ask) -> None:
    first = commit(hub_with_lease, "one").json()["commitOid"]
    commit(hub_with_lease, "two")
    hub_with_lease.add_repository("acme/airflow-leases")
    state = ask("GET", "/_emulator/state").json()
    with HubEmulator(speed=0) as other:
        requests.put(f"{other.url}/_emulator/state", json=state, timeout=5).raise_for_status()
        assert other.branches(SPACE) == hub_with_lease.branches(SPACE)
        assert other.files(SPACE, first)["lease.json"] == b"one"
        assert list(other.branches("acme/airflow-leases", "dataset")) == ["main"]
