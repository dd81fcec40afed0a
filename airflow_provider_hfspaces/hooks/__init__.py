"""Hooks: an Airflow connection, opened."""
