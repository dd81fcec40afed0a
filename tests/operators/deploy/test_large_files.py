"""A large file is shipped by the official client, and compared without reading it into memory."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import Try
from tests.operators.deploy.test_deploy import SPACE, deploy, write

MEGABYTE = 1024 * 1024


def large_file(path: Path, megabytes: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for number in range(megabytes):
            file.write(bytes([number % 256]) * MEGABYTE)


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.slow
def test_a_file_of_200_megabytes_is_shipped_once_and_needs_little_memory(
    hub: HubEmulator, tmp_path: Path
) -> None:
    hub.add_space(SPACE)
    folder = write(tmp_path / "app", {"app.py": "print(1)"})
    large_file(folder / "weights" / "model.bin", 200)
    before = peak_megabytes()
    first = Try().run(deploy(folder))
    assert sorted(first["changed_files"]) == ["app.py", "weights/model.bin"]
    assert peak_megabytes() - before < 150
    write(folder, {"app.py": "print(2)"})
    request_count = len(hub.requests)
    second = Try().run(deploy(folder))
    assert second["changed_files"] == ["app.py"]
    assert [
        each.path for each in list(hub.requests)[request_count:] if "lfs" in each.path or "xet" in each.path
    ] == []


def test_a_binary_file_is_compared_by_the_digest_that_the_hub_keeps(hub: HubEmulator, tmp_path: Path) -> None:
    hub.add_space(SPACE)
    folder = write(tmp_path / "app", {"app.py": "print(1)", "model.safetensors": b"\0" * 1000})
    assert Try().run(deploy(folder))["changed_count"] == 2
    assert Try().run(deploy(folder))["committed"] is False
    write(folder, {"model.safetensors": b"\1" * 1000})
    assert Try().run(deploy(folder))["changed_files"] == ["model.safetensors"]
    assert Try().run(deploy(folder))["committed"] is False


def test_a_rollback_brings_a_large_file_back(hub: HubEmulator, tmp_path: Path) -> None:
    space = hub.add_space(SPACE)
    folder = write(tmp_path / "app", {"app.py": "print(1)", "model.safetensors": b"\0" * 1000})
    Try().run(deploy(folder))
    earlier = hub.world.spaces[SPACE].git.main.files
    write(folder, {"model.safetensors": b"\1" * 2000})
    space.fail_next_build()
    with pytest.raises(AirflowFailException, match="rolled back"):
        Try().run(deploy(folder))
    assert hub.world.spaces[SPACE].git.main.files == earlier
