"""What is no JSON, or JSON that nothing can hold, is refused wherever it stands."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.integration.api.asking import faults, problem

JSON = {"Content-Type": "application/json"}


JSON = {"Content-Type": "application/json"}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every value in a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    document = copy.deepcopy(document)
    inner = document
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    return document


WHOLE = {
    "name": "digits",
    "objective": {"name": "quadratic", "settings": {"epoch_s": 0.5}},
    "search_space": {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "log": True, "points": 5},
        "epochs": {"type": "int", "low": 1, "high": 9, "step": 2},
        "mode": {"type": "categorical", "choices": ["plain", "fancy"]},
        "momentum": 0.9,
    },
    "strategy": {"type": "bayesian", "sampler": "tpe"},
    "pruner": {"type": "hyperband", "parts": 4},
    "budget": {"trials": 3, "seconds": 600, "target": 0.05, "failures": 5},
    "try_first": [{"learning_rate": 0.1}],
    "replicates": 2,
    "training_seed": "per_trial",
    "metric": "loss",
    "max_parallel": 8,
    "labels": {"team": "vision"},
}


WRONG = (
    "NaN",
    "-Infinity",
    "1e999",
    "9" * 10_000,
    "-" + "9" * 400,
    r'"\u0000"',
    r'"a\u0000b"',
    r'"\ud800"',
    r'{"\u0000": 1}',
    r'{"\udfff": 1}',
    '{"a": 1, "a": 1}',
    "[" * 200 + "]" * 200,
    '{"":' * 200 + "1" + "}" * 200,
)


def test_the_whole_document_is_right_where_nothing_is_replaced(client: TestClient) -> None:
    assert client.post("/v1/jobs?dry_run=true", json=WHOLE).status_code == 200


@pytest.mark.parametrize("wrong", WRONG, ids=lambda text: text[:12])
def test_what_json_or_the_database_cannot_hold_is_refused_wherever_it_stands(client: TestClient, wrong: str) -> None:
    for path in places(WHOLE):
        body = json.dumps(replaced(WHOLE, path, "<>")).replace('"<>"', wrong)
        answer = client.post("/v1/jobs", content=body, headers=JSON)
        pointers = faults(answer)
        assert any(pointer.startswith("".join(f"/{part}" for part in path)) for pointer in pointers), (path, pointers)


@pytest.mark.parametrize(
    "value", [None, True, 7, -0.5, "text", [], [[]], {}, {"type": "float"}, "x" * 50_000], ids=lambda value: repr(value)[:12]
)
def test_a_value_of_the_wrong_type_is_never_a_server_error(client: TestClient, value: Any) -> None:
    for path in places(WHOLE):
        answer = client.post("/v1/jobs?dry_run=true", json=replaced(WHOLE, path, value))
        if answer.status_code != 200:  # some places may hold it
            problem(answer, 422)


def test_a_name_with_a_nul_is_refused_in_every_object(client: TestClient) -> None:
    for path in places(WHOLE):
        inner: Any = WHOLE
        for part in path:
            inner = inner[part]
        if isinstance(inner, dict):
            found = faults(client.post("/v1/jobs", json=replaced(WHOLE, path, inner | {"a\0": 1})))
            assert any("U+0000" in detail for detail in found.values())


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"\xff\xfe{", 400, "not UTF-8, at byte 0"),
        (b'{"name": "\xe9"}', 400, "not UTF-8, at byte 10"),
        ('{"name": "x"}'.encode("utf-16"), 400, "not UTF-8"),
        (b"{", 400, "is not JSON: Expecting property name"),
        (b'{"a": 1,}', 400, "line 1, column 9"),
        (b"[" * 90_000, 400, "nested too deeply"),
        (b'{"a":' * 15_000, 400, "nested too deeply"),
        (b"{} {}", 400, "Extra data"),
        (b"\xef\xbb\xbf{}", 400, "BOM"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_body_that_cannot_be_read_is_a_400(client: TestClient, body: bytes, status: int, says: str) -> None:
    assert says in problem(client.post("/v1/jobs", content=body, headers=JSON), status)["detail"]


@pytest.mark.parametrize("body", [b"", b"null", b"7", b'"text"', b"[]", b"true"])
def test_a_body_that_is_no_object_is_refused(client: TestClient, body: bytes) -> None:
    assert faults(client.post("/v1/jobs", content=body, headers=JSON)).keys() == {""}


@pytest.mark.parametrize(
    "media_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "nonsense", "ü/ü"]
)
def test_another_media_type_is_a_415(client: TestClient, document: dict[str, Any], media_type: str | None) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type.encode()}
    answer = client.post("/v1/jobs", content=json.dumps(document).encode(), headers=headers)
    assert "Content-Type: application/json" in problem(answer, 415)["detail"]


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/a+json"]
)
def test_json_is_read_however_it_is_called(client: TestClient, document: dict[str, Any], media_type: str) -> None:
    answer = client.post("/v1/jobs?dry_run=1", content=json.dumps(document), headers={"Content-Type": media_type})
    assert answer.status_code == 200


def test_a_body_over_the_limit_is_a_413_with_and_without_a_length(client: TestClient) -> None:
    chunks = (b" " * 30_000 for _ in range(5))
    for content in (b" " * 100_001, chunks):
        answer = client.post("/v1/jobs", content=content, headers=JSON)
        assert problem(answer, 413)["detail"] == "The body may have 100,000 bytes at most."


def test_a_body_of_the_limit_is_read(client: TestClient, document: dict[str, Any]) -> None:
    body = json.dumps(document).encode()
    for content in (body.ljust(100_000), iter([body.ljust(50_000), b" " * 50_000])):
        assert client.post("/v1/jobs?dry_run=true", content=content, headers=JSON).status_code == 200


def test_many_faults_make_no_long_answer(client: TestClient, document: dict[str, Any]) -> None:
    body = json.dumps(document | {"try_first": [{"learning_rate": "<>"}] * 1000}).replace('"<>"', "NaN")
    assert len(faults(client.post("/v1/jobs", content=body, headers=JSON))) == 20
    name = "x" * 90_000
    for wrong in ({"objective": {"name": name}}, {"labels": {name: ""}}, {"metric": "x" * 200, "search_space": {name: 1}}):
        assert len(client.post("/v1/jobs", json=document | wrong).content) < 5_000
