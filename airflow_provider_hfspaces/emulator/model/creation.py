"""make_space, which adds a Space from plain values for tests, fleets and the control API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_hfspaces.emulator.model.moments import Entry
from airflow_provider_hfspaces.emulator.model.prices import is_offered
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.model.world import World
from airflow_provider_hfspaces.hub.models import Volume
from airflow_provider_hfspaces.hub.stages import SpaceStage

__all__ = ["make_space"]


def make_space(
    world: World,
    repo_id: str,
    *,
    hardware: str = "cpu-basic",
    sdk: str = "gradio",
    stage: str = SpaceStage.RUNNING.value,
    private: bool = False,
    sleep_time: int | None = None,
    replicas: int = 1,
    secrets: Mapping[str, str | Mapping[str, Any]] | None = None,
    variables: Mapping[str, str | Mapping[str, Any]] | None = None,
    volumes: Iterable[Volume | Mapping[str, Any]] = (),
    tags: Iterable[str] = (),
    likes: int = 0,
    error_message: str | None = None,
    creator: str | None = None,
    app: Any = None,
) -> Space:
    """Add a Space to a world; see :meth:`HubEmulator.add_space` for the parameters.

    :raises ValueError: if the id is already taken or not valid, for unknown hardware, sdk or stage, and for
        an invalid app.
    """
    if not is_offered(hardware):
        raise ValueError(f"hardware must be a flavor of the Hub, such as 't4-small'; got {hardware!r}.")
    now = world.clock.now()
    return world.add_space(
        repo_id,
        hardware=hardware,
        sdk=sdk,
        stage=stage,
        visibility="private" if private else "public",
        sleep_time=sleep_time,
        replicas=replicas,
        secrets=_entries(secrets, now),
        variables=_entries(variables, now),
        volumes=[_volume(each) for each in volumes],
        tags=tuple(tags),
        likes=likes,
        error_message=error_message,
        creator=creator,
        app=app,
    )


def _entries(values: Mapping[str, str | Mapping[str, Any]] | None, now: float) -> dict[str, Entry]:
    entries = {}
    for key, value in (values or {}).items():
        parts = {"value": value} if isinstance(value, str) else value
        entries[key] = Entry(str(parts["value"]), now, parts.get("description"))
    return entries


def _volume(volume: Volume | Mapping[str, Any]) -> dict[str, Any]:
    payload = volume.to_payload() if isinstance(volume, Volume) else dict(volume)
    return {"readOnly": payload.get("type") != "bucket", **payload}
