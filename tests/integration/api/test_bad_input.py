"""Whatever is sent, the answer is a problem that points to the fault: never a 500, and nothing is stored."""

import base64
import copy
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.store.postgres import Database
from tests.integration.api.conftest import SETTINGS

JSON = {"Content-Type": "application/json"}


def problem(answer: Any, *statuses: int) -> dict[str, Any]:
    """The problem in an answer, which holds nothing that clients must not see."""
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == answer.status_code
    assert body["type"].startswith("urn:stride:")
    assert body["title"]
    assert body.get("detail") or body.get("errors")
    assert "Traceback" not in answer.text
    assert "psycopg" not in answer.text
    assert "pydantic" not in answer.text
    return body


def faults(answer: Any) -> dict[str, str]:
    return {fault["pointer"]: fault["detail"] for fault in problem(answer, 422)["errors"]}


@pytest.fixture(scope="module")
def database(shared_database: Database) -> Database:
    """One for all of these tests, as none of them may leave anything in it."""
    return shared_database


@pytest.fixture(scope="module")
def client(database: Database) -> Iterator[TestClient]:
    with TestClient(create_app(SETTINGS, database), "http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(autouse=True)
def _nothing_is_stored(database: Database) -> Iterator[None]:
    yield
    with database.transaction() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM stride.jobs").scalar() == 0
        assert conn.exec_driver_sql("SELECT count(*) FROM optuna.studies").scalar() == 0


def test_each_fault_of_a_job_has_its_pointer(client: TestClient, document: dict[str, Any]) -> None:
    document |= {"metric": "nonsense", "objective": {"name": "quadratic", "settings": {"foo": 1, "epoch_s": -1}}}
    document["search_space"] |= {"rate": 1}
    answer = client.post("/v1/jobs", json=document)
    assert problem(answer, 422)["type"] == "urn:stride:invalid-job"
    settings = "epoch_s, gate, raise_at, kill_at, exit_at, hang_at, seed_noise, state, keep_step"
    assert faults(answer) == {
        "/objective/settings/foo": f"quadratic has no setting 'foo'; it has: {settings}",
        "/objective/settings/epoch_s": "-1 is less than the minimum of 0",
        "/metric": "quadratic has no metric 'nonsense'; it has: loss, score",
        "/search_space/rate": "quadratic has no parameter 'rate'; it has: epochs, learning_rate, mode, momentum",
    }


LR = "/search_space/learning_rate"
RANGE = {"type": "float", "low": 1e-4, "high": 0.1}


def rate(**overrides: Any) -> dict[str, Any]:
    """A search space whose learning rate is not as it should be."""
    return {"search_space": {"learning_rate": RANGE | overrides}}


@pytest.mark.parametrize(
    ("overrides", "where", "says"),
    [
        ({"nonsense": 1}, "/nonsense", "is not a field here; the fields are: name, objective, search_space, strategy"),
        ({"objective": {"nam": "x"}}, "/objective/nam", "is not a field here; the fields are: name, settings"),
        ({"objective": {}}, "/objective/name", "is missing"),
        ({"objective": "quadratic"}, "/objective", "should be an object"),
        ({"objective": None}, "/objective", "should be an object"),
        ({"objective": {"name": "quadratic", "settings": []}}, "/objective/settings", "should be an object"),
        ({"objective": {"name": ""}}, "/objective/name", "should have at least 1 character"),
        ({"objective": {"name": 5}}, "/objective/name", "should be a string"),
        ({"search_space": [1]}, "/search_space", "should be an object"),
        ({"search_space": {"learning_rate": None}}, LR, 'whose "type" is "float", "int" or "categorical"'),
        ({"search_space": {"learning_rate": [1]}}, LR, "must be a value, or a range"),
        ({"search_space": {"learning_rate": {"type": "real"}}}, LR, "must be a value, or a range"),
        ({"search_space": {"learning_rate": {"type": "float", "low": 1}}}, LR + "/high", "is missing"),
        (
            rate(max=1),
            LR + "/max",
            "is not a field here; the fields are: type, low, high, log, step, points",
        ),
        (rate(low="0"), LR + "/low", "should be a number"),
        (rate(log="yes"), LR + "/log", "should be true or false"),
        (rate(low=0, log=True), LR, "start above 0, not at 0"),
        (rate(low=1), LR, "low (1) is above high (0.1)"),
        (rate(low=0.1), LR, "one value only: write 0.1 instead"),
        (rate(step=0), LR + "/step", "greater than 0"),
        (rate(step=0.1, points=3), LR, "either step or points"),
        (rate(points=1), LR + "/points", "greater than or equal to 2"),
        (
            {"search_space": {"epochs": {"type": "int", "low": 1, "high": 2**60}}},
            "/search_space/epochs/high",
            "less than or equal to",
        ),
        (
            {"search_space": {"epochs": {"type": "int", "low": 1.5, "high": 3}}},
            "/search_space/epochs/low",
            "should be a whole number",
        ),
        (
            {"search_space": {"mode": {"type": "categorical", "choices": []}}},
            "/search_space/mode/choices",
            "should have at least 1 entries",
        ),
        (
            {"search_space": {"mode": {"type": "categorical", "choices": "plain"}}},
            "/search_space/mode/choices",
            "should be a list",
        ),
        ({"search_space": {"mode": {"type": "categorical", "choices": ["plain"] * 2}}}, "/search_space/mode", "must differ"),
        (
            {"search_space": {"mode": {"type": "categorical", "choices": [None]}}},
            "/search_space/mode/choices/0",
            "should be a number, a string, true or false",
        ),
        ({"search_space": {f"p{n}": 1 for n in range(101)}}, "/search_space", "should have at most 100 entries"),
        ({"strategy": "annealing"}, "/strategy", "there is no type 'annealing'; there are: grid, random, bayesian"),
        ({"strategy": {}}, "/strategy", 'needs a "type"'),
        ({"strategy": 7}, "/strategy", "should be"),
        ({"strategy": {"type": "random", "sampler": "tpe"}}, "/strategy/sampler", "should be 'uniform' or 'qmc'"),
        ({"strategy": {"type": "grid", "sampler": "tpe"}}, "/strategy/sampler", "is not a field here; the fields are: type"),
        (
            {"pruner": "asha"},
            "/pruner",
            "there is no type 'asha'; there are: none, median, percentile, successive_halving, hyperband",
        ),
        ({"pruner": {"type": "hyperband", "min_resource": 4}}, "/pruner", "min_resource (4) must be less than parts (4)"),
        ({"pruner": {"type": "percentile", "percentile": 100}}, "/pruner/percentile", "less than 100"),
        ({"budget": []}, "/budget", "should be an object"),
        ({"budget": {}}, "/budget", "would never end: give trials, seconds or a target"),
        ({"budget": {"trials": 0}}, "/budget/trials", "greater than or equal to 1"),
        ({"budget": {"trials": "5"}}, "/budget/trials", "should be a whole number"),
        ({"budget": {"trials": True}}, "/budget/trials", "should be a whole number"),
        ({"budget": {"trials": 10**18}}, "/budget/trials", "less than or equal to 1000000"),
        ({"budget": {"seconds": 0}}, "/budget/seconds", "greater than 0"),
        ({"budget": {"epochs": 5}}, "/budget/epochs", "the fields are: trials, seconds, confirm, target, failures"),
        ({"replicates": 0}, "/replicates", "greater than or equal to 1"),
        ({"replicates": 101}, "/replicates", "less than or equal to 100"),
        ({"replicates": 1.5}, "/replicates", "should be a whole number"),
        ({"replicates": "3"}, "/replicates", "should be a whole number"),
        ({"replicates": None}, "/replicates", "should be a whole number"),
        ({"replicates": True}, "/replicates", "should be a whole number"),
        (
            {"training_seed": "shared", "replicates": 3},
            "/training_seed",
            "3 replicates need 3 training seeds",
        ),
        ({"training_seed": "own"}, "/training_seed", "should be 'per_trial' or 'shared'"),
        ({"training_seed": 7}, "/training_seed", "should be 'per_trial' or 'shared'"),
        ({"training_seed": None}, "/training_seed", "should be 'per_trial' or 'shared'"),
        ({"try_first": {}}, "/try_first", "should be a list"),
        ({"try_first": [7]}, "/try_first/0", "should be an object"),
        ({"try_first": [{"learning_rate": None}]}, "/try_first/0/learning_rate", "should be a number, a string, true or false"),
        (
            {"try_first": [{"learning_rate": 0.9}]},
            "/try_first/0/learning_rate",
            "outside the range of the search space, 0.0001 to 0.4",
        ),
        ({"try_first": [{}] * 1001}, "/try_first", "should have at most 1000 entries"),
        ({"strategy": "grid", "try_first": [{}]}, "/try_first", "a grid visits exactly its own points"),
        ({"strategy": "grid"}, LR, "needs a step, or a number of points"),
        ({"strategy": {"type": "bayesian", "sampler": "gp"}, "pruner": "median"}, "/pruner", "does not see pruned trials"),
        ({"max_parallel": 0}, "/max_parallel", "greater than or equal to 1"),
        ({"max_attempts": None}, "/max_attempts", "should be a whole number"),
        ({"max_attempts": 0}, "/max_attempts", "greater than or equal to 1"),
        ({"limits": 60}, "/limits", "should be an object"),
        ({"limits": {"seconds": 60}}, "/limits/seconds", "the fields are: trial_seconds, step_seconds, memory_mb"),
        ({"limits": {"trial_seconds": 0}}, "/limits/trial_seconds", "greater than 0"),
        ({"limits": {"trial_seconds": "60"}}, "/limits/trial_seconds", "should be a number"),
        ({"limits": {"trial_seconds": 1e300}}, "/limits/trial_seconds", "less than or equal to"),
        ({"limits": {"step_seconds": -1}}, "/limits/step_seconds", "greater than 0"),
        ({"limits": {"step_seconds": True}}, "/limits/step_seconds", "should be a number"),
        ({"limits": {"memory_mb": 0}}, "/limits/memory_mb", "greater than or equal to 1"),
        ({"limits": {"memory_mb": 0.5}}, "/limits/memory_mb", "should be a whole number"),
        ({"limits": {"memory_mb": 2**31}}, "/limits/memory_mb", "less than or equal to"),
        ({"priority": 1e300}, "/priority", "should be a whole number"),
        ({"seed": -1}, "/seed", "greater than or equal to 0"),
        ({"seed": 2**63}, "/seed", "between -2^63 and 2^63"),
        ({"labels": ["a"]}, "/labels", "should be an object"),
        ({"labels": {"a": 1}}, "/labels/a", "should be a string"),
        ({"labels": {"a": "x" * 201}}, "/labels/a", "should have at most 200 characters"),
        ({"labels": {"k" * 201: "x"}}, "/labels/" + "k" * 201, "should have at most 200 characters"),
        ({"name": ""}, "/name", "should have at least 1 character"),
        ({"name": "x" * 90_000}, "/name", "should have at most 200 characters"),
    ],
    ids=lambda value: json.dumps(value)[:50],
)
def test_a_fault_is_pointed_to_and_said_in_words(
    client: TestClient, document: dict[str, Any], overrides: dict[str, Any], where: str, says: str
) -> None:
    found = faults(client.post("/v1/jobs", json=document | overrides))
    assert where in found, found
    assert says in found[where]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"width": 7}, {"width": "7 is not a multiple of 4"}),
        ({"width": 66, "heads": 4}, {"width": "66 is not a multiple of 4"}),
        ({"width": 33, "heads": 3}, {"width": "33 is not a multiple of 6"}),
        (
            {"heads": 3},
            {"width": "must be given with these settings: Size of the vectors of characters or n-grams, and of states."},
        ),
        ({"width": 66, "heads": 3}, {}),
        ({"width": 7, "model": "gru"}, {}),
    ],
)
def test_a_width_that_a_transformer_cannot_have_is_refused(
    client: TestClient, document: dict[str, Any], settings: dict[str, Any], says: dict[str, str]
) -> None:
    document |= {"objective": {"name": "text-classification", "settings": {"model": "transformer"} | settings}}
    found = faults(client.post("/v1/jobs", json=document | {"metric": "nonsense"}))
    place = "/objective/settings/"
    assert {where.removeprefix(place): said for where, said in found.items() if where.startswith(place)} == says


