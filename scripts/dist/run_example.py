"""Run an example DAG against the emulator of the installed wheel.

Runs in an environment of its own, in a folder outside the checkout.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from urllib.request import urlopen

import airflow_provider_hfspaces
from airflow_provider_hfspaces.emulator import HubEmulator

NAME = sys.argv[1]
PLACE = Path(airflow_provider_hfspaces.__file__)


def main() -> None:
    """Fail unless the Space moved to the GPU and back."""
    assert "site-packages" in PLACE.parts, f"the package is imported from {PLACE} instead of site-packages"
    sys.path.insert(0, os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    with HubEmulator(speed=120) as hub:
        with urlopen(f"{hub.url}/", timeout=30) as page:
            assert page.status == 200
            assert "text/html" in page.headers["content-type"]
        os.environ["AIRFLOW_CONN_HF_SPACES_DEFAULT"] = json.dumps(
            {"conn_type": "hf_spaces", "host": hub.url, "password": hub.token}
        )
        space = hub.add_space("acme/whisper")
        finished = import_module(NAME).dag.test()
        assert str(getattr(finished.state, "value", finished.state)) == "success", finished.state
        hub.advance(600)
        assert "t4-small" in {moment.hardware for moment in space.history}
        assert (space.stage, space.hardware) == ("RUNNING", "cpu-basic")
        minutes = hub.bill().by_hardware()
    print(f"{NAME}: the Space moved to a GPU and back, {minutes['t4-small']} billed minutes; start page served")


if __name__ == "__main__":
    main()
