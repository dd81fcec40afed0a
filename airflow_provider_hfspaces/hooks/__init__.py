"""The Airflow hook of the Hub's Spaces API: import ``HfSpacesHook`` from ``hooks.hfspaces``."""