def test_prodigy_with_rates_by_layer_is_refused(client: TestClient, document: dict[str, Any]) -> None:
    document |= {"objective": {"name": "image-classification"}, "metric": "validation_loss"}
    document["search_space"] |= {"optimizer": "prodigy", "layer_decay": 0.5, "momentum": 0.9}
    said = faults(client.post("/v1/jobs", json=document))["/search_space/layer_decay"]
    assert said.startswith("layer_decay has no effect with optimizer 'prodigy': it applies when optimizer is 'sgd', ")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("../secret.csv", "contains .., which may lead out"),
        ("a/../../b.csv", "contains .."),
        ("/data/..", "contains .."),
        ("a\0b.csv", "must not contain the character U+0000"),
        ("a\nb.csv", "contains a control character"),
        ("a\x7fb.csv", "contains a control character"),
        ("", "names no file or folder"),
        (" ", "names no file or folder"),
        ("x" * 4_097, "has 4,097 characters: a path may have 4,096 at most"),
        ("~/data.csv", "begins with ~"),
        ("C:\\data\\a.csv", "contains a backslash"),
    ],
)
@pytest.mark.parametrize("dry", ["false", "true"])
def test_a_path_that_no_worker_could_take_is_refused_at_submission(client: TestClient, path: str, says: str, dry: str) -> None:
    for name, dataset in (("tabular-classification", "csv"), ("image-classification", "image-folder")):
        settings = {"dataset": dataset, "path": path}
        answer = client.post(f"/v1/jobs?dry_run={dry}", json={"objective": {"name": name, "settings": settings}})
        assert says in faults(answer)["/objective/settings/path"]


