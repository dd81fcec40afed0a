"""The tables of Airflow's database that the fleet page reads. Only the API server imports this module.

Come here when a new Airflow moves a model, or the function that opens a session.
"""

from __future__ import annotations

from airflow.models.connection import Connection
from airflow.models.dagrun import DagRun
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session

__all__ = [
    "Connection",
    "DagRun",
    "RenderedTaskInstanceFields",
    "SerializedDagModel",
    "TaskInstance",
    "create_session",
]
