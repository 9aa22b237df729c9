"""The OpenAPI document is true: fuzzed by it, the API answers as documented and never with a server error."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from jsonschema import Draft202012Validator
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.python.asgi import shutdown_lifespans
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from starlette.testclient import TestClient

from service.api.examples import JOBS
from service.api.faults import JOB_ID
from service.app import create_app
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.conftest import SETTINGS
from tests.integration.api.training import Worker

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]


@pytest.fixture(scope="module")
def shared_app(shared_database: Database) -> Iterator[FastAPI]:
    # schemathesis asks for it by this name
    yield create_app(SETTINGS.model_copy(update={"allowed_hosts": ("testserver",)}), shared_database)
    shutdown_lifespans()  # as schemathesis' pytest plugin would, which is not loaded: else the sweeper outlives the database


@pytest.fixture(scope="module")
def job_id(shared_database: Database) -> UUID:
    """A finished job, since random ids name none."""
    job = submit_job(shared_database, budget={"trials": 3})
    Worker(shared_database).train(3)
    return job.id


OPERATIONS = [
    (method, path)
    for path, methods in create_app(SETTINGS, Database("postgresql://nobody@127.0.0.1:1/nothing")).openapi()["paths"].items()
    for method in methods
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_the_api_keeps_to_its_document_whatever_it_is_sent(
    shared_app: FastAPI, job_id: UUID, method: str, path: str, mode: GenerationMode
) -> None:
    operation = schemathesis.openapi.from_asgi("/openapi.json", shared_app)[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=10, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    def keeps_to_its_document(case: Case) -> None:
        parameters = case.path_parameters or {}
        if method != "delete" and re.search(JOB_ID, str(parameters.get("job_id"))):
            parameters["job_id"] = str(job_id)
        case.call_and_validate(checks=CHECKS)

    try:
        keeps_to_its_document()
    except Unsatisfiable:  # nothing that could be sent to it is wrong
        assert mode is GenerationMode.NEGATIVE


@pytest.fixture(scope="module")
def document(shared_app: FastAPI) -> dict[str, Any]:
    return shared_app.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_endpoint_says_in_words_what_it_does(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["description"].rstrip().endswith("."), name
        for parameter in operation.get("parameters", []):
            if parameter["name"] != "state":
                assert parameter["description"], (name, parameter)


def test_every_error_is_documented_as_a_problem(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
                assert response["content"] == {"application/problem+json": reference}, (name, status)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for item in value.values():
                yield from references(item)
        elif isinstance(value, list):
            for item in value:
                yield from references(item)

    for reference in references(document):
        inner: Any = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in inner, reference
            inner = inner[part]


def test_routes_added_later_keep_the_schema_of_problems(app: FastAPI) -> None:
    assert "Problem" in app.openapi()["components"]["schemas"]
    app.get("/later")(lambda: None)
    assert "/later" in app.openapi()["paths"]
    assert "Problem" in app.openapi()["components"]["schemas"]


@pytest.mark.parametrize("name", JOBS)
def test_every_example_can_be_submitted_as_it_stands(client: TestClient, name: str) -> None:
    served = client.get("/openapi.json").json()["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]
    job = served["examples"][name]["value"]
    assert client.post("/v1/jobs?dry_run=true", json=job).status_code == 200
    assert client.post("/v1/jobs", json=job).status_code == 202


@pytest.mark.parametrize("name", JOBS)
def test_every_example_is_valid_by_the_document(document: dict[str, Any], name: str) -> None:
    validator = Draft202012Validator({"$ref": "#/components/schemas/JobRequest", "components": document["components"]})
    validator.validate(JOBS[name]["value"])


def test_the_documentation_page_needs_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "http://" not in page.replace("http://127.0.0.1", "")
    assert "https://" not in page
    for asset in ("/static-offline-docs/swagger-ui-bundle.js", "/static-offline-docs/swagger-ui.css"):
        assert asset in page
        assert client.get(asset).status_code == 200
