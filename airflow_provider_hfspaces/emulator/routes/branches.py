"""The branches of a repository."""

from __future__ import annotations

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import check_branch, check_revision
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, answer
from airflow_provider_hfspaces.emulator.http.routing import REPOSITORY, Route
from airflow_provider_hfspaces.emulator.model.git import MAIN, BranchExists

__all__ = ["ROUTES"]


def _create_branch(request: HubRequest) -> Response:
    repository, body = request.writable_repository(), request.body()
    name, overwrite = request.parts["branch"], body.get("overwrite") is True
    try:
        if body.get("emptyBranch") is True:
            repository.git.create_empty_branch(name, repository.now(), overwrite=overwrite)
        else:
            start = check_revision(repository, str(body.get("startingPoint") or MAIN))
            repository.git.create_branch(name, start, repository.now(), overwrite=overwrite)
    except BranchExists:
        raise Refusal(409, f"Reference already exists: refs/heads/{name}") from None
    return answer({})


def _delete_branch(request: HubRequest) -> Response:
    repository, name = request.writable_repository(), request.parts["branch"]
    check_branch(repository, name)
    if name == MAIN:
        raise Refusal(403, "The branch main can't be deleted")
    repository.git.delete_branch(name)
    return answer({})


def _refs(request: HubRequest) -> Response:
    branches = [
        {"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit.oid}
        for name, commit in request.readable_repository().git.branches().items()
    ]
    refs: dict[str, list[dict[str, str]]] = {"branches": branches, "converts": [], "tags": []}
    if "include_prs" in request.query:
        refs["pullRequests"] = []
    return answer(refs)


ROUTES = [
    Route("POST", f"{REPOSITORY}/branch/{{branch:rest}}", _create_branch),
    Route("DELETE", f"{REPOSITORY}/branch/{{branch:rest}}", _delete_branch),
    Route("GET", f"{REPOSITORY}/refs", _refs),
]
