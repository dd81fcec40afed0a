"""The search for available hardware: whatever happens, it goes from one flavor to the next, or ends."""

from __future__ import annotations

import json
import random

import pytest

from airflow_provider_hfspaces.hub.errors import (
    HardwareUnavailable,
    HubBadRequest,
    HubError,
    HubPaymentRequired,
    HubPermissionError,
    HubUnavailable,
    InvalidInput,
    SpaceNotStarted,
    SpaceWaitFailed,
    SpaceWaitTimeout,
)
from airflow_provider_hfspaces.hub.hardware import HardwareFlavor
from airflow_provider_hfspaces.hub.hardware_search import (
    GiveUp,
    HardwareSearch,
    Pause,
    Request,
    capacity_error,
    why_unavailable,
)
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.stages import SpaceStage

SPACE = "acme/whisper"
FLAVORS = ("l4x1", "a10g-small", "t4-small", "t4-medium", "l40sx1")
NO_CAPACITY = "Scheduling failure: not enough hardware capacity"
OVER_QUOTA = "You've reached your hardware quota limit across all your Spaces!"


def round_trip(search: HardwareSearch) -> HardwareSearch:
    """The search as the next process reads it."""
    return HardwareSearch.from_dict(json.loads(json.dumps(search.to_dict())))


def failure(
    message: str | None, stage: SpaceStage = SpaceStage.RUNTIME_ERROR, requested: str = "l4x1"
) -> SpaceWaitFailed:
    runtime = SpaceRuntime(stage.value, None, requested, error_message=message)
    return SpaceWaitFailed("It failed.", repo_id=SPACE, runtime=runtime)


def rejection(kind: type[HubError], status: int, message: str, path: str = "/hardware") -> HubError:
    return kind(
        "The Hub refused it.",
        method="POST",
        path=f"/api/spaces/{SPACE}{path}",
        status=status,
        hub_message=message,
    )


def not_started() -> SpaceNotStarted:
    error = SpaceNotStarted("It did not start.", repo_id=SPACE, runtime=None)
    error.reason = "it did not start within 600 seconds"
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (failure(NO_CAPACITY), NO_CAPACITY),
        (failure(NO_CAPACITY.upper()), NO_CAPACITY.upper()),
        (failure(OVER_QUOTA, SpaceStage.PAUSED), OVER_QUOTA),
        (not_started(), "it did not start within 600 seconds"),
        (rejection(HubBadRequest, 400, "not a valid flavor"), "the Hub answered 400: not a valid flavor"),
        (rejection(HubBadRequest, 400, "not offered", "/duplicate"), "the Hub answered 400: not offered"),
        (
            rejection(HubPermissionError, 403, "l4x1 is for PRO users"),
            "the Hub answered 403: l4x1 is for PRO users",
        ),
        (rejection(HubUnavailable, 503, NO_CAPACITY), NO_CAPACITY),
    ],
)
def test_a_flavor_is_not_available_without_capacity_if_refused_or_if_it_does_not_start(
    error: Exception, reason: str
) -> None:
    assert why_unavailable(error, "l4x1") == reason


@pytest.mark.parametrize(
    "error",
    [
        failure("Exit code: 1. Reason: application crashed"),
        failure("Job failed with exit code: 137", SpaceStage.BUILD_ERROR),
        failure("launch timed out, space was not healthy after 30 min"),
        failure("Flagged as abusive", SpaceStage.PAUSED),
        failure(None),
        failure(NO_CAPACITY, requested="a10g-small"),
        SpaceWaitTimeout("It took too long.", repo_id=SPACE, runtime=None),
        rejection(HubPaymentRequired, 402, "l4x1 needs a payment method"),
        rejection(HubPermissionError, 403, "You may not change this Space"),
        rejection(HubBadRequest, 400, "no such key", "/secrets"),
        rejection(HubUnavailable, 503, "Service Temporarily Unavailable"),
        rejection(HubError, 404, "Repository not found"),
        RuntimeError(NO_CAPACITY),
    ],
    ids=lambda error: str(getattr(error, "hub_message", None) or getattr(error, "runtime", error))[:40],
)
def test_an_error_of_another_kind_does_not_lead_to_other_hardware(error: Exception) -> None:
    assert why_unavailable(error, "l4x1") is None


def test_further_texts_count_as_missing_capacity() -> None:
    assert why_unavailable(failure("No nodes left in us-east"), "l4x1", ["no nodes", " "]) is not None
    assert why_unavailable(failure("The app crashed"), "l4x1", ["no nodes", " "]) is None


def test_a_report_of_a_space_that_starts_again_does_not_count() -> None:
    starting = SpaceRuntime(SpaceStage.BUILDING.value, None, "l4x1", error_message=NO_CAPACITY)
    assert capacity_error(starting, "l4x1") is None
    assert capacity_error(None, "l4x1") is None


