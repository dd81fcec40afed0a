"""A fleet to try things on: Spaces of every sort, some of them in trouble."""

from __future__ import annotations

from typing import Any

from airflow_provider_hfspaces.emulator.world import World

__all__ = ["FLEETS", "demo_fleet"]

_DEMO: tuple[tuple[str, dict[str, Any]], ...] = (
    ("acme/whisper", {}),
    ("acme/diffusion", {"hardware": "a10g-small", "sleep_time": 3600}),
    ("acme/demo-api", {"sdk": "docker", "hardware": "cpu-upgrade", "sleep_time": 1800}),
    ("acme/forgotten-gpu", {"hardware": "a100-large"}),
    ("acme/night-owl", {"hardware": "t4-medium", "stage": "PAUSED"}),
    ("acme/rarely-used", {"hardware": "l4x1", "sleep_time": 900, "stage": "SLEEPING"}),
    ("acme/internal", {"private": True, "hardware": "cpu-upgrade", "sleep_time": 7200}),
    ("acme/landing-page", {"sdk": "static"}),
    (
        "acme/broken-build",
        {"sdk": "docker", "stage": "BUILD_ERROR", "error_message": "Job failed with exit code: 137"},
    ),
    (
        "acme/unlucky",
        {
            "hardware": "l4x1",
            "stage": "RUNTIME_ERROR",
            "error_message": "launch timed out, space was not healthy after 30 min",
        },
    ),
    ("acme/empty", {"stage": "NO_APP_FILE"}),
    ("alice/playground", {}),
    ("alice/experiment", {"hardware": "t4-small", "sleep_time": 3600, "private": True}),
)


def demo_fleet(world: World, user: str) -> None:
    """A dozen Spaces of an organization and of its admin."""
    for repo_id, options in _DEMO:
        owner, _, name = repo_id.partition("/")
        world.add_space(f"{user if owner == 'alice' else owner}/{name}", admin=user, **options)


def empty_fleet(world: World, user: str) -> None:
    """No Spaces at all."""


FLEETS = {"demo": demo_fleet, "empty": empty_fleet}
"""Fleets by the name that the command line takes."""
