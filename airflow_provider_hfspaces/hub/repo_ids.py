"""Ids of Spaces: which texts name a Space, and which names the Hub accepts.

Come here to change which forms of a ``repo_id`` are valid.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from airflow_provider_hfspaces.hub.errors import InvalidInput, InvalidRepoId

__all__ = ["checked_owner", "checked_repo_id"]

_NAME = re.compile(r"\b[\w\-.]{1,96}\b", re.ASCII)
_HUB_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})

_VALID_IDS: dict[str, str] = {}
"""Ids that this process has checked, which pass at once. They stay plain text, for JSON, XCom and logs."""

_MAX_VALID_IDS = 10_000
"""Number of ids after which the process forgets them, so that a process that runs for months stays small."""


def checked_repo_id(repo_id: str, *, namespace: str | None = None, endpoint: str | None = None) -> str:
    """Return the id of a Space as ``owner/name``.

    The URL of a Space's page (``https://huggingface.co/spaces/owner/name``) is valid too. Every layer may
    call this function: an id that it has returned before passes without another check.

    :param namespace: the owner for an id without an owner; by default such an id is not valid.
    :param endpoint: the address of another Hub, whose page URLs are valid too.
    :raises InvalidRepoId: with the reason.
    """
    if isinstance(repo_id, str) and (valid := _VALID_IDS.get(repo_id)):
        return valid
    if not isinstance(repo_id, str) or not repo_id.strip():
        raise InvalidRepoId(f"repo_id must be a Space as 'owner/name'; got {repo_id!r}.")
    original, repo_id = repo_id, repo_id.strip()
    if "://" in repo_id or repo_id.split("/")[0] in _HUB_HOSTS:
        repo_id = _from_url(repo_id, endpoint)
    elif repo_id.startswith("spaces/") and repo_id.count("/") == 2:
        repo_id = repo_id.removeprefix("spaces/")
    if repo_id.count("/") > 1:
        raise InvalidRepoId(f"{original!r} is not a valid repo_id: expected 'owner/name' with one slash.")
    owner, slash, name = repo_id.rpartition("/")
    if not slash:
        if not namespace:
            raise InvalidRepoId(
                f"{original!r} names no owner: write 'owner/{original}', or set a default namespace."
            )
        owner = namespace
    for part, role in ((owner, "owner"), (name, "name")):
        _check_name(part, role, original)
    valid = f"{owner}/{name}"
    if len(_VALID_IDS) >= _MAX_VALID_IDS:
        _VALID_IDS.clear()
    _VALID_IDS[valid] = valid
    return valid


def _check_name(part: str, role: str, repo_id: str) -> None:
    problem = None
    if not part:
        problem = f"its {role} is empty"
    elif ".." in part or "--" in part:
        problem = f"its {role} has '..' or '--'"
    elif part.endswith(".git"):
        problem = f"its {role} ends with '.git'"
    elif not _NAME.fullmatch(part):
        problem = (
            f"its {role} must have at most 96 letters, digits, '-', '_' and '.', and begin and end with a "
            f"letter or a digit"
        )
    if problem:
        raise InvalidRepoId(f"{repo_id!r} is not a valid repo_id of a Space: {problem}.")


def checked_owner(owner: str) -> str:
    """Return the name of a user or an organization.

    :raises InvalidInput: if it is not valid.
    """
    if not isinstance(owner, str) or ".." in owner or "--" in owner or not _NAME.fullmatch(owner):
        raise InvalidInput(
            f"{owner!r} is not a valid name of a user or an organization: expected the name in the URL of "
            f"its page on the Hub."
        )
    return owner


def _from_url(url: str, endpoint: str | None) -> str:
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
    except ValueError:
        raise InvalidRepoId(f"{url!r} is not a valid URL: give the Space as 'owner/name'.") from None
    host = (parts.hostname or "").lower()
    own = urlsplit(endpoint) if endpoint else None
    path = [unquote(each) for each in parts.path.split("/") if each]
    if parts.scheme == "hf" and host == "spaces" and len(path) >= 2:
        return "/".join(path[:2])
    if own is not None and (parts.scheme, parts.netloc) == (own.scheme, own.netloc):
        prefix = [each for each in own.path.split("/") if each]
        path = path[len(prefix) :]
    elif host.endswith(".hf.space"):
        raise InvalidRepoId(
            f"{url!r} is the URL of a Space's app, which does not show where the owner ends and the name "
            f"begins: give 'owner/name', or the URL of the Space's page on huggingface.co."
        )
    elif host not in _HUB_HOSTS:
        raise InvalidRepoId(f"{url!r} is not a URL on the Hub: give the Space as 'owner/name'.")
    if path[:1] == ["api"]:
        path = path[1:]
    if path[:1] != ["spaces"] or len(path) < 3:
        raise InvalidRepoId(f"{url!r} is not the URL of a Space: expected the form …/spaces/owner/name.")
    return "/".join(path[1:3])
