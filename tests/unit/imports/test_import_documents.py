"""The request that is made of a log: the job that its runs are trials of."""

import math
from typing import Any

import pytest

from objectives.contract import DataProblem
from service.domain.imported import ImportRequest
from service.imports.document import Named, Wanted, document_of
from service.imports.run import Ending, Log, Measured, Run


def a_run(lr: float, loss: float | None = 1.0, *, n: int = 1, ending: Ending = "completed", **of: Any) -> Run:
    steps = [] if loss is None else [Measured(step=step, metrics={"loss": loss}) for step in range(1, n + 1)]
    seed, has_steps = of.pop("seed", None), of.pop("has_steps", True)
    params = {"lr": lr, **of}
    return Run(where=f"runs.csv, {lr}", params=params, steps=steps, has_steps=has_steps, ending=ending, seed=seed)


def a_log(*runs: Run, **of: Any) -> Log:
    return Log(**({"source": "runs.csv", "runs": runs, "learning_rate": "lr", "metric": "loss", "direction": "minimize"} | of))


def made(*runs: Run, wanted: Wanted | None = None, **of: Any) -> Any:
    document = document_of(a_log(*runs, **of), wanted or Wanted())
    ImportRequest.model_validate(document)
    return document


def test_what_was_tried_becomes_ranges_with_roles() -> None:
    sizes, decays = (16, 32, 64), [0.0, *(1e-5 * 10 ** (step / 4) for step in range(11))]
    runs = [
        a_run(10.0 ** -(1 + index % 5), batch_size=sizes[index % 3], weight_decay=decays[index], net="cnn", seed=index)
        for index in range(12)
    ]
    document = made(*runs)
    assert (document["source"], document["job"]["name"]) == ("runs.csv", "runs.csv")
    lr, batch_size, weight_decay, net = document["job"]["objective"]["parameters"]
    assert (lr["role"], lr["space"]) == ("learning_rate", {"type": "float", "low": 1e-5, "high": 0.1, "log": True})
    assert (batch_size["role"], batch_size["type"]) == ("batch_size", "int")
    assert batch_size["space"] == {"type": "categorical", "choices": [16, 32, 64]}
    assert weight_decay["space"] == {"type": "float", "low": 0.0, "high": decays[-1]}, "0 is not on a logarithmic scale"
    assert (net["default"], net["choices"], "space" in net) == ("cnn", ["cnn"], False)
    assert [trial["seed"] for trial in document["trials"]] == list(range(12))
    assert "training_seed" not in document["job"]


def test_one_seed_for_all_makes_a_job_that_shares_it() -> None:
    job = made(a_run(0.1, seed=42), a_run(0.2, seed=42))["job"]
    assert (job["seed"], job["training_seed"]) == (42, "shared")


@pytest.mark.parametrize(
    ("runs", "steps"),
    [
        ([a_run(0.1, n=3), a_run(0.2, n=3), a_run(1.0, math.nan, n=1)], 3),
        ([a_run(0.1, n=3, epochs=3), a_run(0.2, n=5, epochs=5), a_run(0.3, n=2, epochs=9, ending="pruned")], "epochs"),
        ([a_run(0.1, n=3), a_run(0.2, n=5)], None),
    ],
)
def test_the_number_of_steps_is_what_completed_runs_show(runs: list[Run], steps: object) -> None:
    assert made(*runs)["job"]["objective"]["steps"] == steps


def test_one_value_of_a_run_stands_at_its_end() -> None:
    runs = [a_run(0.1, has_steps=False, epochs=3), a_run(0.2, has_steps=False, epochs=5)]
    document = made(*runs)
    assert [trial["measurements"][0]["step"] for trial in document["trials"]] == [3, 5]
    assert document["job"]["objective"]["steps"] == "epochs"
    fixed = Named(name="mine", learning_rate="lr", types={}, duration="rounds")
    runs = [a_run(rate, has_steps=False, rounds=7) for rate in (0.1, 0.2)]
    assert made(*runs, wanted=Wanted(objective=fixed))["trials"][1]["measurements"][0]["step"] == 7
    unknown = made(a_run(0.1, has_steps=False), a_run(0.2, has_steps=False))
    assert unknown["job"]["objective"]["steps"] is None
    assert [trial["measurements"][0]["step"] for trial in unknown["trials"]] == [1, 1]


def test_what_json_has_no_number_for_is_text() -> None:
    trials = made(a_run(0.1), a_run(0.2, math.nan), a_run(0.3, -math.inf))["trials"]
    assert [trial["measurements"][0]["metrics"]["loss"] for trial in trials] == [1.0, "NaN", "-Infinity"]


def test_an_objective_of_the_catalog_gives_names_and_types() -> None:
    named = Named(name="digits", learning_rate="learning_rate", types={"learning_rate": "float", "momentum": "float"})
    runs = [a_run(0.1, momentum=0, seed=1), a_run(0.2, momentum=1)]
    job = made(*runs, wanted=Wanted(objective=named, settings={"model": "cnn"}))["job"]
    assert job["objective"] == {"name": "digits", "settings": {"model": "cnn"}}
    assert job["search_space"]["learning_rate"]["low"] == 0.1
    assert list(map(type, job["search_space"]["momentum"]["choices"])) == [float, float]


@pytest.mark.parametrize(
    ("runs", "space", "said"),
    [
        ([a_run(0.1)], {}, "runs.csv has one run only"),
        ([a_run(0.1, math.nan), a_run(0.2, None, ending="diverged")], {}, "No run of runs.csv has a finite loss"),
        ([a_run(0.1), a_run(0.2)], {"lr": {"type": "float", "low": 0.1, "high": 0.15}}, "runs.csv, 0.2: lr is 0.2, which"),
        ([a_run(0.1), a_run(0.2)], {"lr": {"type": "float", "low": 1.0, "high": 0.1}}, "--param lr: the range is empty"),
        ([a_run(0.1), a_run(0.1)], {}, "All runs of runs.csv have the same lr: nothing can be compared"),
        (
            [a_run(0.1), a_run(0.2)],
            {"lr": {"type": "float", "low": 0.0, "high": 1.0}},
            "has lr searched from 0, and a learning rate",
        ),
        ([a_run(0.1), a_run(0.2)], {"mu": 0.9}, "--param mu is no parameter of these runs, which have lr"),
    ],
)
def test_runs_that_show_nothing_and_ranges_that_do_not_hold_them_are_refused(
    runs: list[Run], space: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataProblem) as refused:
        made(*runs, wanted=Wanted(space=space))
    assert said in str(refused.value)


def test_ranges_of_numbers_may_be_written_in_whole_numbers() -> None:
    ranges = {"lr": {"type": "int", "low": 1, "high": 10, "log": True}, "dropout": {"type": "int", "low": 0, "high": 1}}
    lr, dropout = made(a_run(2.0, dropout=0.5), a_run(3.0, dropout=1), wanted=Wanted(space=ranges))["job"]["objective"][
        "parameters"
    ]
    assert (lr["space"], lr["type"]) == ({"type": "float", "low": 1.0, "high": 10.0, "log": True}, "float")
    assert (dropout["space"], dropout["type"]) == ({"type": "float", "low": 0.0, "high": 1.0}, "float")
