"""The fleets that an emulator can start with: ``demo`` for demonstrations, ``empty`` for tests."""

from __future__ import annotations

from typing import Any

from airflow_provider_hfspaces.emulator.model.creation import make_space
from airflow_provider_hfspaces.emulator.model.world import World
from airflow_provider_hfspaces.hub.stages import SpaceStage

__all__ = ["FLEETS"]

_DEMO: tuple[tuple[str, dict[str, Any]], ...] = (
    ("acme/whisper", {"tags": ("speech",), "likes": 41}),
    (
        "acme/diffusion",
        {
            "hardware": "a10g-small",
            "sleep_time": 3600,
            "likes": 128,
            "app": {"kind": "gradio", "seconds": 8, "queue_size": 20},
        },
    ),
    ("acme/forgotten-gpu", {"hardware": "a100-large", "likes": 3}),
    (
        "acme/demo-api",
        {
            "sdk": "docker",
            "hardware": "cpu-upgrade",
            "replicas": 2,
            "app": {"kind": "docker", "seconds": 30},
        },
    ),
    ("acme/night-owl", {"hardware": "t4-medium", "stage": SpaceStage.PAUSED.value}),
    ("acme/rarely-used", {"hardware": "l4x1", "sleep_time": 900, "stage": SpaceStage.SLEEPING.value}),
    ("acme/internal", {"private": True, "hardware": "cpu-upgrade", "variables": {"REGION": "eu"}}),
    ("acme/landing-page", {"sdk": "static"}),
    (
        "acme/broken-build",
        {
            "sdk": "docker",
            "stage": SpaceStage.BUILD_ERROR.value,
            "error_message": "Job failed with exit code: 137",
        },
    ),
    (
        "acme/unlucky",
        {
            "hardware": "l40sx1",
            "stage": SpaceStage.RUNTIME_ERROR.value,
            "error_message": "launch timed out, space was not healthy after 30 min",
        },
    ),
    ("acme/empty", {"stage": SpaceStage.NO_APP_FILE.value}),
    ("{user}/playground", {}),
    ("{user}/experiment", {"private": True, "hardware": "t4-small", "sleep_time": 3600}),
)


def _demo(world: World) -> None:
    for repo_id, options in _DEMO:
        make_space(world, repo_id.format(user=world.accounts.default_user), **options)


def _empty(world: World) -> None:
    pass


FLEETS = {"demo": _demo, "empty": _empty}
"""Functions that add the Spaces of a fleet to a world, by name. ``demo`` has a Space of every kind."""
