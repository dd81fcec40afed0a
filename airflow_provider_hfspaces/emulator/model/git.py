"""The git history of a repository, in memory: branches, tags, commits and the files at each commit."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "LARGEST_FILE_BYTES",
    "MAIN",
    "Commit",
    "GitRepository",
    "ReferenceExists",
    "StaleParent",
    "blob_oid",
    "digest",
    "folders_of",
]

MAIN = "main"
COMMIT_WINDOW_SECONDS = 3600

LARGEST_FILE_BYTES = 10 * 1024 * 1024
"""The Hub keeps larger files outside git."""

_MIN_OID_LENGTH = 5
_SHORT_OID = re.compile(r"[0-9a-f]{5,39}")


class ReferenceExists(Exception):
    """The repository already has a branch or a tag of this name."""


class StaleParent(Exception):
    """The branch's last commit, whose id is the argument, is not the parent that a commit names."""


@dataclass(frozen=True)
class Commit:
    """A commit, with all files of the repository at this commit.

    :ivar oid: id of the commit, 40 hexadecimal digits.
    :ivar parent: id of the previous commit; ``None`` for the first one.
    :ivar time: emulated seconds since 1970.
    :ivar files: content by path.
    :ivar title: first line of the commit message.
    :ivar message: further lines of the commit message.
    :ivar author: name of the user who made the commit; ``None`` for the owner of the repository.
    """

    oid: str
    parent: str | None
    time: float
    files: Mapping[str, bytes]
    title: str
    message: str = ""
    author: str | None = None


