"""Calls that read, list, search and duplicate Spaces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_hfspaces.hub.calls.base import Call, as_names, get_call, list_of, post_call
from airflow_provider_hfspaces.hub.calls.settings import space_settings
from airflow_provider_hfspaces.hub.checks import (
    InvalidInput,
    checked_number,
    checked_owner,
    checked_repo_id,
    checked_storage,
)
from airflow_provider_hfspaces.hub.models import (
    DuplicatedSpace,
    HardwareFlavor,
    SpaceInfo,
    SpaceRuntime,
    Volume,
)
from airflow_provider_hfspaces.hub.repositories import SpaceSearchResult

__all__ = ["ListedRuntime", "duplicate", "get_space", "list_runtimes", "list_spaces", "search_spaces"]


def get_space(repo_id: str, *, expand: str | Iterable[str] = ()) -> Call[SpaceInfo]:
    """``GET /api/spaces/{repo_id}``: the description of a Space.

    :param expand: names of the properties in the answer, such as ``runtime``, ``sdk`` or ``createdAt``;
        by default the Hub chooses.
    """
    return get_call(
        repo_id, "", SpaceInfo.from_payload, query=[("expand", each) for each in as_names(expand)]
    )


def list_spaces(
    *,
    author: str | None = None,
    search: str | None = None,
    filter: str | Iterable[str] = (),
    sort: str | None = None,
    limit: int | None = None,
    expand: str | Iterable[str] = (),
) -> Call[list[SpaceInfo]]:
    """``GET /api/spaces``: one page of the Spaces that the token may see.

    ``client.pages(call)`` follows the ``Link`` header to the next pages.
    :param author: only Spaces of this user or organization.
    :param search: only Spaces whose id contains this text.
    :param filter: only Spaces with all of these tags.
    :param sort: ``lastModified``, ``createdAt``, ``likes`` or ``trendingScore``.
    :param limit: number of Spaces in a page; by default the Hub chooses.
    :param expand: names of the properties in the answer, such as ``runtime``.
    """
    query: list[tuple[str, str]] = []
    if author is not None:
        query.append(("author", author))
    if search is not None:
        query.append(("search", search))
    query.extend(("filter", tag) for tag in as_names(filter))
    if sort is not None:
        query.append(("sort", sort))
    if limit is not None:
        query.append(("limit", str(checked_number(limit, "limit", least=1))))
    query.extend(("expand", each) for each in as_names(expand))
    return Call("GET", "/api/spaces", list_of(SpaceInfo.from_payload), tuple(query), repeatable=True)


@dataclass(frozen=True)
class ListedRuntime:
    """An entry of :func:`list_runtimes`, whose runtime is parsed only when :meth:`runtime` is called."""

    repo_id: str
    payload: Mapping[str, Any] = field(repr=False)

    def runtime(self) -> SpaceRuntime | None:
        """Return the runtime of this entry; ``None`` if it is missing or cannot be read."""
        try:
            # Waits keep thousands of runtimes in memory, so this one drops its raw payload.
            return replace(SpaceRuntime.from_payload(self.payload["runtime"]), raw={})
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return None


def list_runtimes(*, author: str, limit: int) -> Call[Iterator[ListedRuntime]]:
    """``GET /api/spaces?author=…&expand=runtime``: one page of an owner's Spaces with their runtimes.

    The entries of a page are decoded lazily, one by one, so that a caller can do other work between two of
    thousands of entries.

    :param author: user or organization.
    :param limit: number of Spaces in a page.
    """
    query = (("author", checked_owner(author)), ("limit", str(limit)), ("expand", "runtime"))
    return Call("GET", "/api/spaces", _listed_runtimes, query, repeatable=True, answer="entries")


def _listed_runtimes(entries: Iterable[Any]) -> Iterator[ListedRuntime]:
    for payload in entries:
        yield ListedRuntime(str(payload["id"]), payload)


def search_spaces(
    query: str,
    *,
    filter: str | Iterable[str] = (),
    sdk: str | Iterable[str] = (),
    include_non_running: bool = False,
) -> Call[list[SpaceSearchResult]]:
    """``GET /api/spaces/semantic-search``: the public Spaces that fit a description, best match first.

    :param query: what the Space should do, such as ``transcribe speech``.
    :param filter: only Spaces with all of these tags.
    :param sdk: only Spaces with one of these SDKs.
    :param include_non_running: whether the results contain Spaces that are not running; by default not.
    """
    if not isinstance(query, str) or not query.strip():
        raise InvalidInput(f"query must be the text to search for; got {query!r}.")
    pairs = [("q", query)]
    pairs.extend(("filter", tag) for tag in as_names(filter))
    pairs.extend(("sdk", each) for each in as_names(sdk))
    if include_non_running:
        pairs.append(("includeNonRunning", "true"))
    read = list_of(SpaceSearchResult.from_payload)
    return Call("GET", "/api/spaces/semantic-search", read, tuple(pairs), repeatable=True)


def duplicate(
    from_id: str,
    to_id: str,
    *,
    private: bool = True,
    hardware: str | None = None,
    storage: str | None = None,
    sleep_time: int | None = None,
    secrets: Sequence[Mapping[str, str]] | Mapping[str, str] | None = None,
    variables: Sequence[Mapping[str, str]] | Mapping[str, str] | None = None,
    volumes: Sequence[Volume | Mapping[str, Any]] | None = None,
    offered: Iterable[HardwareFlavor] | None = None,
) -> Call[DuplicatedSpace]:
    """``POST /api/spaces/{from_id}/duplicate``: copy a Space. Not repeatable.

    The Hub copies the variables of the original, but never its secrets.

    :param to_id: the new Space, as ``owner/name``. The owner is required.
    :param private: whether the copy is private; by default it is, so that nothing is published by accident.
    :param hardware: a flavor; ``None`` for the Hub's default, free CPU.
    :param storage: a storage tier. The Hub is retiring storage tiers in favour of volumes.
    :param sleep_time: seconds without a visitor until the copy sleeps, or -1 for never.
    :param secrets: a mapping of keys to values, or a list of mappings with ``key``, ``value`` and, if needed,
        ``description``.
    :param variables: the public variables, in one of the forms of ``secrets``.
    :param volumes: the volumes to mount into the copy.
    :param offered: the Hub's price list, to accept flavors that are newer than this version.
    :raises InvalidInput: for an argument that is not valid.
    """
    to_id = checked_repo_id(to_id)
    body: dict[str, Any] = {"repository": to_id, "visibility": "private" if private else "public"}
    if storage is not None:
        body["storageTier"] = checked_storage(storage)
    settings, confidential = space_settings(
        hardware=hardware,
        sleep_time=sleep_time,
        secrets=secrets,
        variables=variables,
        volumes=volumes,
        offered=offered,
    )
    body.update(settings)

    def read(payload: Any) -> DuplicatedSpace:
        return DuplicatedSpace(
            repo_id=to_id,
            url=payload["url"],
            files_copy_pending=bool(payload.get("filesCopyPending", False)),
        )

    return post_call(from_id, "/duplicate", read, body, confidential=confidential, creates=to_id)