@pytest.mark.parametrize("path", ["/etc", "/data/a.csv", "a..b/..c/d.csv", "~a.csv", "two words/ü.csv", "./a.csv", "x" * 4_096])
def test_any_other_path_is_for_a_worker_to_judge(client: TestClient, path: str) -> None:
    objective = {"name": "tabular-classification", "settings": {"dataset": "csv", "path": path}}
    assert client.post("/v1/jobs?dry_run=true", json={"objective": objective}).status_code == 200


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


IDS = ("x", "%00", str(UUID(int=7))[:-1], "%ff")


@pytest.mark.parametrize("id_", IDS)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/jobs/{}"),
        ("DELETE", "/v1/jobs/{}"),
        ("POST", "/v1/jobs/{}/cancel"),
        ("POST", "/v1/jobs/{}/pause"),
        ("POST", "/v1/jobs/{}/resume"),
        ("POST", "/v1/jobs/{}/extend"),
        ("GET", "/v1/jobs/{}/best-lr"),
        ("GET", "/v1/jobs/{}/trials"),
        ("GET", "/v1/jobs/{}/trials/0"),
        ("GET", "/v1/jobs/{}/trials/0/measurements"),
        ("GET", "/v1/jobs/{}/trials/0/log"),
    ],
)
def test_what_is_no_job_id_is_refused(client: TestClient, method: str, path: str, id_: str) -> None:
    problem(client.request(method, path.format(id_)), 404, 405, 422)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_job_is_a_404(client: TestClient, method: str) -> None:
    id_ = uuid4()
    assert problem(client.request(method, f"/v1/jobs/{id_}"), 404)["detail"] == f"There is no job {id_}."


