"""The runtimes of Spaces that are known by name, with as few requests as possible."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.bulk.queue import Quota, in_parallel, queue_client
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = ["look"]

_FEW = 3
"""So many Spaces of one owner are asked about one by one."""

_PAGE = 500


def look(
    client: HubClient,
    repo_ids: Iterable[str],
    *,
    stop: threading.Event,
    parallel: int = 8,
    doubtful: Callable[[str, SpaceRuntime], bool] = lambda repo_id, runtime: False,
) -> dict[str, SpaceRuntime | Exception]:
    """What the Hub says of each Space now, or the error that it answers with.

    Many of one owner are looked up in its list, which takes no more pages than there are Spaces to
    find; those that it does not show are asked about one by one.

    :param stop: set to look no further; what is not found out then is left out.
    :param parallel: how many requests at once.
    :param doubtful: whether to ask about a Space itself after what a list, which may be behind, says.
    """
    wanted = list(dict.fromkeys(repo_ids))
    found: dict[str, SpaceRuntime | Exception] = {}
    owners = defaultdict[str, list[str]](list)
    for repo_id in wanted:
        owners[repo_id.partition("/")[0].casefold()].append(repo_id)
    for owner, ids in owners.items():
        if len(ids) > _FEW and not stop.is_set():
            listed = _listed(client, owner, ids)
            found.update((each, shown) for each, shown in listed.items() if not doubtful(each, shown))
    sender = queue_client(client, stop, parallel)
    try:
        for done in in_parallel(
            [each for each in wanted if each not in found],
            lambda repo_id: sender.send(calls.get_runtime(repo_id)),
            quota=Quota(client.budget),
            parallel=parallel,
            stop=stop,
        ):
            found[done.item] = done.result or done.error or LookupError(done.item)
    finally:
        sender.close()
    return found


def _listed(client: HubClient, owner: str, repo_ids: list[str]) -> dict[str, SpaceRuntime]:
    left = {repo_id.casefold(): repo_id for repo_id in repo_ids}
    found: dict[str, SpaceRuntime] = {}
    pages = client.pages(calls.list_runtimes(author=owner, limit=_PAGE))
    try:
        for _, page in zip(range(len(repo_ids)), pages, strict=False):
            for entry in page:
                repo_id = left.get(entry.repo_id.casefold())
                runtime = entry.runtime() if repo_id else None
                if repo_id and runtime:
                    found[repo_id] = runtime
                    del left[repo_id.casefold()]
            if not left:
                break
    except HubError:
        # Whoever must not list an owner's Spaces may still look at some of them.
        return found
    return found
