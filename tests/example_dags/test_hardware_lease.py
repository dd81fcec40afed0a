"""hardware_lease.py: each Space is on its GPU during its batch, and is restored after it."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")


def test_each_space_works_on_the_gpu_and_is_restored(hub: HubEmulator) -> None:
    hub.settings.change({"timings": {"build": 1, "start": 1}})
    whisper = hub.add_space("acme/whisper", private=True, hardware="cpu-upgrade", sleep_time=7200)
    diffusion = hub.add_space("acme/diffusion", private=True, stage="PAUSED")
    states = run(dag_file("hardware_lease").dag)
    assert set(states.values()) == {"success"}
    for space in (whisper, diffusion):
        assert {"t4-small"} < {moment.hardware for moment in space.history}
        assert len([each for each in space.app_requests if each.path.endswith("/call/predict")]) == 1
    assert (whisper.requested_hardware, whisper.sleep_time) == ("cpu-upgrade", 7200)
    assert (diffusion.requested_hardware, diffusion.stage) == ("cpu-basic", "PAUSED")
    assert set(hub.bill().spaces["acme/diffusion"]) == {"t4-small"}


def test_work_that_fails_on_one_space_fails_the_run_and_both_spaces_are_restored(hub: HubEmulator) -> None:
    hub.settings.change({"timings": {"build": 1, "start": 1}})
    whisper = hub.add_space("acme/whisper")
    diffusion = hub.add_space("acme/diffusion")
    module = dag_file("hardware_lease")
    module.dag.get_task("on_a_gpu.gpu.upgrade").retries = 0
    diffusion.fail_next_start("Exit code: 137")
    states = run(module.dag)
    assert (states["on_a_gpu.gpu.batch[0]"], states["on_a_gpu.gpu.batch[1]"]) == (
        "success",
        "upstream_failed",
    )
    assert states["report"] == "upstream_failed"
    assert states["dag"] == "failed"
    assert whisper.requested_hardware == diffusion.requested_hardware == "cpu-basic"
