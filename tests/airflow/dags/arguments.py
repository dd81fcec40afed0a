"""DAGs whose arguments come from tasks and templates: secrets, lists, and text that looks like a number."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.operators.app import CallSpaceOperator
from airflow_provider_hfspaces.operators.duplicate import DuplicateSpaceOperator
from airflow_provider_hfspaces.operators.hardware import RestoreHardwareOperator, SnapshotSpaceOperator
from airflow_provider_hfspaces.operators.settings import AddSecretOperator, AddVariableOperator
from airflow_provider_hfspaces.operators.storage import SetVolumesOperator

try:
    from airflow.sdk import DAG, task, task_group
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task, task_group

SPACE = "acme/whisper"
COMMON = {"schedule": None, "start_date": datetime(2026, 1, 1), "catchup": False}
NATIVE = {**COMMON, "render_template_as_native_obj": True}


@task
def make_secret() -> str:
    return "very-s3cr3t"


@task
def make_secrets() -> list[str]:
    return ["very-s3cr3t-1", "very-s3cr3t-2"]


with DAG("secret_of_a_task", **COMMON) as secret_of_a_task:
    AddSecretOperator(task_id="add", repo_id=SPACE, key="KEY", value=make_secret())

with DAG("secrets_with_braces", **COMMON) as secrets_with_braces:

    @task
    def make_braces() -> list[str]:
        return ["{{ 7 * 7 }}"]

    @task
    def make_brace() -> str:
        return "{{ 7 * 7 }}"

    @task
    def make_arguments() -> list[dict[str, str]]:
        return [{"value": "{{ 7 * 7 }}"}]

    braces = make_braces()
    (
        AddSecretOperator(task_id="one", repo_id=SPACE, key="ONE", value=make_brace())
        >> AddSecretOperator.partial(task_id="two", repo_id=SPACE, key="TWO").expand(value=braces)
        >> AddSecretOperator.partial(task_id="three", repo_id=SPACE, key="THREE").expand_kwargs(
            make_arguments()
        )
        >> AddSecretOperator.partial(task_id="four", repo_id=SPACE, key="FOUR").expand(value=["{{ 7 * 7 }}"])
    )

with DAG("secrets_of_a_task", **COMMON) as secrets_of_a_task:
    AddSecretOperator.partial(task_id="add", key="KEY").expand_kwargs(
        make_secrets().map(lambda value: {"repo_id": f"acme/{value[-1]}", "value": value})
    )

with DAG("shared_secret_of_a_task", **COMMON) as shared_secret_of_a_task:
    AddSecretOperator.partial(task_id="add", key="KEY", value=make_secret()).expand(
        repo_id=["acme/1", "acme/2"]
    )

with DAG("secret_of_a_mapped_group", **COMMON) as secret_of_a_mapped_group:

    @task_group
    def configure(value: str) -> None:
        AddSecretOperator(task_id="add", repo_id=SPACE, key="KEY", value=value)

    configure.expand(value=make_secrets())

with DAG("copy_with_secret_of_a_task", **COMMON) as copy_with_secret_of_a_task:
    DuplicateSpaceOperator(
        task_id="copy", from_id=SPACE, to_id="acme/copy", secrets={"KEY": make_secret(), "PLAIN": "written"}
    )

with DAG("named_copies", **COMMON) as named_copies:
    DuplicateSpaceOperator.partial(task_id="copy", from_id=SPACE).expand(to_id=["acme/one", "acme/two"])
    DuplicateSpaceOperator.partial(task_id="copy_of").expand(from_id=["lab/a", "lab/b"])

with DAG("restored_from_output", **COMMON) as restored_from_output:
    snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE)
    RestoreHardwareOperator(task_id="restore", repo_id=SPACE, from_task=snapshot.output)

with DAG("native_text", params={"port": 7860, "json": '{"a": 1}'}, **NATIVE) as native_text:
    (
        AddVariableOperator(task_id="number", repo_id=SPACE, key="NUMBER", value="007", description="3")
        >> AddVariableOperator(task_id="float", repo_id=SPACE, key="FLOAT", value="1e3")
        >> AddVariableOperator(task_id="quoted", repo_id=SPACE, key="QUOTED", value="'quoted'")
        >> AddVariableOperator(task_id="port", repo_id=SPACE, key="PORT", value="{{ params.port }}")
        >> AddSecretOperator(task_id="json", repo_id=SPACE, key="JSON", value="{{ params.json }}")
        >> AddSecretOperator(task_id="digits", repo_id=SPACE, key="DIGITS", value="{{ params.port }}")
        >> AddVariableOperator.partial(task_id="mapped", key="MAPPED", value="1e3").expand(repo_id=[SPACE])
        >> SetVolumesOperator(
            task_id="volumes",
            repo_id=SPACE,
            volumes=[{"type": "model", "source": "acme/data", "mount_path": "/data", "revision": "1234567"}],
        )
        >> DuplicateSpaceOperator(
            task_id="copy",
            from_id=SPACE,
            to_id="acme/copy",
            variables={"ONE": "1"},
            secrets="{{ {'TWO': '2'} }}",
        )
    )

with DAG("text_of_structures", params={"variables": '{"ONE": "1"}'}, **COMMON) as text_of_structures:
    DuplicateSpaceOperator(
        task_id="copy",
        from_id=SPACE,
        to_id="acme/copy",
        variables="{{ params.variables }}",
        secrets='{"TWO": "{{ 1 + 1 }}"}',
    )

with DAG("native_call", params={"text": "007"}, **NATIVE) as native_call:
    inputs = {"text": "{{ params.text }}"}
    for name, value in (("written", inputs), ("whole", "{{ {'text': params.text} }}")):
        CallSpaceOperator(task_id=name, repo_id=SPACE, api="/echo", inputs=value, timeout=60)
