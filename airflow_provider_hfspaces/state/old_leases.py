"""Moves the leases of version 0.1, which were Airflow Variables, to the Hub."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.server import delete_variable, get_variable, set_variable
from airflow_provider_hfspaces.hub.lease.record import InvalidLease, LeaseHolder, LeaseRecord
from airflow_provider_hfspaces.hub.lease.store import StaleLease

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.http.sequence import Steps
    from airflow_provider_hfspaces.hub.lease.store import LeaseStore

__all__ = ["move_old_lease"]

log = logging.getLogger(__name__)

_MOVED_LEASE_HOURS = 24


def move_old_lease(store: LeaseStore) -> Steps[LeaseRecord]:
    """Move a Variable of version 0.1 to the Hub, before the first lease of a Space is taken there.

    :returns: the record as it is after that.
    :raises NotAnswered: if Airflow does not say whether the Variable exists.
    """

    name = f"hf_spaces_lease:{store.repo_id.casefold().replace('/', ':')}"
    payload = get_variable(name)
    if not isinstance(payload, Mapping) or not payload.get("holders"):
        return LeaseRecord(store.repo_id)
    try:
        holders = [_holder(each, fence) for fence, each in enumerate(payload["holders"], start=1)]
        record = LeaseRecord(store.repo_id, len(holders), tuple(holder for holder, _ in holders))
        record = LeaseRecord.from_text(record.to_text())
    except (InvalidLease, TypeError, KeyError, AttributeError) as problem:
        log.error(
            "Space %s: the Airflow Variable %r holds no valid lease of version 0.1: %s. Delete the Variable.",
            store.repo_id,
            name,
            problem,
        )
        return LeaseRecord(store.repo_id)
    for holder, owner in holders:
        set_variable(f"hf_spaces_lease_{holder.holder_id}", owner, "Moved from a lease of version 0.1.")
    try:
        yield from store.compare_and_set(record, None, "Move the lease of version 0.1")
    except StaleLease:
        record, _ = yield from store.read()
        return record
    log.info("The lease of Space %s was moved from the Airflow Variable %r to the Hub.", store.repo_id, name)
    with suppress(Exception):
        delete_variable(name)
    return record


def _holder(payload: Mapping[str, Any], fence: int) -> tuple[LeaseHolder, dict[str, Any]]:
    now = datetime.now(timezone.utc)
    holder = LeaseHolder(
        holder_id=secrets.token_hex(16),
        fence=fence,
        since=now,
        until=now + timedelta(hours=_MOVED_LEASE_HOURS),
        previous=payload.get("previous"),
        requested=tuple(payload.get("asked") or ()),
        abandoned=bool(payload.get("abandoned")),
    )
    owner = {name: payload[name] for name in ("dag_id", "run_id", "task_id")}
    return holder, {**owner, "map_index": payload.get("map_index", -1), "restore_tasks": []}
