"""The page "Hugging Face Spaces" in Airflow's UI: what each connection's Spaces do and cost."""
