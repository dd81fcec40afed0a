"""The web pages of a Space's files and commits. The official client prints links to these pages."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from urllib.parse import quote

from starlette.responses import HTMLResponse, Response

from airflow_provider_hfspaces.emulator.http.checks import check_revision
from airflow_provider_hfspaces.emulator.http.request import HubRequest, Moved
from airflow_provider_hfspaces.emulator.http.responses import Refusal
from airflow_provider_hfspaces.emulator.http.routing import Handler, Route
from airflow_provider_hfspaces.emulator.model.clock import iso
from airflow_provider_hfspaces.emulator.model.git import Commit
from airflow_provider_hfspaces.emulator.model.repository import Repository
from airflow_provider_hfspaces.emulator.templates import render

__all__ = ["ROUTES"]

_PAGE = "/spaces/{owner}/{name}"


def _page(make: Callable[[HubRequest, Repository, Commit], str]) -> Handler:
    def handler(request: HubRequest) -> Response:
        try:
            repository = request.readable_repository()
            commit = check_revision(repository, request.parts["revision"])
            body = make(request, repository, commit)
        except Refusal as refusal:
            body = f"<p>{escape(refusal.message)}</p>"
            return HTMLResponse(render("space.html", title="404", body=body), 404)
        except Moved as moved:
            return Response(status_code=307, headers={"Location": moved.location})
        return HTMLResponse(render("space.html", title=repository.repo_id, body=body))

    return handler


def _tree(request: HubRequest, repository: Repository, commit: Commit) -> str:
    """The files at a revision, each with a link to its content."""
    folder = request.parts.get("path", "").strip("/")
    prefix = f"{folder}/" if folder else ""
    paths = [path for path in sorted(commit.files) if path == folder or path.startswith(prefix)]
    if not paths:
        raise Refusal(404, f"{folder} does not exist on {request.parts['revision']!r}")
    files = "".join(
        f'<li><a href="{repository.page}/resolve/{commit.oid}/{quote(path)}">{escape(path)}</a></li>'
        for path in paths
    )
    history = f"<p>At {_link(repository, commit)}: {escape(commit.title)}</p>"
    return f"{history}<ul>{files}</ul>"


def _commits(request: HubRequest, repository: Repository, commit: Commit) -> str:
    rows = "".join(
        f"<li>{_link(repository, each)} {escape(each.title)} ({iso(each.time)})</li>"
        for each in repository.git.history(commit)
    )
    return f"<ul>{rows}</ul>"


def _commit(request: HubRequest, repository: Repository, commit: Commit) -> str:
    """The message of a commit and the files that it changed."""
    before = repository.git.commits[commit.parent].files if commit.parent else {}
    changed = sorted(path for path in {*commit.files, *before} if commit.files.get(path) != before.get(path))
    files = "".join(
        f"<li>{escape(path)}{'' if path in commit.files else ' (deleted)'}</li>" for path in changed
    )
    author = escape(commit.author or repository.owner)
    return (
        f"<h2>{escape(commit.title)}</h2><p>{escape(commit.message)}</p>"
        f"<p>{author}, {iso(commit.time)}, {commit.oid}</p><ul>{files}</ul>"
    )


def _link(repository: Repository, commit: Commit) -> str:
    return f'<a href="{repository.page}/commit/{commit.oid}"><code>{commit.oid[:7]}</code></a>'


ROUTES = [
    Route("GET", f"{_PAGE}/tree/{{revision}}", _page(_tree)),
    Route("GET", f"{_PAGE}/tree/{{revision}}/{{path:rest}}", _page(_tree)),
    Route("GET", f"{_PAGE}/blob/{{revision}}/{{path:rest}}", _page(_tree)),
    Route("GET", f"{_PAGE}/commits/{{revision:rest}}", _page(_commits)),
    Route("GET", f"{_PAGE}/commit/{{revision}}", _page(_commit)),
]
