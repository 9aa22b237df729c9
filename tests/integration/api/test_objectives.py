"""Which parameters there are, what they may be, and when they mean anything."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.store.postgres import Database

RATE = {"type": "float", "low": 0.1, "high": 1.0}


@pytest.fixture
def client(database: Database) -> Iterator[TestClient]:
    settings = Settings.model_validate({"objective_modules": "tests.quadratic,tests.integration.worker.odd"})
    with TestClient(create_app(settings, database), "http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def odd_job(**search_space: Any) -> dict[str, Any]:
    return {"objective": {"name": "odd"}, "search_space": {"learning_rate": RATE} | search_space}


def test_parameters_are_listed_with_their_legal_values_and_when_they_apply(client: TestClient) -> None:
    items = client.get("/v1/objectives").json()["items"]
    shown = {objective["name"]: {each["name"]: each for each in objective["parameters"]} for objective in items}
    assert shown["odd"]["flourish"] == {
        **{"name": "flourish", "type": "float", "default": 0.5, "description": "Makes no difference.", "choices": None},
        **{"low": 0.0, "low_open": False, "high": 1.0, "high_open": True, "bounds": []},
        "applies_when": [{"mode": ["fancy"]}],
        **{"role": None, "scale": "linear", "rate_shift": None, "defines_measure": False},
    }
    lookahead = shown["odd"]["lookahead"]
    assert repr([lookahead["default"], *lookahead["choices"]]) == "[False, False, True]"
    assert lookahead["applies_when"] == [{"mode": ["fancy"]}, {"how": ["test is no number"]}]
    rate = shown["quadratic"]["learning_rate"]
    assert (rate["low"], rate["low_open"], rate["high"], rate["high_open"]) == (0.0, True, None, False)
    assert rate["applies_when"] == []
    [by_transitions] = shown["reinforcement-learning"]["batch_size"]["bounds"]
    assert by_transitions == {
        "end": "high",
        "given_by": "transitions",
        "by_value": None,
        "counts": "transitions of an iteration",
    }


def test_a_parameter_fixed_where_it_means_nothing_is_a_422_that_points_to_it(client: TestClient) -> None:
    answer = client.post("/v1/jobs", json=odd_job(flourish=0.5))
    assert answer.status_code == 422
    said = "flourish has no effect with mode 'plain': it applies when mode is 'fancy'"
    assert answer.json()["errors"] == [{"pointer": "/search_space/flourish", "detail": said}]


def test_a_job_holds_the_defaults_of_what_may_apply_and_can_be_submitted_again(client: TestClient) -> None:
    for search_space, names in (
        ({}, ["learning_rate", "mode"]),
        ({"mode": "fancy"}, ["flourish", "learning_rate", "lookahead", "mode"]),
        ({"lookahead": {"type": "categorical", "choices": [True, False]}}, ["learning_rate", "lookahead", "mode"]),
    ):
        spec = client.post("/v1/jobs", json=odd_job(**search_space)).json()["spec"]
        assert sorted(spec["search_space"]) == names
        assert client.post("/v1/jobs", json=spec).json()["spec"] == spec


@pytest.mark.parametrize("strategy", ["grid", "random", {"type": "bayesian", "sampler": "gp"}])
def test_true_and_false_are_searched_as_such(client: TestClient, strategy: Any) -> None:
    switch = {"type": "categorical", "choices": [False, True]}
    job = odd_job(learning_rate=RATE | {"points": 2}, mode="fancy", lookahead=switch) | {"strategy": strategy}
    points = client.post("/v1/jobs?dry_run=true", json=job).json()["first_points"]
    assert {repr(point["lookahead"]) for point in points} == {"True", "False"}
