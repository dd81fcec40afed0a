"""The fleet page "Hugging Face Spaces" in Airflow's UI: the Spaces of each connection and their costs."""
