"""LeaseStore: keeps a lease record in a file on a branch of a repository on the Hub.

Come here to change where records are stored, and how writers are kept apart. The Hub accepts a commit only if
the branch is still at the commit's parent, so a write is a compare-and-set, however many writers there are.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow_provider_hfspaces.hub import branches, calls
from airflow_provider_hfspaces.hub.branches import Branch, parse_repository
from airflow_provider_hfspaces.hub.errors import HubError, HubPermissionError
from airflow_provider_hfspaces.hub.http.sequence import Steps
from airflow_provider_hfspaces.hub.lease.record import InvalidLease, LeaseRecord

__all__ = ["BRANCH", "LeaseDenied", "LeaseStore", "ListedLease", "StaleLease", "lease_branch"]

log = logging.getLogger(__name__)

BRANCH = "airflow-lease"
"""Name of the branch in the Space's own repository, and the end of its name in another repository."""

FILE = "lease.json"
"""Name of the file on the branch."""

_NOT_FOUND = 404
_EXISTS = 409
_BRANCH_MOVED = 412
_DENIED = frozenset({401, 403})


class StaleLease(Exception):
    """Another writer changed the record first. Read the record again, and decide anew."""


class LeaseDenied(HubPermissionError):
    """The token may not commit to the repository that keeps the lease."""


def lease_branch(repo_id: str, repository: str | None = None) -> Branch:
    """Return the branch that keeps the lease of a Space.

    :param repo_id: the Space, as ``owner/name``.
    :param repository: a repository for the leases of many Spaces, such as ``datasets/acme/leases``, with one
        branch for each Space; by default the Space's own repository.
    :raises InvalidRepoId: for a repository that is not valid.
    """
    if not repository:
        return Branch("spaces", repo_id, BRANCH)
    kind, name = parse_repository(repository)
    # A repo_id never contains "--", so two Spaces never share a branch.
    return Branch(kind, name, f"{repo_id.casefold().replace('/', '--')}--{BRANCH}")


