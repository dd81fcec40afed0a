"""A Space that fails is restarted, once, and somebody is told.

On Airflow 3 the DAG runs when the triggerer sees the Space fail. It looks whether the Space has still
failed, reports the last lines of its log, and restarts it, unless it was restarted in the last hour: what
fails again so soon is not mended by another restart, and is only reported. When the last restart was is
kept in an Airflow Variable, ``on_space_error:acme:whisper``; delete it to allow a restart at once.

Airflow 2.11 has no asset watchers: there the DAG has no schedule. Start it by hand, or give it one.

Needs a connection ``hf_spaces_default`` with a token that may write to the Space.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone

from airflow_provider_hfspaces.assets import space_asset
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.operators.lifecycle import RestartSpaceOperator

try:
    from airflow.sdk import DAG, AssetWatcher, Variable, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task
    from airflow.models import Variable

    AssetWatcher = None

log = logging.getLogger(__name__)

SPACE = "acme/whisper"
ERRORS = ["BUILD_ERROR", "RUNTIME_ERROR"]
NOT_AGAIN_FOR = timedelta(hours=1)
# Airflow 3.0 finds no Variable with a slash in its name.
RECORD = "on_space_error:acme:whisper"

if AssetWatcher is None:
    SCHEDULE = None
else:
    # [START howto_trigger_space_event]
    from airflow_provider_hfspaces.triggers.events import SpaceEventTrigger

    failed = AssetWatcher(
        name="failed", trigger=SpaceEventTrigger(repo_id=SPACE, stages=ERRORS, poll_interval=30)
    )
    SCHEDULE = [space_asset(SPACE, watchers=[failed])]
    # [END howto_trigger_space_event]

with DAG(
    dag_id="on_space_error",
    schedule=SCHEDULE,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    # Two runs at once would both find that nobody has restarted the Space yet.
    max_active_runs=1,
    tags=["hugging face", "spaces"],
    doc_md=__doc__,
) as dag:
    # As one output: Airflow 3.0 takes no None for one of several.
    @task(multiple_outputs=False)
    def look() -> dict:
        """How the Space is now; the event is some seconds old. The log is gone after a restart."""
        hook = HfSpacesHook()
        runtime = hook.get_runtime(SPACE)
        has_failed = runtime.stage in ERRORS
        last = Variable.get(RECORD, None)
        return {
            "stage": runtime.stage,
            "error": runtime.error_message,
            "log": hook.get_logs(SPACE, build=runtime.stage == "BUILD_ERROR", lines=20) if has_failed else [],
            "last_restart": last,
            "restart": has_failed
            and (last is None or datetime.now(timezone.utc) - datetime.fromisoformat(last) > NOT_AGAIN_FOR),
        }

    @task
    def report(found: dict) -> str:
        """Put your mail or chat message here."""
        if found["stage"] not in ERRORS:
            return f"Space {SPACE} is {found['stage']} again: nothing to do."
        what = (
            "It is being restarted."
            if found["restart"]
            else f"It was restarted at {found['last_restart']} already and is left alone: look after it."
        )
        text = "\n".join([f"Space {SPACE} is {found['stage']}: {found['error']}", what, *found["log"]])
        log.warning("%s", text)
        return text

    @task.short_circuit
    def note_restart(found: dict) -> bool:
        """Before the restart, so that nothing that happens in between can make a loop of it."""
        if found["restart"]:
            Variable.set(RECORD, datetime.now(timezone.utc).isoformat())
        return found["restart"]

    seen = look()
    report(seen)
    note_restart(seen) >> RestartSpaceOperator(task_id="restart", repo_id=SPACE, poll_interval=10)


if __name__ == "__main__":
    dag.test()
