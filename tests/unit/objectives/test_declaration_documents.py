"""A declaration as JSON is as good as the module that it comes from."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from objectives.catalog import load_catalog
from objectives.contract import Bound, Metric, Objective, Parameter, RateShift
from objectives.declarations import faults_of
from objectives.documents import declaration_sha256, document_of, objective_of, version_sha256

ALL = load_catalog(
    ("tests.quadratic", "tests.other_names", "tests.integration.worker.odd", "tests.integration.worker.fickle")
).values()
MINE = Objective(
    name="mine",
    description="Größe: ein Nullzeichen \0 und \\u0000 auch.",
    module="mine",
    metrics=(
        Metric(name="loss", direction="minimize", description=""),
        Metric(name="hits", direction="maximize", description=""),
    ),
    parameters=(
        Parameter(name="lr", type="float", default=1e300, role="learning_rate", description="", space={"low": 1, "high": 2.5}),
        Parameter(
            name="b", type="categorical", default=True, choices=(True, "1", False), description="", defines_measure=("loss",)
        ),
        Parameter(
            name="c",
            type="int",
            default=1,
            description="",
            defines_measure=True,
            applies_when=({"b": (True, "1"), "mode": ("x",)}, {"mode": ()}),
            bounds=(
                Bound(end="high", given_by="z", counts="rows"),
                Bound(end="low", given_by="b", by_value={"1": 0.5}, counts="x"),
            ),
            rate_shift=RateShift(power=-0.5, sd=1e-3),
        ),
    ),
    settings_schema={"type": "object", "properties": {"z": {"type": "number", "default": 1e20}, "a": {"enum": [None, 1.0]}}},
    step_word="episode",
)


@pytest.mark.parametrize("objective", [*ALL, MINE], ids=lambda objective: objective.name)
def test_a_declaration_comes_back_from_json_as_it_was(objective: Objective) -> None:
    document = document_of(objective)
    again = objective_of(json.loads(json.dumps(document)))
    assert again == objective
    assert repr(document_of(again)) == repr(document), "types, and the order of settings, in which they are listed"
    assert declaration_sha256(again) == declaration_sha256(objective)


def test_an_infinite_bound_is_none() -> None:
    bounded = replace(MINE, parameters=(replace(MINE.parameters[0], low=-math.inf, high=math.inf), *MINE.parameters[1:]))
    assert objective_of(document_of(bounded)) == MINE


def test_what_only_a_newer_version_declares_is_left_out() -> None:
    document = document_of(MINE)
    document["novelty"] = document["metrics"][0]["novelty"] = document["parameters"][2]["rate_shift"]["novelty"] = 1
    assert objective_of(document) == MINE


def test_the_order_in_which_a_dictionary_was_written_does_not_tell_versions_apart() -> None:
    turned = replace(MINE, settings_schema=dict(reversed(MINE.settings_schema.items())))
    assert declaration_sha256(turned) == declaration_sha256(MINE)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "other"},
        {"description": "?"},
        {"step_word": "update"},
        {"metrics": MINE.metrics[:1]},
        {"parameters": MINE.parameters[:2]},
        {"parameters": (replace(MINE.parameters[0], default=1.0), *MINE.parameters[1:])},
        {"parameters": (replace(MINE.parameters[0], low_open=True), *MINE.parameters[1:])},
        {"settings_schema": {"type": "object"}},
    ],
)
def test_whatever_is_declared_differently_is_another_declaration(changed: dict[str, Any]) -> None:
    assert declaration_sha256(replace(MINE, **changed)) != declaration_sha256(MINE)


def test_a_version_is_told_by_declaration_and_by_each_source() -> None:
    other = replace(MINE, name="other")
    versions = [
        version_sha256(MINE),
        version_sha256(MINE, b""),
        version_sha256(MINE, b"ab", b"c"),
        version_sha256(MINE, b"a", b"bc"),
    ]
    assert len({*versions, version_sha256(other), version_sha256(MINE, b"abc")}) == 6
    assert version_sha256(MINE, b"ab", b"c") == versions[2]


@pytest.mark.parametrize("value", [math.inf, math.nan, {1, 2}, "\ud800"])
def test_what_json_cannot_hold_is_a_fault_of_the_module(value: object) -> None:
    schema = {"type": "object", "properties": {"size": {"default": value}}}
    [fault] = faults_of(replace(MINE, settings_schema=schema, parameters=MINE.parameters[:1], metrics=MINE.metrics[:1]))
    assert fault.text.startswith("mine declares what JSON cannot hold: ")


def test_the_name_of_what_jobs_declare_themselves_is_taken() -> None:
    fault = next(faults_of(replace(MINE, name="external")))
    assert fault.text == "has an objective whose name is 'external', which jobs declare themselves: choose another"