class LeaseStore:
    """Reads and writes the lease record of one Space, as steps for either client.

    ::

        store = LeaseStore("acme/whisper")
        record, version = execute(store.read(), client.send)
        version = execute(store.compare_and_set(changed, version, "Take the lease"), client.send)

    The store caches the record with its version: reading an unchanged branch again takes one request.

    :param repo_id: the Space, as ``owner/name``.
    :param branch: by default the branch in the Space's own repository, see :func:`lease_branch`.
    """

    def __init__(self, repo_id: str, branch: Branch | None = None) -> None:
        self.repo_id = repo_id
        self.branch = branch or lease_branch(repo_id)
        self._version: str | None = None
        self._record: LeaseRecord | None = None

    def read(self) -> Steps[tuple[LeaseRecord, str | None]]:
        """The steps that read the record and its version, which is the head commit of the branch.

        Without a branch, they return an empty record and ``None``.

        :raises InvalidLease: if the file is not a lease record.
        :raises HubError: if the Hub rejects a request or does not answer.
        """
        try:
            head: str = yield branches.get_head(self.branch)
        except HubError as error:
            if error.status != _NOT_FOUND:
                raise
            return LeaseRecord(self.repo_id), None
        return (yield from self.read_at(head))

    def read_at(self, head: str) -> Steps[tuple[LeaseRecord, str | None]]:
        """The steps that read the record at a known commit of the branch: none if the record is cached.

        :param head: the head commit of the branch, 40 hexadecimal digits.
        :raises InvalidLease: if the file is not a lease record.
        :raises HubError: if the Hub rejects a request or does not answer.
        """
        if head != self._version or self._record is None:
            self._record = yield from self._record_at(head)
            self._version = head
        return self._record, head

    def compare_and_set(self, record: LeaseRecord, version: str | None, summary: str) -> Steps[str]:
        """Write the record if the branch is still at ``version``, and return the new version.

        After a lost answer, the store reads the record to see whether the write took effect.

        :param version: the version that :meth:`read` returned with the previous record; ``None`` creates the
            branch.
        :param summary: the first line of the commit message.
        :raises StaleLease: if another writer changed the record first.
        :raises LeaseDenied: if the token may not write to the repository.
        :raises HubError: if the Hub rejects a request or does not answer.
        """
        if version is None:
            version = yield from self._new_branch()
        call = branches.commit_file(self.branch, FILE, record.to_text(), parent=version, summary=summary)
        try:
            version = yield call
        except HubError as error:
            if error.status in _DENIED and not error.outcome_unknown:
                raise self._denied_error(error) from None
            if error.status != _BRANCH_MOVED and not error.outcome_unknown:
                raise
            stored, head = yield from self.read()
            if stored == record and head is not None:
                return head
            if error.status != _BRANCH_MOVED and head == version:
                raise error from None
            raise StaleLease from None
        self._version, self._record = version, record
        return version

    def _new_branch(self) -> Steps[str]:
        try:
            yield branches.create_branch(self.branch)
        except HubError as error:
            if error.status in _DENIED:
                raise self._denied_error(error) from None
            if error.status == _NOT_FOUND and not error.outcome_unknown:
                raise self._missing_error(error) from None
            if error.status != _EXISTS and not error.outcome_unknown:
                raise
        record, head = yield from self.read()
        if head is None or record.holders:
            raise StaleLease
        return head

    def _record_at(self, head: str) -> Steps[LeaseRecord]:
        try:
            text: str = yield branches.get_file(self.branch, head, FILE)
        except HubError as error:
            if error.status != _NOT_FOUND:
                raise
            return LeaseRecord(self.repo_id)
        try:
            record = LeaseRecord.from_text(text)
        except InvalidLease as problem:
            raise InvalidLease(
                f"Space {self.repo_id} has a lease record that is not valid: {problem}. No holder gets the "
                f"lease until you delete the {self.branch}."
            ) from None
        if (yield from self._is_of_another_space(record)):
            log.warning(
                "Space %s: ignoring its lease record, which is a copy of the record of Space %s.",
                self.repo_id,
                record.repo_id,
            )
            return LeaseRecord(self.repo_id)
        return record

    def _is_of_another_space(self, record: LeaseRecord) -> Steps[bool]:
        """Return True if the record belongs to another Space. A renamed Space keeps its record."""
        if record.repo_id.casefold() == self.repo_id.casefold():
            return False
        names = []
        for repo_id in (record.repo_id, self.repo_id):
            try:
                space: Any = yield calls.get_space(repo_id)
            except HubError as error:
                if error.status != _NOT_FOUND:
                    raise
                return True
            names.append(space.id.casefold())
        first, second = names
        return bool(first != second)

    def _denied_error(self, error: HubError) -> LeaseDenied:
        return self._write_error(
            error,
            f"Space {self.repo_id}: the token may not write the lease to the {self.branch} (the Hub answered "
            f"{error.status}). Use a token with write access to that repository, keep the leases in another "
            f"repository, or work without a lease.",
        )

    def _missing_error(self, error: HubError) -> LeaseDenied:
        return self._write_error(
            error,
            f"Space {self.repo_id}: the lease cannot be written to the {self.branch}, because this "
            f"repository was not found: it does not exist, or the token may not see it. Create the "
            f"repository, give the token write access to it, or keep the leases in another repository.",
        )

    def _write_error(self, error: HubError, problem: str) -> LeaseDenied:
        return LeaseDenied.from_error(error, problem, repo_id=self.repo_id)


class ListedLease(LeaseStore):
    """Reads the lease record of a Space whose branch the caller has already listed.

    :param store: the store of the Space, which caches the record.
    :param head: the head commit of the branch; ``None`` if the Space has no branch, and so no lease.
    """

    def __init__(self, store: LeaseStore, head: str | None) -> None:
        super().__init__(store.repo_id, store.branch)
        self._store = store
        self._head = head

    def read(self) -> Steps[tuple[LeaseRecord, str | None]]:
        """The steps that read the record at the listed commit: no request for a Space without a branch."""
        if self._head is None:
            return LeaseRecord(self.repo_id), None
        return (yield from self._store.read_at(self._head))
