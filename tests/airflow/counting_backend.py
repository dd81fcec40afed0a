"""A secrets backend without secrets that records the names of the Variables that Airflow looks up."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.secrets.base_secrets import BaseSecretsBackend


class CountingBackend(BaseSecretsBackend):
    """Appends the name of each Variable that is looked up to a file; returns no secrets."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.log = Path(os.environ["LOOKED_UP_VARIABLES"])

    def get_variable(self, key: str, *args: Any, **options: Any) -> None:
        with self.log.open("a") as log:
            log.write(f"{key}\n")

    def get_connection(self, conn_id: str, *args: Any, **options: Any) -> None:
        return None

    def get_config(self, key: str) -> None:
        return None