class GitRepository:
    """Branches, the commits on them, and the files at each commit.

    :param files: content of the first commit, on ``main``.
    """

    def __init__(self, oid: str, time: float, files: Mapping[str, bytes], author: str | None = None) -> None:
        first = Commit(oid, None, time, dict(files), "initial commit", author=author)
        self.commits: dict[str, Commit] = {oid: first}
        self._branches: dict[str, list[tuple[float, str]]] = {MAIN: [(time, oid)]}
        self._tags: dict[str, str] = {}
        self._commit_times: deque[float] = deque()

    @property
    def main(self) -> Commit:
        """The last commit on ``main``."""
        return self.commits[self._branches[MAIN][-1][1]]

    def branches(self) -> dict[str, Commit]:
        """The last commit of every branch."""
        return {name: self.commits[moves[-1][1]] for name, moves in self._branches.items()}

    def branch(self, name: str) -> Commit | None:
        """The last commit of a branch; ``None`` if the branch does not exist.

        :param name: with or without ``refs/heads/``.
        """
        moves = self._branches.get(name.removeprefix("refs/heads/"))
        return self.commits[moves[-1][1]] if moves else None

    def find(self, revision: str, *, branches_at: float | None = None) -> Commit | None:
        """The commit of a branch, a tag or a commit id; ``None`` if the revision does not exist.

        :param branches_at: resolve branch names at this emulated time instead of now.
        """
        moves = self._branches.get(revision.removeprefix("refs/heads/"))
        if moves is None:
            oid = self._tags.get(revision.removeprefix("refs/tags/"), revision)
            return self.commits.get(oid) or self._find_by_prefix(oid)
        if branches_at is None:
            return self.commits[moves[-1][1]]
        return self.commits[next((oid for time, oid in reversed(moves) if time <= branches_at), moves[0][1])]

    def _find_by_prefix(self, oid: str) -> Commit | None:
        """The only commit whose id begins with these digits."""
        if not _SHORT_OID.fullmatch(oid):
            return None
        matching = [commit for each, commit in self.commits.items() if each.startswith(oid)]
        return matching[0] if len(matching) == 1 else None

    def history(self, commit: Commit) -> Iterator[Commit]:
        """A commit and all commits before it, newest first."""
        current: Commit | None = commit
        while current is not None:
            yield current
            current = self.commits[current.parent] if current.parent else None

    def last_changes(self, commit: Commit) -> dict[str, Commit]:
        """The commit that last changed each file and folder at a commit, by path."""
        missing = set(commit.files)
        for path in commit.files:
            missing.update(folders_of(path))
        changed: dict[str, Commit] = {}
        for each in self.history(commit):
            before = self.commits[each.parent].files if each.parent else {}
            for path in {*each.files, *before}:
                if each.files.get(path) != before.get(path):
                    for part in (path, *folders_of(path)):
                        changed.setdefault(part, each)
            if missing <= changed.keys():
                break
        return changed

    def tags(self) -> dict[str, Commit]:
        """The commit of every tag."""
        return {name: self.commits[oid] for name, oid in self._tags.items()}

    def create_tag(self, name: str, commit: Commit) -> None:
        """Create a tag at a commit.

        :raises ReferenceExists: if the tag exists already.
        """
        if name in self._tags:
            raise ReferenceExists(name)
        self._tags[name] = commit.oid

    def delete_tag(self, name: str) -> None:
        """Delete a tag.

        :raises KeyError: if the tag does not exist.
        """
        del self._tags[name]

    def create_branch(self, name: str, start: Commit, time: float, *, overwrite: bool = False) -> None:
        """Create a branch at a commit.

        :raises ReferenceExists: if the branch exists already and ``overwrite`` is not set.
        """
        if name in self._branches and not overwrite:
            raise ReferenceExists(name)
        self._branches.setdefault(name, []).append((time, start.oid))

    def create_empty_branch(self, name: str, time: float, *, overwrite: bool = False) -> None:
        """Create a branch without files, whose first commit has no parent.

        :raises ReferenceExists: if the branch exists already and ``overwrite`` is not set.
        """
        oid = digest("empty branch", name, time, len(self.commits))[:40]
        first = Commit(oid, None, time, {}, "initial commit")
        self.create_branch(name, first, time, overwrite=overwrite)
        self.commits[oid] = first

    def delete_branch(self, name: str) -> None:
        """Delete a branch; its commits can still be read by their ids.

        :raises KeyError: if the branch does not exist.
        """
        del self._branches[name]

    def commit(
        self,
        branch: str,
        changes: Mapping[str, bytes | None],
        time: float,
        *,
        parent: str | None = None,
        title: str = "Update",
        message: str = "",
        author: str | None = None,
    ) -> Commit:
        """Commit files to a branch.

        :param changes: new content by path; ``None`` deletes a file.
        :param time: emulated seconds since 1970.
        :param parent: id that the branch's last commit must have, or at least its first five digits.
        :raises KeyError: if the branch does not exist.
        :raises StaleParent: if the branch's last commit is not ``parent``.
        """
        last = self.commits[self._branches[branch.removeprefix("refs/heads/")][-1][1]]
        if parent is not None and not _abbreviates(parent, last.oid):
            raise StaleParent(last.oid)
        files = {**last.files, **changes}
        kept = {path: content for path, content in files.items() if content is not None}
        oid = digest(last.oid, time, len(self.commits), sorted(changes))[:40]
        return self._append(branch, Commit(oid, last.oid, time, kept, title, message, author))

    def squash(self, branch: str, time: float, *, title: str, author: str | None = None) -> Commit:
        """Replace the history of a branch by one commit with the same files.

        :raises KeyError: if the branch does not exist.
        """
        last = self.commits[self._branches[branch.removeprefix("refs/heads/")][-1][1]]
        oid = digest("squash", last.oid, time, len(self.commits))[:40]
        return self._append(branch, Commit(oid, None, time, last.files, title, author=author))

    def _append(self, branch: str, commit: Commit) -> Commit:
        self.commits[commit.oid] = commit
        self._branches[branch.removeprefix("refs/heads/")].append((commit.time, commit.oid))
        self._commit_times.append(commit.time)
        return commit

    def seconds_until_allowed(self, most_per_hour: int, now: float) -> float:
        """Emulated seconds until the repository accepts another commit; 0 if it accepts one now."""
        times = self._commit_times
        while times and times[0] <= now - COMMIT_WINDOW_SECONDS:
            times.popleft()
        if len(times) < most_per_hour:
            return 0
        return times[len(times) - most_per_hour] + COMMIT_WINDOW_SECONDS - now

    def to_dict(self) -> dict[str, Any]:
        """The repository as plain JSON. Equal file contents are stored once."""
        blobs: dict[str, str] = {}
        commits = []
        for each in self.commits.values():
            files = {}
            for path, content in each.files.items():
                files[path] = oid = blob_oid(content)
                blobs.setdefault(oid, base64.b64encode(content).decode())
            commits.append({**vars(each), "files": files})
        return {
            "blobs": blobs,
            "commits": commits,
            "branches": {name: [list(move) for move in moves] for name, moves in self._branches.items()},
            "tags": dict(self._tags),
            "commit_times": list(self._commit_times),
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> GitRepository:
        """The repository from the dictionary that :meth:`to_dict` returned.

        :raises ValueError: if it has no branch ``main``.
        """
        blobs = {oid: base64.b64decode(content) for oid, content in state["blobs"].items()}
        repository = cls.__new__(cls)
        repository.commits = {
            each["oid"]: Commit(
                **{**each, "files": {path: blobs[oid] for path, oid in each["files"].items()}}
            )
            for each in state["commits"]
        }
        repository._branches = {
            name: [(float(time), repository.commits[oid].oid) for time, oid in moves]
            for name, moves in state["branches"].items()
        }
        repository._tags = {name: repository.commits[oid].oid for name, oid in state.get("tags", {}).items()}
        repository._commit_times = deque(state["commit_times"])
        if not repository._branches.get(MAIN):
            raise ValueError(f"branches must contain {MAIN!r}: every repository has this branch.")
        return repository


def blob_oid(content: bytes) -> str:
    """The id that git gives to the content of a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def folders_of(path: str) -> list[str]:
    """The folders that contain a path, the innermost first.

    >>> folders_of("a/b/c.txt")
    ['a/b', 'a']
    """
    folders = []
    while "/" in path:
        path = path.rpartition("/")[0]
        folders.append(path)
    return folders


def digest(*parts: object) -> str:
    """The SHA-256 of these values, as 64 hexadecimal digits."""
    return hashlib.sha256("/".join(str(part) for part in parts).encode()).hexdigest()


def _abbreviates(prefix: str, oid: str) -> bool:
    return len(prefix) >= _MIN_OID_LENGTH and oid.startswith(prefix.lower())
