"""The branches and tags of a repository."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import check_branch, check_reference, check_revision
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, json_response
from airflow_provider_hfspaces.emulator.http.routing import REPOSITORY, Route
from airflow_provider_hfspaces.emulator.model.git import MAIN, Commit, ReferenceExists

__all__ = ["ROUTES"]


def _create_branch(request: HubRequest) -> Response:
    repository, body = request.writable_repository(), request.body()
    name = check_reference(request.parts["branch"].removeprefix("refs/heads/"), "branch")
    overwrite = body.get("overwrite") is True
    try:
        if body.get("emptyBranch") is True:
            repository.git.create_empty_branch(name, repository.now(), overwrite=overwrite)
        else:
            start = check_revision(repository, str(body.get("startingPoint") or MAIN))
            repository.git.create_branch(name, start, repository.now(), overwrite=overwrite)
    except ReferenceExists:
        raise Refusal(409, f"Reference refs/heads/{name} already exists") from None
    return json_response({})


def _delete_branch(request: HubRequest) -> Response:
    repository, name = request.writable_repository(), request.parts["branch"]
    check_branch(repository, name)
    if name == MAIN:
        raise Refusal(403, "Cannot delete refs/heads/main")
    repository.git.delete_branch(name)
    return json_response({})


def _create_tag(request: HubRequest) -> Response:
    repository, body = request.writable_repository(), request.body()
    commit = check_revision(repository, request.parts["revision"])
    name = check_reference(body.get("tag"), "tag")
    try:
        repository.git.create_tag(name, commit)
    except ReferenceExists:
        raise Refusal(409, f"Reference refs/tags/{name} already exists") from None
    return json_response({})


def _delete_tag(request: HubRequest) -> Response:
    repository, name = request.writable_repository(), request.parts["tag"]
    try:
        repository.git.delete_tag(name)
    except KeyError:
        raise Refusal(404, f"Invalid rev id: {name}", code="RevisionNotFound") from None
    return json_response({})


def _refs(request: HubRequest) -> Response:
    git = request.readable_repository().git
    refs = {
        "branches": _ref_payloads(git.branches(), "heads"),
        "converts": [],
        "tags": _ref_payloads(git.tags(), "tags"),
    }
    if "include_prs" in request.query:
        refs["pullRequests"] = []
    return json_response(refs)


def _ref_payloads(commits: Mapping[str, Commit], kind: str) -> list[dict[str, str]]:
    return [
        {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit.oid}
        for name, commit in commits.items()
    ]


ROUTES = [
    Route("POST", f"{REPOSITORY}/branch/{{branch:rest}}", _create_branch),
    Route("DELETE", f"{REPOSITORY}/branch/{{branch:rest}}", _delete_branch),
    Route("POST", f"{REPOSITORY}/tag/{{revision:rest}}", _create_tag),
    Route("DELETE", f"{REPOSITORY}/tag/{{tag:rest}}", _delete_tag),
    Route("GET", f"{REPOSITORY}/refs", _refs),
]