def test_a_payload_that_is_not_a_search_is_refused() -> None:
    for payload in (None, {}, {"flavors": 3}, [], "text"):
        with pytest.raises(InvalidInput, match="hardware search must be"):
            HardwareSearch.from_dict(payload)


def test_the_prices_of_the_list_are_those_of_the_flavors() -> None:
    flavors = [
        HardwareFlavor(name, name, "", "", None, cost / 60, "minute")
        for name, cost in (("l4x1", 0.8), ("cpu-basic", 0.0))
    ]
    search = HardwareSearch(("l4x1", "cpu-basic", "h200"), began=0, until=1).with_prices(flavors)
    assert search.hourly == (0.8, 0.0, None)
    prices = []
    while isinstance(search.next_step(), Request):
        prices.append(search.price)
        search = search.unavailable("gone", 1)
    assert prices == ["$0.80/h", "free", None]
    assert (search.price, search.limit) == (None, None)


def test_events_that_cannot_be_are_refused() -> None:
    search = HardwareSearch(("l4x1",), began=0, until=1)
    with pytest.raises(ValueError, match="not paused"):
        search.resumed(1)
    with pytest.raises(ValueError, match="no setback"):
        search.taken_back()
    failure_at_end = search.unavailable("gone", 1)
    for event in (lambda: failure_at_end.requested(1), lambda: failure_at_end.unavailable("gone", 1)):
        with pytest.raises(ValueError, match="has no flavor left"):
            event()


class Story:
    """One random search, and a Hub that notes what is requested of it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        flavors = tuple(self.chance.sample(FLAVORS, self.chance.randint(1, len(FLAVORS))))
        self.now = 1000.0
        self.search = HardwareSearch(
            flavors,
            began=self.now,
            until=self.now + self.chance.choice([0, 30, 400]),
            retry_after=self.chance.choice([None, 5.0, 60.0]),
        )
        self.in_flight: str | None = None
        self.requests: list[list[str]] = [[]]

    def happens(self, probability: float) -> bool:
        return self.chance.random() < probability

    def run(self) -> str | None:
        """Returns the flavor with which the search succeeds; ``None`` if it gives up."""
        while True:
            self.now += self.chance.random() * 10
            if self.happens(0.3):
                self.search = round_trip(self.search)  # The process died, and another one continues.
            step = self.search.next_step()
            if isinstance(step, GiveUp):
                return None
            if isinstance(step, Pause):
                self.pause(step.until)
            elif not self.search.is_requested and self.happens(0.2):
                self.search = self.search.unavailable("it costs too much", self.now)
            else:
                self.request(step.hardware)
                if (flavor := self.outcome(step.hardware)) is not None:
                    return flavor

    def pause(self, until: float) -> None:
        assert self.in_flight is None, "the Space is restored before the pause"
        assert until < self.search.until
        self.now = max(self.now, until)
        self.search = self.search.resumed(self.now)
        self.requests.append([])

    def request(self, hardware: str) -> None:
        if self.search.is_requested:
            assert self.in_flight in (None, hardware), "another process continues with the same flavor"
        else:
            assert self.in_flight is None, "the request before has ended"
        self.search = self.search.requested(self.now)
        if self.happens(0.2):
            self.search = round_trip(self.search)  # The process died before the request was sent.
            return
        if self.in_flight is None:
            self.requests[-1].append(hardware)
            self.in_flight = hardware

    def outcome(self, hardware: str) -> str | None:
        """Returns the flavor that the Space runs on; ``None`` if the search continues."""
        if self.in_flight is None or self.happens(0.2):
            return None  # Nobody waits for it: the process died.
        if self.happens(0.2):
            return hardware
        self.in_flight = None
        self.search = self.search.unavailable("no capacity", self.now)
        if self.happens(0.05):
            self.search = self.search.taken_back()
            return hardware
        return None


def test_each_random_search_requests_one_flavor_after_the_other_and_ends() -> None:
    for seed in range(2000):
        story = Story(seed)
        flavor, search = story.run(), story.search
        assert search.passes == len(story.requests)
        for requested in story.requests:
            in_order = [name for name in search.flavors if name in requested]
            assert requested == in_order, f"seed {seed}: in order, and each one once"
        attempts = [each.hardware for each in search.setbacks]
        if flavor is not None:
            assert (search.hardware, attempts) == (flavor, list(search.flavors[: search.position])), seed
            assert [each["hardware"] for each in search.tried()] == [*attempts, flavor]
            continue
        assert attempts == list(search.flavors), seed
        error = search.failure(SPACE, "It is restored.")
        assert all(name in str(error) for name in search.flavors)
        assert error.permanent == (story.requests == [[]])
        assert isinstance(error, HardwareUnavailable)