@pytest.mark.parametrize("path", ["cancel", "pause", "resume"])
def test_an_unknown_job_cannot_be_moved(client: TestClient, path: str) -> None:
    assert problem(client.post(f"/v1/jobs/{uuid4()}/{path}"), 404)["type"] == "urn:stride:job-not-found"


@pytest.mark.parametrize("path", ["best-lr", "trials", "trials/0", "trials/0/measurements", "trials/0/log"])
def test_an_unknown_job_has_no_trials(client: TestClient, path: str) -> None:
    assert problem(client.get(f"/v1/jobs/{uuid4()}/{path}"), 404)["type"] == "urn:stride:job-not-found"


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=" + "9" * 5000,
        "limit=1e999",
        "limit=%00",
        "cursor=%00",
        "cursor=" + "x" * 501,
        "cursor=%ff",
        "cursor=eyJhIjoxfQ",
        "state=nonsense",
        "state=%00",
        "label=team",
        "label=%00:x",
        "label=a:%00",
        "label=" + quote("a:b") * 30,
        "&".join(["label=a:b"] * 21),
    ],
    ids=lambda text: text[:20],
)
def test_a_wrong_query_is_refused(client: TestClient, query: str) -> None:
    if query.startswith("label=a%3Ab"):
        assert client.get(f"/v1/jobs?{query}").status_code == 200  # one odd label
    else:
        problem(client.get(f"/v1/jobs?{query}"), 422)


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("objective=", "/objective"),
        ("objective=nonsense", "/objective"),
        ("objective=%00", "/objective"),
        ("objective=" + "x" * 201, "/objective"),
        ("objective=quadratic&metric=nonsense", "/metric"),
        ("objective=quadratic&metric=validation_accuracy", "/metric"),
        ("metric=nonsense", "/metric"),
        ("metric=%00", "/metric"),
        ("label=team", "/label/0"),
        ("label=a:b&label=%00:x", "/label/1"),
        ("&".join(["label=a:b"] * 21), "/label"),
        ("limit=0", "/limit"),
        ("limit=101", "/limit"),
    ],
    ids=lambda text: text[:40],
)
def test_a_wrong_question_across_jobs_is_refused(client: TestClient, query: str, where: str) -> None:
    assert faults(client.get(f"/v1/best-lr?{query}")).keys() == {where}


