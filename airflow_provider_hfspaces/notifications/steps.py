"""What the notifiers do to a Space, call by call; the same for both clients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_provider_hfspaces.hooks.hfspaces import describe
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.checks import checked_hardware, known_hardware
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.http.sequence import Steps
from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
from airflow_provider_hfspaces.hub.stages import SpaceStage
from airflow_provider_hfspaces.notifications.past import Past

__all__ = ["pausing", "restoring"]


def pausing(repo_id: str, why: str, log: Any) -> Steps[None]:
    """Pause a Space, unless it is paused or has nothing to pause."""
    runtime = yield calls.get_runtime(repo_id)
    if runtime.is_static:
        log.info("Space %s is static and costs nothing: there is nothing to pause.", repo_id)
        return
    if runtime.stage == SpaceStage.PAUSED:
        log.info("Space %s is paused already.", repo_id)
        return
    was = describe(runtime)
    try:
        runtime = yield calls.pause(repo_id)
    except HubError as error:
        if not error.outcome_unknown and error.tries == 1:
            raise
        # The first try may have paused it, and the second been refused for that.
        runtime = yield calls.get_runtime(repo_id)
        if runtime.stage != SpaceStage.PAUSED:
            raise error from None
    log.info("Space %s was %s and is %s now, because %s.", repo_id, was, runtime.stage, why)


def restoring(repo_id: str, past: Past, fallback: str, why: str, log: Any) -> Steps[None]:
    """Put a Space back as it was, or on the fallback where nobody knows how it was."""
    if past.leased_by:
        log.warning(
            "Space %s is leased by %s by now, which puts it back after its work: left alone.",
            repo_id,
            past.leased_by,
        )
        return
    runtime = yield calls.get_runtime(repo_id)
    if runtime.is_static:
        log.info("Space %s is static: there is no hardware to put back.", repo_id)
        return
    source = past.source
    snapshot = past.snapshot
    if snapshot is None:
        source = f"the fallback, for nothing was recorded about Space {repo_id} in this run"
        snapshot = yield from _on_fallback(
            SpaceSnapshot(repo_id, SpaceStage.RUNNING.value, None, runtime.sleep_time), fallback
        )
    try:
        after = yield from snapshot.putting_back(runtime)
    except HubError as error:
        if not error.permanent or snapshot.hardware == fallback:
            raise
        log.error("%s Putting Space %s on %s instead.", error, repo_id, fallback)
        source = f"the fallback, for the Hub refused {snapshot.hardware}"
        snapshot = yield from _on_fallback(snapshot, fallback)
        after = yield from snapshot.putting_back()
    if after is runtime:
        log.info("Space %s is %s, as it was before: there is nothing to put back.", repo_id, describe(after))
        return
    log.info(
        "Space %s was put back to %s%s (according to %s), because %s. It was %s and is %s.",
        repo_id,
        snapshot.hardware,
        ", paused" if snapshot.was_paused else "",
        source,
        why,
        describe(runtime),
        describe(after),
    )


def _on_fallback(snapshot: SpaceSnapshot, fallback: str) -> Steps[SpaceSnapshot]:
    """Refuses a flavor that there is not, before it is asked for."""
    offered = None if known_hardware(fallback) else (yield calls.list_hardware())
    return replace(snapshot, hardware=checked_hardware(fallback, offered))
