"""Airflow's home and database for the tests: in a folder of their own, made anew for each run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOME = Path(tempfile.mkdtemp(prefix="airflow-provider-hfspaces-tests-"))

# Airflow reads all of this when it is imported, which is why it stands before any fixture.
os.environ.update(
    {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "HF_HOME": str(HOME / "huggingface"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
)
for _name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_") or name == "HF_TOKEN"]:
    del os.environ[_name]


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def _fresh_rate_budgets() -> Iterator[None]:
    """What one test's Hub said of its quota is no business of the next test's."""
    from airflow_provider_hfspaces.hub.retry import RateBudget

    RateBudget.forget_all()
    yield
    RateBudget.forget_all()


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """A migrated database."""
    from airflow.utils.db import initdb

    initdb()
