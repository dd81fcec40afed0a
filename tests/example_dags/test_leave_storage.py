"""A Space moves from a storage tier to a bucket, and back if the Hub still offers tiers."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")


def test_the_space_moves_to_a_bucket_and_back_to_storage(hub: HubEmulator) -> None:
    hub.settings.storage = "works"
    space = hub.add_space("acme/whisper", hardware="cpu-upgrade")
    HfSpacesHook().request_storage("acme/whisper", "small")
    module = dag_file("leave_storage")
    assert run(module.leave_storage)["dag"] == "success"
    assert (space.storage, len(space.volumes)) == (None, 1)
    assert run(module.return_to_storage)["dag"] == "success"
    assert (space.storage, len(space.volumes)) == ("small", 0)


def test_the_volumes_stay_mounted_if_the_hub_has_retired_the_tiers(hub: HubEmulator) -> None:
    bucket = {"type": "bucket", "source": "acme/whisper-data", "mount_path": "/data"}
    space = hub.add_space("acme/whisper", hardware="cpu-upgrade", volumes=[bucket])
    states = run(dag_file("leave_storage").return_to_storage)
    assert (states["request_disk"], states["unmount"]) == ("failed", "upstream_failed")
    assert [volume["source"] for volume in space.volumes] == ["acme/whisper-data"]
