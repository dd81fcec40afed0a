"""The command line: ``airflow hf-spaces`` on Airflow 3.2, ``python -m airflow_provider_hfspaces`` everywhere.

``options.py`` lists the commands with their options, ``definition.py`` hands them to Airflow, and ``main.py``
to Python. Both load ``commands.py``, which does the work, only when a command runs.
"""
