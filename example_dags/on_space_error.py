"""Report a Space that fails, and restart it unless it was restarted within the last hour.

On Airflow 3, the DAG runs when the triggerer sees the Space fail. It checks that the Space has still failed,
reports the last lines of its log, and restarts it. If the Space fails again within an hour, another restart
would not help, so the DAG only reports the failure. The Airflow Variable ``on_space_error:acme:whisper``
keeps the time of the last restart; delete it to allow another restart at once.

Airflow 2.11 has no asset watchers, so the DAG has no schedule there. Start it by hand, or add a schedule.

Requires a connection ``hf_spaces_default`` with a token that may write to the Space.
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
RESTART_INTERVAL = timedelta(hours=1)
# Airflow 3.0 cannot find a Variable with a slash in its name.
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
    # Two concurrent runs would both restart the Space.
    max_active_runs=1,
    tags=["hugging face", "spaces"],
    doc_md=__doc__,
) as dag:
    # One output, since Airflow 3.0 rejects None among multiple outputs.
    @task(multiple_outputs=False)
    def read_state() -> dict:
        """Read the current state of the Space, and its log, which a restart deletes."""
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
            and (
                last is None or datetime.now(timezone.utc) - datetime.fromisoformat(last) > RESTART_INTERVAL
            ),
        }

    @task
    def report(state: dict) -> str:
        """Report the failure. Send your mail or chat message here."""
        if state["stage"] not in ERRORS:
            return f"Space {SPACE} is {state['stage']} again: nothing to do."
        what = (
            "It is being restarted."
            if state["restart"]
            else f"It was restarted at {state['last_restart']} and has failed again: it needs attention."
        )
        text = "\n".join([f"Space {SPACE} is {state['stage']}: {state['error']}", what, *state["log"]])
        log.warning("%s", text)
        return text

    @task.short_circuit
    def note_restart(state: dict) -> bool:
        """Save the time before the restart, so that a failure in between cannot cause repeated restarts."""
        if state["restart"]:
            Variable.set(RECORD, datetime.now(timezone.utc).isoformat())
        return state["restart"]

    seen = read_state()
    report(seen)
    note_restart(seen) >> RestartSpaceOperator(task_id="restart", repo_id=SPACE, poll_interval=10)


if __name__ == "__main__":
    dag.test()
