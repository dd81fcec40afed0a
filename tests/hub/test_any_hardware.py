"""any_hardware: the Hub's price list turns a description into a list of flavors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator.model.prices import FLAVORS
from airflow_provider_hfspaces.hardware import (
    any_hardware,
    hardware_names,
    listed_flavors,
    refuse_bad_hardware,
)
from airflow_provider_hfspaces.hub.any_hardware import AnyHardware
from airflow_provider_hfspaces.hub.errors import InvalidHardware, InvalidInput
from airflow_provider_hfspaces.hub.hardware import HardwareFlavor

OFFERED = [HardwareFlavor.from_payload(each) for each in FLAVORS]


def flavors(**options: Any) -> list[str]:
    return AnyHardware(**options).flavors(OFFERED)


def flavors_with_prices(value: Any, replicas: int = 1) -> list[tuple[str, float | None]]:
    return listed_flavors(value, lambda: OFFERED, replicas)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"vram_gb": 24, "max_hourly_cost": 2.0},
            ["l4x1", "a10g-small", "a10g-large", "l40sx1"],
        ),
        (
            {"vram_gb": 24, "max_hourly_cost": 2.0, "prefer": "fastest"},
            ["l40sx1", "a10g-large", "a10g-small", "l4x1"],
        ),
        ({"gpus": 4, "vram_gb": 96, "max_hourly_cost": 6.0}, ["l4x4", "a10g-largex4"]),
        ({"gpus": 8, "max_hourly_cost": 21.0}, ["a100x8"]),
        ({"gpus": None, "vram_gb": 700}, ["rtx-pro-6000x8"]),
        ({"max_hourly_cost": 0.5}, ["t4-small"]),
    ],
)
def test_the_flavors_that_fit_come_by_price(options: dict[str, Any], expected: list[str]) -> None:
    fitting = flavors(**options)
    assert fitting[: len(expected)] == expected


def test_flavors_at_one_price_come_by_memory() -> None:
    def flavor(name: str, vram: str) -> HardwareFlavor:
        accelerator = {"type": "gpu", "model": "X", "quantity": "1", "vram": vram, "manufacturer": "Y"}
        return HardwareFlavor.from_payload(
            {"name": name, "accelerator": accelerator, "unitCostMicroUSD": 1000}
        )

    names = [("small", "16 GB"), ("large", "1 TB"), ("middle", "80GB"), ("unknown", "much")]
    assert AnyHardware().flavors([flavor(*each) for each in names]) == [
        "large",
        "middle",
        "small",
        "unknown",
    ]
    assert AnyHardware(vram_gb=40).flavors([flavor(*each) for each in names]) == ["large", "middle"]


def test_hardware_without_a_gpu_or_without_a_price_under_a_limit_does_not_fit() -> None:
    neuron = {"type": "neuron", "model": "inf2", "quantity": "1", "vram": "32 GB", "manufacturer": "AWS"}
    gpu = {"type": "gpu", "model": "X", "quantity": "1", "vram": "32 GB", "manufacturer": "Y"}
    offers = [
        HardwareFlavor.from_payload({"name": "inf2", "accelerator": neuron, "unitCostMicroUSD": 1}),
        HardwareFlavor.from_payload({"name": "new", "accelerator": gpu}),
    ]
    assert AnyHardware().flavors(offers) == ["new"]
    with pytest.raises(InvalidHardware, match="offers no flavor with 1 GPU and a price of at most"):
        AnyHardware(max_hourly_cost=100).flavors(offers)


def test_the_limit_holds_for_all_replicas_together() -> None:
    assert [name for name, _ in flavors_with_prices(any_hardware(max_hourly_cost=0.80), replicas=2)] == [
        "t4-small"
    ]


def test_the_error_says_in_one_sentence_that_no_flavor_fits() -> None:
    with pytest.raises(InvalidHardware) as excinfo:
        flavors(vram_gb=1000, max_hourly_cost=2)
    assert str(excinfo.value) == (
        "hardware: the Hub offers no flavor with 1 GPU and 1000 GB of GPU memory and a price of at most "
        "$2.00 an hour. Nothing was requested. Lower vram_gb or gpus, or raise max_hourly_cost."
    )


def test_a_description_is_plain_json_and_stands_alone_or_in_a_list() -> None:
    description = json.loads(json.dumps(any_hardware(vram_gb=40, max_hourly_cost=2)))
    assert flavors_with_prices(description) == [("l40sx1", 2)]
    assert flavors_with_prices(["t4-small", description, "l40sx1"]) == [("t4-small", None), ("l40sx1", 2)]
    assert flavors_with_prices(json.dumps(["t4-small", description])) == [("t4-small", None), ("l40sx1", 2)]
    assert flavors_with_prices(str(["t4-small", description])) == [("t4-small", None), ("l40sx1", 2)]


def test_numbers_may_be_text_as_templates_render_them() -> None:
    description = any_hardware(vram_gb="40", gpus="1", max_hourly_cost="2.0")
    assert flavors_with_prices(description) == [("l40sx1", 2.0)]
    assert (
        any_hardware(vram_gb="{{ params.vram }}", gpus="None")["any_hardware"]["vram_gb"]
        == "{{ params.vram }}"
    )


def test_one_flavor_needs_no_price_list() -> None:
    assert listed_flavors("t4-small", lambda: pytest.fail("the price list was read")) == [("t4-small", None)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vram_gb": 0}, r"vram_gb of any_hardware\(\) must be a number of GB above 0"),
        ({"vram_gb": "much"}, "vram_gb"),
        ({"vram_gb": True}, "vram_gb"),
        ({"vram_gb": float("inf")}, "vram_gb"),
        ({"gpus": 0}, r"gpus of any_hardware\(\) must be a whole number of at least 1"),
        ({"gpus": 1.5}, "gpus"),
        ({"max_hourly_cost": -1}, r"max_hourly_cost of any_hardware\(\)"),
        ({"prefer": "best"}, "prefer of any_hardware.* must be 'cheapest' or 'fastest'; got 'best'"),
    ],
)
def test_a_value_that_is_not_valid_is_refused_when_the_dag_is_parsed(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        any_hardware(**options)


@pytest.mark.parametrize(
    "value", [[], (), [""], [3], 3, {"vram_gb": 24}, {"any_hardware": 3}, [["t4-small"]]]
)
def test_hardware_of_another_form_is_refused_when_the_dag_is_parsed(value: Any) -> None:
    with pytest.raises(InvalidHardware, match="Task 'upgrade': hardware must be a flavor"):
        refuse_bad_hardware(value, "Task 'upgrade'")
    with pytest.raises(InvalidHardware, match="hardware must be a flavor"):
        flavors_with_prices(value)


def test_an_unknown_parameter_of_a_written_description_is_named() -> None:
    with pytest.raises(InvalidHardware, match="no parameter 'vram'; it has vram_gb, gpus"):
        flavors_with_prices({"any_hardware": {"vram": 24}})


def test_a_flavor_that_neither_this_version_nor_the_hub_knows_is_refused() -> None:
    with pytest.raises(InvalidHardware, match="Did you mean 't4-small'"):
        flavors_with_prices(["l4x1", "t4-smal"])


def test_hardware_in_words_names_flavors_and_requirements() -> None:
    assert hardware_names("t4-small") == "t4-small"
    assert hardware_names(["l4x1", "t4-small"]) == "l4x1 or t4-small"
    assert hardware_names(["l4x1", "t4-small", any_hardware(vram_gb=24)]) == (
        "l4x1, t4-small or 1 GPU and 24 GB of GPU memory"
    )
    assert hardware_names(any_hardware(vram_gb="{{ params.vram }}")) == "any hardware"
