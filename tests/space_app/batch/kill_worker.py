"""A worker that runs one batch, in plain Python, to be killed at any moment.

``python -m tests.space_app.batch.kill_worker ARGUMENTS`` with JSON: the Space, the Hub's address, a token,
the items and the output folder. Exits with 0 when the batch is done, and with 75 for an error that a retry
fixes.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from airflow_provider_hfspaces.hub.calls import get_runtime, get_space
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from airflow_provider_hfspaces.hub.stages import SpaceStage
from airflow_provider_hfspaces.space_app import SpaceApp, SpaceAppError
from airflow_provider_hfspaces.space_app.address import app_address
from airflow_provider_hfspaces.space_app.batch import BatchLimits, SpaceBatch
from airflow_provider_hfspaces.space_app.batch.errors import BatchError
from airflow_provider_hfspaces.space_app.batch.senders import GradioSender

TRY_AGAIN = 75
LIMITS = BatchLimits(max_in_flight=4, max_tries=1000, flush_seconds=0.05, backoff=0.02)


async def work(repo_id: str, hub: str, token: str, items: str, output: str) -> None:
    with HubClient(token, hub, retry=RetryPolicy(total=2, first_wait=0.02, longest_wait=0.05)) as client:

        async def recover(error: Exception | None) -> dict[str, Any]:
            while True:
                runtime = await asyncio.to_thread(client.send, get_runtime(repo_id))
                if runtime.stage == SpaceStage.RUNNING and runtime.hardware == runtime.requested_hardware:
                    return {"hardware": runtime.hardware}
                await asyncio.sleep(0.01)

        host = app_address(client.send(get_space(repo_id)))
        batch = SpaceBatch(
            repo_id,
            Path(items),
            Path(output),
            holder="test",
            limits=LIMITS,
            recover=recover,
            sleep=time.sleep,
        )
        async with SpaceApp(repo_id, host, token, connections=4) as app:
            await batch.run(GradioSender(app, "/upper", batch.folder, timeout=60))


def main() -> int:
    try:
        asyncio.run(work(**json.loads(sys.argv[1])))
    except (BatchError, HubError, SpaceAppError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return TRY_AGAIN
    return 0


if __name__ == "__main__":
    sys.exit(main())
