"""Move a Space from a storage tier, which the Hub is retiring, to a bucket, or back.

``leave_storage`` mounts the bucket first and deletes the disk last: files that the app has not copied by then
are lost. ``return_to_storage`` is for a Hub that still offers tiers. The public Hub has retired them, so its
task fails at once, with a message that names the alternative.

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

with DAG(dag_id="leave_storage", **COMMON) as leave_storage:
    mount = SetVolumesOperator(
        task_id="mount",
        repo_id=SPACE,
        volumes=[{"type": "bucket", "source": "acme/whisper-data", "mount_path": "/data"}],
    )
    # [START howto_operator_delete_storage]
    delete_disk = DeleteStorageOperator(task_id="delete_disk", repo_id=SPACE)
    # [END howto_operator_delete_storage]
    mount >> delete_disk

with DAG(dag_id="return_to_storage", **COMMON) as return_to_storage:
    # [START howto_operator_delete_volumes]
    unmount = DeleteVolumesOperator(task_id="unmount", repo_id=SPACE)
    # [END howto_operator_delete_volumes]
    # [START howto_operator_request_storage]
    request_disk = RequestStorageOperator(task_id="request_disk", repo_id=SPACE, storage="small", retries=3)
    # [END howto_operator_request_storage]
    request_disk >> unmount


if __name__ == "__main__":
    leave_storage.test()
    return_to_storage.test()
