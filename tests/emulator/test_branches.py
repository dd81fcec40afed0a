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
def leased(hub: HubEmulator, ask: Ask) -> HubEmulator:
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


def test_only_a_commit_to_main_rebuilds_the_space(leased: HubEmulator) -> None:
    commit(leased, "one")
    assert leased.space(SPACE).stage == "RUNNING"
    assert leased.space(SPACE).runtime().raw["sha"] == leased.branches(SPACE)["main"]
    commit(leased, "one", "main")
    assert leased.space(SPACE).stage == "RUNNING_BUILDING"


def test_a_branch_may_start_empty_or_at_another_branch(leased: HubEmulator, ask: Ask) -> None:
    commit(leased, "one")
    assert ask("POST", f"{API}/branch/copy", {"startingPoint": LEASE}).status_code == 200
    assert ask("POST", f"{API}/branch/empty", {"emptyBranch": True}).status_code == 200
    assert leased.branches(SPACE)["copy"] == leased.branches(SPACE)[LEASE]
    assert leased.files(SPACE, "empty") == {}
    assert ask("POST", f"{API}/branch/copy", {}).status_code == 409
    assert ask("DELETE", f"{API}/branch/main").status_code == 403
    assert ask("DELETE", f"{API}/branch/nowhere").headers["X-Error-Code"] == "RevisionNotFound"


def test_a_branch_needs_a_token_that_may_write(leased: HubEmulator, ask: Ask) -> None:
    reader = leased.add_token("alice", "read")
    assert ask("POST", f"{API}/branch/other", {}, token=reader).status_code == 403
    assert ask("DELETE", f"{API}/branch/{LEASE}", token=leased.add_token("mallory")).status_code == 403
    assert ask("GET", f"{API}/refs", token=None).status_code == 200


def test_the_answer_to_a_read_names_its_commit_and_counts_as_a_file(leased: HubEmulator, ask: Ask) -> None:
    first = commit(leased, "one").json()["commitOid"]
    second = commit(leased, "two").json()["commitOid"]
    for revision, content, oid in ((LEASE, "two", second), (first, "one", first)):
        answer = ask("GET", f"/spaces/{SPACE}/resolve/{revision}/lease.json")
        assert (answer.text, answer.headers["X-Repo-Commit"]) == (content, oid)
        assert answer.headers["RateLimit"].startswith('"resolvers"')
    assert ask("GET", f"{API}/revision/{LEASE}").json()["sha"] == second


def test_files_read_by_branch_can_be_behind_the_branch(leased: HubEmulator, ask: Ask) -> None:
    leased.settings.change({"timings": {"branch_lag": 30}})
    first = commit(leased, "one").json()["commitOid"]
    leased.advance(60)
    second = commit(leased, "two", parent=first).json()["commitOid"]
    by_branch = f"/spaces/{SPACE}/resolve/{LEASE}/lease.json"
    assert ask("GET", by_branch).text == "one"
    assert ask("GET", f"/spaces/{SPACE}/resolve/{second}/lease.json").text == "two"
    assert ask("GET", f"{API}/revision/{LEASE}").json()["sha"] == second
    leased.advance(31)
    assert ask("GET", by_branch).text == "two"


def test_one_of_many_writers_that_read_the_same_commit_wins(leased: HubEmulator) -> None:
    start = leased.branches(SPACE)[LEASE]
    statuses = [commit(leased, str(number), parent=start).status_code for number in range(5)]
    assert statuses == [200, 412, 412, 412, 412]
    assert lease(leased) == b"0"


def test_a_commit_can_be_applied_though_its_answer_is_lost(leased: HubEmulator) -> None:
    start = leased.branches(SPACE)[LEASE]
    leased.faults.add(kind="reset", method="POST", path="/commit/", after=True, times=1)
    with pytest.raises(requests.ConnectionError):
        commit(leased, "one", parent=start)
    assert lease(leased) == b"one"
    assert commit(leased, "one", parent=start).status_code == 412


@pytest.mark.parametrize("status", [None, 504])
def test_a_commit_can_be_applied_after_its_writer_has_given_up(
    leased: HubEmulator, status: int | None
) -> None:
    start = leased.branches(SPACE)[LEASE]
    leased.faults.add(kind="late", status=status, seconds=30, method="POST", path="/commit/", times=1)
    if status is None:
        with pytest.raises(requests.ConnectionError):
            commit(leased, "late", parent=start)
    else:
        assert commit(leased, "late", parent=start).status_code == status
    assert leased.branches(SPACE)[LEASE] == start
    assert not leased.requests[-1].took_effect
    leased.advance(31)
    assert lease(leased) == b"late"
    assert leased.requests[-1].took_effect


def test_a_late_commit_does_not_overwrite_a_newer_one(leased: HubEmulator) -> None:
    start = leased.branches(SPACE)[LEASE]
    leased.faults.add(kind="late", status=504, seconds=30, method="POST", path="/commit/", times=1)
    assert commit(leased, "late", parent=start).status_code == 504
    assert commit(leased, "prompt", parent=start).status_code == 200
    leased.advance(31)
    assert lease(leased) == b"prompt"


def test_the_commit_limit_counts_all_branches_of_a_repository(leased: HubEmulator) -> None:
    leased.settings.commits_per_hour = 3
    assert [
        commit(leased, str(number), branch).status_code
        for number, branch in enumerate((LEASE, "main", LEASE))
    ] == [200, 200, 200]
    refusal = commit(leased, "4")
    assert refusal.status_code == 429
    assert "rate limit for repository commits (3 per hour)" in refusal.json()["error"]
    assert int(refusal.headers["Retry-After"]) == 3600
    assert '"api";r=0' not in refusal.headers["RateLimit"]
    leased.add_space("acme/other")
    assert commit(leased, "1", "main", api="/api/spaces/acme/other").status_code == 200
    leased.advance(3600)
    assert commit(leased, "5").status_code == 200


def test_a_rename_keeps_all_branches_and_a_duplicate_has_only_main(leased: HubEmulator, ask: Ask) -> None:
    oid = commit(leased, "one").json()["commitOid"]
    assert ask("POST", f"{API}/duplicate", {"repository": "alice/copy"}).status_code == 200
    assert list(leased.branches("alice/copy")) == ["main"]
    leased.rename_space(SPACE, "acme/speech")
    assert leased.branches("acme/speech")[LEASE] == oid
    moved = ask("GET", f"{API}/revision/{LEASE}")
    assert (moved.status_code, moved.headers["Location"]) == (
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


def test_a_state_file_keeps_branches_commits_and_datasets(leased: HubEmulator, ask: Ask) -> None:
    first = commit(leased, "one").json()["commitOid"]
    commit(leased, "two")
    leased.add_repository("acme/airflow-leases")
    state = ask("GET", "/_emulator/state").json()
    with HubEmulator(speed=0) as other:
        requests.put(f"{other.url}/_emulator/state", json=state, timeout=5).raise_for_status()
        assert other.branches(SPACE) == leased.branches(SPACE)
        assert other.files(SPACE, first)["lease.json"] == b"one"
        assert list(other.branches("acme/airflow-leases", "dataset")) == ["main"]
