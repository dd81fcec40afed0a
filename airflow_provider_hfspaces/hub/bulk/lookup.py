"""Read the runtimes of many Spaces with as few requests as possible."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.bulk.queue import PARALLEL_LOOKS, Quota, in_parallel, queue_client
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = ["PAGE_SPACES", "read_runtimes"]

_MAX_SINGLE_REQUESTS = 3
"""Number of Spaces of one owner up to which each is read on its own; more are read from the owner's list."""

PAGE_SPACES = 500
"""Number of Spaces on one page of an owner's list."""


def read_runtimes(
    client: HubClient,
    repo_ids: Iterable[str],
    *,
    stop: threading.Event,
    parallel: int = PARALLEL_LOOKS,
    doubtful: Callable[[str, SpaceRuntime], bool] = lambda repo_id, runtime: False,
) -> dict[str, SpaceRuntime | Exception]:
    """Return the current runtime of each Space, or the exception for a Space that cannot be read.

    Many Spaces of one owner are read from the owner's list, with at most one page for each Space. Spaces that
    are not in these pages are read one by one.

    :param repo_ids: the Spaces, as ``owner/name``.
    :param stop: an event that ends the reading. Spaces that were not read by then are missing in the result.
    :param parallel: number of requests at a time; by default 8.
    :param doubtful: returns True for a runtime in a list that may be out of date, so that the Space is read
        on its own; by default lists are trusted.
    """
    wanted = list(dict.fromkeys(repo_ids))
    runtimes: dict[str, SpaceRuntime | Exception] = {}
    owners = defaultdict[str, list[str]](list)
    for repo_id in wanted:
        owners[repo_id.partition("/")[0].casefold()].append(repo_id)
    for owner, ids in owners.items():
        if len(ids) > _MAX_SINGLE_REQUESTS and not stop.is_set():
            listed = _read_list(client, owner, ids)
            runtimes.update((each, shown) for each, shown in listed.items() if not doubtful(each, shown))
    sender = queue_client(client, stop, parallel)
    try:
        for result in in_parallel(
            [each for each in wanted if each not in runtimes],
            lambda repo_id: sender.send(calls.get_runtime(repo_id)),
            quota=Quota(client.budget),
            parallel=parallel,
            stop=stop,
        ):
            runtimes[result.item] = result.value or result.error or LookupError(result.item)
    finally:
        sender.close()
    return runtimes


def _read_list(client: HubClient, owner: str, repo_ids: list[str]) -> dict[str, SpaceRuntime]:
    remaining = {repo_id.casefold(): repo_id for repo_id in repo_ids}
    runtimes: dict[str, SpaceRuntime] = {}
    pages = client.pages(calls.list_runtimes(author=owner, limit=PAGE_SPACES))
    try:
        for _, page in zip(range(len(repo_ids)), pages, strict=False):
            for entry in page:
                repo_id = remaining.get(entry.repo_id.casefold())
                runtime = entry.runtime() if repo_id else None
                if repo_id and runtime:
                    runtimes[repo_id] = runtime
                    del remaining[repo_id.casefold()]
            if not remaining:
                break
    except HubError:
        # A token that may not list the owner's Spaces may still read some of the Spaces one by one.
        return runtimes
    return runtimes
