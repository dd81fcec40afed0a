"""Move a Space from a storage tier, which the Hub is retiring, to a bucket; or back, if the Hub has tiers.

``leave_storage`` mounts the bucket first and deletes the disk last: files that the app has not copied by then
are lost. ``return_to_storage`` is for a Hub that still offers tiers. The public Hub has retired them, so its
task fails at once with the alternative.

Requires a connection ``hf_spaces_default`` with a token that may write to the Space.
"""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.operators.storage import (
    DeleteStorageOperator,
    DeleteVolumesOperator,
    RequestStorageOperator,
    SetVolumesOperator,
)

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

SPACE = "{{ params.space }}"
COMMON = {
    "schedule": None,
    "start_date": datetime(2026, 1, 1),
    "catchup": False,
    "params": {"space": "acme/whisper"},
    "tags": ["hugging face", "spaces"],
    "doc_md": __doc__,
}

with DAG(dag_id="leave_storage", **COMMON) as leave:
    mount = SetVolumesOperator(
        task_id="mount",
        repo_id=SPACE,
        volumes=[{"type": "bucket", "source": "acme/whisper-data", "mount_path": "/data"}],
    )
    # [START howto_operator_delete_storage]
    give_up = DeleteStorageOperator(task_id="give_up", repo_id=SPACE)
    # [END howto_operator_delete_storage]
    mount >> give_up

with DAG(dag_id="return_to_storage", **COMMON) as come_back:
    # [START howto_operator_delete_volumes]
    unmount = DeleteVolumesOperator(task_id="unmount", repo_id=SPACE)
    # [END howto_operator_delete_volumes]
    # [START howto_operator_request_storage]
    ask = RequestStorageOperator(task_id="ask", repo_id=SPACE, storage="small", retries=3)
    # [END howto_operator_request_storage]
    ask >> unmount


if __name__ == "__main__":
    leave.test()
    come_back.test()