def test_an_unknown_name_across_jobs_is_answered_with_those_that_are_known(client: TestClient) -> None:
    assert "quadratic" in faults(client.get("/v1/best-lr?objective=nonsense"))["/objective"]
    of_objective = faults(client.get("/v1/best-lr?objective=quadratic&metric=nonsense"))["/metric"]
    assert of_objective == "quadratic has no metric 'nonsense'; it has: loss, score"
    assert faults(client.get("/v1/best-lr?metric=nonsense"))["/metric"].startswith("there is no metric 'nonsense'; there are: ")


@pytest.mark.parametrize(
    "position", [[], ["x" * 64, "0.5", "0.0", str(uuid4())], ["x", "nan", "0.0", str(uuid4())], ["x", "0", "0", "7"]]
)
def test_a_cursor_across_jobs_that_was_not_issued_is_refused(client: TestClient, position: list[str]) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")
    assert problem(client.get(f"/v1/best-lr?cursor={cursor}"), 422)["type"] == "urn:stride:invalid-cursor"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE"])
def test_a_method_that_a_path_does_not_take_is_a_405_that_says_which_it_takes(client: TestClient, method: str) -> None:
    answer = client.request(method, "/v1/jobs")
    assert method in problem(answer, 405)["detail"]
    assert answer.headers["allow"]


def test_nothing_lies_at_an_unknown_path(client: TestClient) -> None:
    assert problem(client.get("/v1/nothing"), 404)["detail"] == "There is nothing at /v1/nothing; /docs lists what there is."
