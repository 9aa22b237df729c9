"""Jobs that declare their objective themselves, as they are submitted and shown."""

from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.integration.api.asking import ask, faults


@pytest.fixture
def external() -> dict[str, Any]:
    return {
        "objective": {
            "name": "external",
            "parameters": [
                {"name": "lr", "type": "float", "space": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}},
                {"name": "epochs", "type": "int", "default": 4},
            ],
            "metrics": [{"name": "loss", "direction": "minimize"}],
            "steps": "epochs",
            "step_word": "epoch",
            "settings": {"model": "mlp", "depth": 3},
        },
        "strategy": "random",
        "budget": {"trials": 6},
    }


def test_it_is_planned_stored_and_shown_as_any_other(client: TestClient, external: dict[str, Any]) -> None:
    planned = client.post("/v1/jobs?dry_run=true", json=external).json()
    assert planned["roles"] == {"learning_rate": "lr", "duration": "epochs"}
    assert planned["epochs"] == {"expected": 24.0, "at_most": 24}
    assert planned["first_points"][0]["epochs"] == 4
    job = client.post("/v1/jobs", json=external).json()
    assert job["waiting_for"] == "a client that claims its trials"
    assert job["spec"] == planned["spec"]
    assert (job["spec"]["metric"], job["spec"]["search_space"]["epochs"]) == ("loss", 4)
    assert client.post("/v1/jobs", json=job["spec"]).json()["spec"] == job["spec"]
    assert ask(client, f"/v1/jobs/{job['id']}") == job
    assert client.get(f"/jobs/{job['id']}").status_code == 200
    assert "resnet" not in client.get(f"/new?from={job['id']}").text
    assert "mlp" in client.get(f"/new?from={job['id']}").text
    assert "external" not in [each["name"] for each in ask(client, "/v1/objectives")["items"]]


@pytest.mark.parametrize(
    ("change", "pointer", "said"),
    [
        ({"parameters": None}, "/objective/parameters", "should be a list"),
        ({"parameters": []}, "/objective/parameters", "should have at least 1 entries"),
        ({"metrics": [{"name": "loss"}]}, "/objective/metrics/0/direction", "is missing"),
        ({"metrics": [{"name": "loss", "direction": "down"}]}, "/objective/metrics/0/direction", "'minimize' or 'maximize'"),
        ({"steps": True}, "/objective/steps", "must be a whole number, the name of a parameter, or null"),
        ({"steps": 0}, "/objective/steps", "greater than or equal to 1"),
        ({"rate": 1}, "/objective/rate", "the fields are: name, settings, parameters, metrics, steps, step_word"),
        ({"settings": {"layers": [1, 2]}}, "/objective/settings/layers", "should be a number, a string, true or false"),
        ({"parameters": [{"name": "lr", "type": "real"}]}, "/objective/parameters/0/type", "'float', 'int' or 'categorical'"),
        ({"parameters": [{"name": "lr", "type": "float", "lo": 1}]}, "/objective/parameters/0/lo", "the fields are: name, type"),
        (
            {"parameters": [{"name": "lr", "type": "float", "space": {"type": "float", "low": 1.0, "high": 0.1}}]},
            "/objective/parameters/0/space",
            "the range is empty",
        ),
        ({"parameters": [{"name": "lr", "type": "float", "role": "rate"}]}, "/objective/parameters/0/role", "'learning_rate'"),
    ],
)
def test_each_fault_has_its_pointer(
    client: TestClient, external: dict[str, Any], change: dict[str, Any], pointer: str, said: str
) -> None:
    external["objective"] |= change
    found = faults(client.post("/v1/jobs", json=external))
    assert said in found[pointer], found


def test_the_name_is_missing_where_there_is_none(client: TestClient, app: FastAPI) -> None:
    assert faults(client.post("/v1/jobs", json={"objective": {}})) == {"/objective/name": "is missing"}
    assert faults(client.post("/v1/jobs", json={"objective": "external"})) == {"/objective": "should be an object"}
