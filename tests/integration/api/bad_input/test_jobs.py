"""Whatever is wrong in a job is pointed at, and said in words."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.integration.api.asking import faults, problem


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
