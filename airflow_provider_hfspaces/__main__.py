"""``python -m airflow_provider_hfspaces``: the command line on every version of Airflow."""

from __future__ import annotations

from airflow_provider_hfspaces.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
