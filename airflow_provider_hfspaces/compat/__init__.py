"""Everything that differs between Airflow 2.11 and 3.0 to 3.3. Only these modules check the version."""
