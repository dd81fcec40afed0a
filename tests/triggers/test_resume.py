"""A task that gives its worker back for some time finds in the event all that it needs afterwards."""

from __future__ import annotations

import time

from airflow_provider_hfspaces.triggers.resume import ResumeTrigger
from tests.airflow_tools import fired, stored


def test_the_event_is_the_payload() -> None:
    payload = {"deadline": 1_800_000_000.5, "looks": 3, "holder": None}
    assert fired(stored(ResumeTrigger(moment=time.time() + 0.05, payload=payload))) == payload


def test_a_moment_in_the_past_resumes_at_once() -> None:
    assert fired(ResumeTrigger(moment=0, payload={})) == {}
