"""The Hugging Face Hub's Spaces API in plain Python. Knows nothing of Airflow."""
