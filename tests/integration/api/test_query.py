"""What a query may hold: each route takes its own parameters, once, and the OpenAPI document says what they may be."""

from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from service.app import create_app
from service.store.postgres import Database
from tests.integration.api.conftest import SETTINGS

ID, OTHER = str(UUID(int=1)), str(UUID(int=2))
UNREACHABLE = create_app(SETTINGS, Database("postgresql://nobody@127.0.0.1:1/nothing"))
OPERATIONS = [
    pytest.param(method.upper(), path, operation, id=f"{method} {path}")
    for path, methods in UNREACHABLE.openapi()["paths"].items()
    for method, operation in methods.items()
]


@pytest.fixture(scope="module")
def nowhere() -> TestClient:
    """An API without a database: it can refuse, and nothing else."""
    return TestClient(UNREACHABLE, base_url="http://localhost")


def parameters(operation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The schemas of an operation's query parameters."""
    return {each["name"]: each["schema"] for each in operation.get("parameters", ()) if each["in"] == "query"}


def faults(client: TestClient, method: str, path: str, query: str) -> dict[str, str]:
    path = path.format(job_id=ID, number=0)
    answer = client.request(method, f"{path}?{query}", json={} if method == "POST" else None)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return {fault["pointer"]: fault["detail"] for fault in answer.json()["errors"]}


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
@pytest.mark.parametrize("name", ["dryrun", "Limit", "", "limit[]", "_", "größe"])
def test_a_parameter_that_a_route_does_not_have_is_refused(
    nowhere: TestClient, method: str, path: str, operation: dict[str, Any], name: str
) -> None:
    known = sorted(parameters(operation))
    there_are = f"the query parameters are: {', '.join(known)}" if known else "this takes no query parameters"
    assert faults(nowhere, method, path, f"{name}=1") == {f"/{name}": f"is not a query parameter here; {there_are}"}


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_a_parameter_is_given_once_unless_it_is_a_list(
    nowhere: TestClient, method: str, path: str, operation: dict[str, Any]
) -> None:
    for name, schema in parameters(operation).items():
        if schema.get("type") != "array":
            said = "is given more than once: give it once"
            assert faults(nowhere, method, path, f"{name}=1&{name}=1") == {f"/{name}": said}


def test_many_faults_are_named_in_part(nowhere: TestClient) -> None:
    assert len(faults(nowhere, "GET", "/v1/jobs", "&".join(f"a{number}=1" for number in range(1000)))) == 20


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_the_document_has_no_null_which_no_query_can_hold(method: str, path: str, operation: dict[str, Any]) -> None:
    for each in operation.get("parameters", ()):
        assert not any(kind == {"type": "null"} for kind in each["schema"].get("anyOf", ())), each
        assert operation["responses"].keys() >= {"422"}


@pytest.mark.parametrize(
    ("path", "name", "taken", "refused"),
    [
        (
            "/v1/compare",
            "jobs",
            [[ID, OTHER], [f"{ID},{OTHER}"], [f" {ID[:8]} , {OTHER[:13]} "], [f"{ID},{OTHER}", "aaaaaaaa"]],
            [[], [ID], ["x", ID], [ID, ""], [f"{ID},"], [f"{ID},{OTHER[:7]}"], [ID] * 21, ["null"]],
        ),
        ("/v1/compare", "learning_rate", [["1e-5"], ["3"]], [["0"], ["-1"], ["nan"], ["inf"], ["1e-400"], ["null"], [""]]),
        ("/v1/best-lr", "objective", [["quadratic"]], [[""], ["x" * 201], ["\0"]]),
        ("/v1/best-lr", "metric", [["loss"]], [[""], ["x" * 201], ["\0"]]),
        ("/v1/best-lr", "label", [["a:b"], ["a:b", "c:"]], [["a"], ["a:\0"], ["a:b"] * 21]),
        ("/v1/best-lr", "limit", [["1"], ["100"]], [["0"], ["101"], ["1.5"], ["null"], [""]]),
        ("/v1/best-lr", "cursor", [], [[""], ["a b"], ["a=="], ["a+b/"], ["x" * 501], ["null "]]),
        ("/v1/jobs", "state", [["queued"]], [["done"], [""], ["null"], ["QUEUED"]]),
        (f"/v1/jobs/{ID}/trade-off", "target", [["-1e300"]], [["nan"], ["inf"], ["x"]]),
        (f"/v1/jobs/{ID}/trade-off", "by", [["steps"]], [["epochs"], [""]]),
        (f"/v1/jobs/{ID}/best-lr", "tolerance", [["0.1"]], [["0"], ["nan"], ["null"]]),
        (f"/v1/jobs/{ID}/batch-scaling", "devices", [["8"]], [["0"], ["1000001"], ["2.5"]]),
        (f"/v1/jobs/{ID}/events", "after", [["0"], ["2147483647"]], [["-1"], ["2147483648"]]),
    ],
)
def test_the_document_takes_and_refuses_what_the_api_does(
    client: TestClient, path: str, name: str, taken: list[list[str]], refused: list[list[str]]
) -> None:
    document = UNREACHABLE.openapi()
    schema = parameters(document["paths"][path.replace(ID, "{job_id}")]["get"])[name]
    validator = Draft202012Validator({**schema, "components": document["components"]})
    query = {} if name == "jobs" or path != "/v1/compare" else {"jobs": [ID, OTHER]}
    for values in (*taken, *refused):
        answer = client.get(path, params={**query, name: values})
        assert (answer.status_code == 422) == (values in refused), (values, answer.text)
        assert validator.is_valid(_read(schema, values)) == (values in taken), values


def _read(schema: dict[str, Any], values: list[str]) -> Any:
    """The values of a query as the document means them."""
    if schema.get("type") == "array":
        return values
    if schema.get("type") in ("integer", "number"):
        try:
            number = float(values[0])
        except ValueError:
            return values[0]
        return number if abs(number) < float("inf") else values[0]
    return values[0]
