"""Parameters that another parameter or a setting bounds."""

from typing import Any

import pytest

from objectives.catalog import load_catalog
from service.api.submission import complete
from service.domain.request import JobRequest
from service.domain.space import CategoricalRange, SearchSpace
from service.errors import InvalidJob

CATALOG = load_catalog()
RATES = {"type": "float", "low": 1e-4, "high": 0.1, "log": True}
RL = "reinforcement-learning"
TABLES = "tabular-classification"
WINE = {"dataset": "wine"}


def space_of(name: str, settings: dict[str, Any], space: dict[str, Any] | None = None) -> SearchSpace:
    document: dict[str, Any] = {"objective": {"name": name, "settings": settings}}
    if space is not None:
        document["search_space"] = {"learning_rate": RATES, **space}
    return complete(JobRequest.model_validate(document), CATALOG).search_space


def choices(*sizes: int) -> dict[str, Any]:
    return {"type": "categorical", "choices": list(sizes)}


def whole(low: int, high: int) -> dict[str, Any]:
    return {"type": "int", "low": low, "high": high}


@pytest.mark.parametrize(
    ("name", "settings", "space", "pointer", "detail"),
    [
        (
            RL, {}, {"batch_size": 512, "transitions": 256}, "/search_space/batch_size",
            "batch_size 512 exceeds the 256 transitions of an iteration: lower it, or raise transitions",
        ),
        (
            RL, {}, {"batch_size": choices(32, 512), "transitions": whole(256, 1024)}, "/search_space/batch_size",
            "batch_size of up to 512 exceeds the 256 transitions of an iteration: lower it, or raise transitions",
        ),
        (
            RL, {}, {"transitions": 16}, "/search_space/transitions",
            "batch_size 64 exceeds the 16 transitions of an iteration: lower it, or raise transitions",
        ),
        (
            TABLES, WINE, {"batch_size": choices(64, 128)}, "/search_space/batch_size",
            "batch_size of up to 128 exceeds the 108 examples of the training set with dataset wine: lower it",
        ),
        (
            TABLES, {"processes": 64}, {"epochs": 1}, "/objective/settings/processes",
            "batch_size 32 is below the 64 processes, each of which takes a share of every batch: raise it, or lower processes",
        ),
        (
            TABLES, {"processes": 2}, {"batch_size": whole(1, 8)}, "/search_space/batch_size",
            "batch_size of down to 1 is below the 2 processes, each of which takes a share of every batch: raise it, or lower"
            " processes",
        ),
    ],
)  # fmt: skip
def test_a_combination_that_cannot_be_trained_is_refused(
    name: str, settings: dict[str, Any], space: dict[str, Any], pointer: str, detail: str
) -> None:
    with pytest.raises(InvalidJob) as caught:
        space_of(name, settings, space)
    assert [(fault.pointer, fault.detail) for fault in caught.value.faults] == [(pointer, detail)]


@pytest.mark.parametrize(
    ("name", "settings", "space"),
    [
        (RL, {}, {"batch_size": 256, "transitions": 256}),
        (RL, {}, {"batch_size": whole(1, 64), "transitions": whole(64, 128)}),
        (TABLES, WINE, {"batch_size": 108}),
        (TABLES, {"dataset": "csv", "path": "mine.csv"}, {"batch_size": 4096}),
        (TABLES, {"processes": 8}, {"batch_size": choices(8, 16)}),
    ],
)
def test_what_is_within_its_bounds_or_is_not_known_is_taken(name: str, settings: dict[str, Any], space: dict[str, Any]) -> None:
    space_of(name, settings, space)


@pytest.mark.parametrize(("settings", "left"), [(WINE, (16, 32, 64)), ({}, (16, 32, 64, 128)), ({"processes": 33}, (64, 128))])
def test_a_default_range_is_cut_to_what_can_be_trained(settings: dict[str, Any], left: tuple[int, ...]) -> None:
    sizes = space_of(TABLES, settings)["batch_size"]
    assert isinstance(sizes, CategoricalRange)
    assert sizes.choices == left
