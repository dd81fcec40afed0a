"""Where a lease record is kept: one file on a branch of a repository on the Hub.

The Hub accepts a commit only if the branch is still at the commit's parent, which makes writing the record
a compare-and-set that any number of writers share.
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
"""The branch in the Space's own repository."""

FILE = "lease.json"
"""The file on the branch."""

_NOT_FOUND = 404
_EXISTS = 409
_BRANCH_MOVED = 412
_DENIED = frozenset({401, 403})


class StaleLease(Exception):
    """Another writer changed the record first. The caller reads it again."""


class LeaseDenied(HubPermissionError):
    """The token may not commit to the repository that keeps the lease."""


def lease_branch(repo_id: str, repository: str | None = None) -> Branch:
    """The branch that keeps the lease of a Space.

    :param repo_id: the Space, as ``owner/name``.
    :param repository: a repository for the leases of many Spaces, such as
        ``datasets/acme/airflow-leases``, with one branch for each Space; ``None`` for the Space's own.
    :raises InvalidRepoId: for a repository that is not valid.
    """
    if not repository:
        return Branch("spaces", repo_id, BRANCH)
    kind, name = parse_repository(repository)
    # A repo_id never contains "--", so that no two Spaces share a branch.
    return Branch(kind, name, f"{repo_id.casefold().replace('/', '--')}--{BRANCH}")


class LeaseStore:
    """The record of one Space's lease, in steps for either client.

    Remembers the record with its version, so that a look at a branch that has not moved is one request.

    :param repo_id: the Space, as ``owner/name``.
    :param branch: see :func:`lease_branch`.
    """

    def __init__(self, repo_id: str, branch: Branch | None = None) -> None:
        self.repo_id = repo_id
        self.branch = branch or lease_branch(repo_id)
        self._version: str | None = None
        self._record: LeaseRecord | None = None

    def read(self) -> Steps[tuple[LeaseRecord, str | None]]:
        """The record and its version; an empty record and ``None`` if there is no branch yet.

        :raises InvalidLease: if the file is not a lease record.
        :raises HubError: if the Hub does not say.
        """
        try:
            head: str = yield branches.get_head(self.branch)
        except HubError as error:
            if error.status != _NOT_FOUND:
                raise
            return LeaseRecord(self.repo_id), None
        return (yield from self.read_at(head))

    def read_at(self, head: str) -> Steps[tuple[LeaseRecord, str | None]]:
        """The record at a commit of the branch that the caller knows already: one request at most.

        :raises InvalidLease: if the file is not a lease record.
        :raises HubError: if the Hub does not say.
        """
        if head != self._version or self._record is None:
            self._record = yield from self._record_at(head)
            self._version = head
        return self._record, head

    def compare_and_set(self, record: LeaseRecord, version: str | None, summary: str) -> Steps[str]:
        """Write the record if nobody has written since ``version``, and return the new version.

        A lost answer is settled by reading: each record that a holder writes differs from all others.

        :param summary: what happens, for the history of the branch.
        :raises StaleLease: if another writer was first.
        :raises LeaseDenied: if the token may not write.
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
                f"Space {self.repo_id} has a lease record that is not valid: {problem}. Nobody gets the "
                f"lease until you delete the {self.branch}."
            ) from None
        if (yield from self._is_of_another_space(record)):
            log.warning(
                "Space %s has a copy of the lease record of Space %s, which is ignored.",
                self.repo_id,
                record.repo_id,
            )
            return LeaseRecord(self.repo_id)
        return record

    def _is_of_another_space(self, record: LeaseRecord) -> Steps[bool]:
        """A renamed Space keeps its lease; a copy of a Space does not get its original's."""
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
            f"Space {self.repo_id}: its lease cannot be written to the {self.branch}, because the Hub does "
            f"not find that repository: it does not exist, or the token may not see it. Create it, give the "
            f"token write access to it, or keep the leases in another repository.",
        )

    def _write_error(self, error: HubError, problem: str) -> LeaseDenied:
        return LeaseDenied(
            problem,
            repo_id=self.repo_id,
            method=error.method,
            path=error.path,
            status=error.status,
            request_id=error.request_id,
            hub_message=error.hub_message,
        )


class ListedLease(LeaseStore):
    """A lease whose branch was listed together with those of many Spaces, and is not asked about again.

    :param head: the commit of the branch; ``None`` if there is no branch, so that nobody ever had the lease.
    """

    def __init__(self, repo_id: str, branch: Branch, head: str | None) -> None:
        super().__init__(repo_id, branch)
        self._head = head

    def read(self) -> Steps[tuple[LeaseRecord, str | None]]:
        """The record when the branches were listed; no request for a Space that was never leased."""
        if self._head is None:
            return LeaseRecord(self.repo_id), None
        return (yield from self.read_at(self._head))
