from typing import Any

import pytest

from objectives.catalog import load_catalog
from service.api.submission import complete, warnings_of
from service.domain.request import DEFAULT_TRIALS, JobRequest
from service.domain.space import FloatRange
from service.domain.spec import JobSpec
from service.errors import InvalidJob, pointer
from tests.factories import job_spec

CATALOG = load_catalog(["tests.quadratic"])
LOG = {"type": "float", "low": 1e-4, "high": 0.1, "log": True}


def job(**overrides: Any) -> JobRequest:
    return JobRequest.model_validate({"objective": {"name": "quadratic"}} | overrides)


def completed(**overrides: Any) -> JobSpec:
    return complete(job(**overrides), CATALOG)


def faults(**overrides: Any) -> dict[str, str]:
    with pytest.raises(InvalidJob) as caught:
        complete(job(**overrides), CATALOG)
    return {fault.pointer: fault.detail for fault in caught.value.faults}


def test_a_job_of_nothing_but_its_objective_takes_every_default() -> None:
    spec = complete(job(), CATALOG)
    assert isinstance(spec.search_space["learning_rate"], FloatRange)
    assert spec.search_space["epochs"] == 4
    assert spec.objective.settings == {"epoch_s": 0.0}
    assert spec.budget.trials == DEFAULT_TRIALS
    assert (spec.metric, spec.direction) == ("loss", "minimize")


def test_a_parameter_left_out_of_the_search_space_takes_its_default_value() -> None:
    assert completed(search_space={"learning_rate": LOG}).search_space == {
        "learning_rate": FloatRange(**LOG),
        "epochs": 4,
        "momentum": 0.9,
        "mode": "plain",
    }


def test_a_whole_number_fixes_a_float_as_a_float() -> None:
    value = completed(search_space={"learning_rate": LOG, "momentum": 0}).search_space["momentum"]
    assert (value, type(value)) == (0.0, float)


def test_a_setting_of_whole_numbers_is_one_however_it_is_written() -> None:
    settings = {"dataset": "digits", "width": 64.0, "microbatch_size": 8.0, "milestones": [0.25]}
    space = {"schedule": "multi-step", "learning_rate": LOG}
    document = {"objective": {"name": "image-classification", "settings": settings}, "search_space": space}
    spec = complete(JobRequest.model_validate(document), CATALOG)
    found = [spec.objective.settings[name] for name in ("width", "microbatch_size", "milestones")]
    assert found == [64, 8, [0.25]]
    assert [type(value) for value in found] == [int, int, list]


def test_the_direction_is_the_metrics() -> None:
    assert complete(job(metric="score"), CATALOG).direction == "maximize"


def test_a_grid_needs_no_budget_and_plans_its_points() -> None:
    budget = completed(strategy="grid", search_space={"learning_rate": LOG | {"points": 9}, "epochs": 4}).budget
    assert budget.trials == 9


def test_a_grids_budget_is_at_most_its_size() -> None:
    space = {"learning_rate": LOG | {"points": 9}}
    for given, planned in ((4, 4), (100, 9)):
        budget = completed(strategy="grid", search_space=space, budget={"trials": given}).budget
        assert budget.trials == planned


def test_every_default_space_makes_a_grid() -> None:
    for name in CATALOG:
        complete(JobRequest.model_validate({"objective": {"name": name}, "strategy": "grid"}), CATALOG)


LINEAR = {"type": "float", "low": 1e-4, "high": 1.0}


@pytest.mark.parametrize(
    ("rates", "says"),
    [
        (LINEAR, 'linear from 0.0001 to 1: half of it lies above 0.50005, and low rates are hardly tried; set "log": true'),
        (LINEAR | {"high": 0.0020001}, 'set "log": true'),
        (LINEAR | {"low": 0.0}, 'set "log": true, and low above 0'),
        (LINEAR | {"low": 0.0, "high": 1e-4}, 'set "log": true, and low above 0'),
        (LINEAR | {"low": 1e-300, "high": 1.7e308}, 'set "log": true'),
        (LINEAR | {"step": 0.001}, 'set "log": true, and leave step out'),
        (LINEAR | {"points": 9}, 'set "log": true'),
    ],
)
def test_a_wide_linear_range_of_rates_is_warned_of(rates: dict[str, Any], says: str) -> None:
    [warning] = warnings_of(job_spec(search_space={"learning_rate": rates}))
    assert warning.pointer == "/search_space/learning_rate"
    assert warning.detail.endswith(says)


@pytest.mark.parametrize(
    "space",
    [
        {"learning_rate": LOG},
        {"learning_rate": LINEAR | {"high": 0.002}},
        {"learning_rate": {"type": "categorical", "choices": [1e-4, 1.0]}},
        {"learning_rate": 0.01, "epochs": {"type": "int", "low": 1, "high": 100}},
        {"learning_rate": LOG, "momentum": {"type": "float", "low": 0.0, "high": 0.9}},
        None,
    ],
)
def test_other_search_spaces_are_not_warned_of(space: dict[str, Any] | None) -> None:
    assert warnings_of(completed(search_space=space)) == []


def test_no_default_search_space_is_warned_of() -> None:
    for name in CATALOG:
        spec = complete(JobRequest.model_validate({"objective": {"name": name}}), CATALOG)
        assert warnings_of(spec) == []


@pytest.mark.parametrize(
    ("overrides", "where", "says"),
    [
        ({"objective": {"name": "nonsense"}}, "/objective/name", "there is no objective 'nonsense'; there are: few-shot-class"),
        ({"metric": "nonsense"}, "/metric", "quadratic has no metric 'nonsense'; it has: loss, score"),
        ({"objective": {"name": "quadratic", "settings": {"foo": 1}}}, "/objective/settings/foo", "it has: epoch_s"),
        ({"objective": {"name": "quadratic", "settings": {"epoch_s": -1}}}, "/objective/settings/epoch_s", "minimum of 0"),
        ({"objective": {"name": "quadratic", "settings": {"epoch_s": "x"}}}, "/objective/settings/epoch_s", "type 'number'"),
        (
            {"objective": {"name": "image-classification", "settings": {"dataset": "mnist"}}},
            "/objective/settings/path",
            "must be given with these settings: File or folder of a data set",
        ),
        (
            {"objective": {"name": "image-classification", "settings": {"dataset": "mnist", "path": None}}},
            "/objective/settings/path",
            "must be given with these settings: File or folder of a data set",
        ),
        (
            {"objective": {"name": "fine-tuning", "settings": {"pretrained": "file"}}},
            "/objective/settings/checkpoint",
            "must be given with these settings: File with the weights",
        ),
        (
            {"objective": {"name": "image-classification", "settings": {"threads": None}}},
            "/objective/settings/threads",
            "null is not of type 'integer'",
        ),
        (
            {"objective": {"name": "image-classification"}, "search_space": {"nesterov": 1}},
            "/search_space/nesterov",
            "1 is not one of false, true",
        ),
        (
            {"objective": {"name": "image-classification", "settings": {"threads": 257}}},
            "/objective/settings/threads",
            "257 is greater than the maximum of 256",
        ),
        (
            {"objective": {"name": "reinforcement-learning", "settings": {"environment": "os:CartPole-v1"}}},
            "/objective/settings/environment",
            "'os:CartPole-v1' is not one: Id in Gymnasium, with its version, such as CartPole-v1,",
        ),
        ({"search_space": {"nonsense": 1}}, "/search_space/nonsense", "it has: epochs, learning_rate, mode, momentum"),
        ({"search_space": {"a/b~c": 1}}, "/search_space/a~1b~0c", "has no parameter"),
        ({"search_space": {"learning_rate": "fast"}}, "/search_space/learning_rate", "'fast' is not a number"),
        ({"search_space": {"learning_rate": True}}, "/search_space/learning_rate", "true is not a number"),
        ({"search_space": {"learning_rate": 0.0}}, "/search_space/learning_rate", "0.0 must be above 0"),
        ({"search_space": {"learning_rate": LOG, "momentum": 1.0}}, "/search_space/momentum", "1.0 must be below 1"),
        ({"search_space": {"learning_rate": LOG, "epochs": 0}}, "/search_space/epochs", "0 must be at least 1"),
        ({"search_space": {"learning_rate": LOG, "epochs": 2.5}}, "/search_space/epochs", "2.5 is not a whole number"),
        ({"search_space": {"learning_rate": LOG, "mode": "odd"}}, "/search_space/mode", "'odd' is not one of 'plain', 'fancy'"),
        ({"search_space": {"epochs": {"type": "float", "low": 1, "high": 2}}}, "/search_space/epochs", "cannot be of type float"),
        ({"search_space": {"mode": {"type": "int", "low": 1, "high": 2}}}, "/search_space/mode", "must be of type categorical"),
        (
            {"search_space": {"learning_rate": LOG, "mode": {"type": "categorical", "choices": ["plain", "odd"]}}},
            "/search_space/mode",
            "'odd' is not one of",
        ),
        ({"search_space": {"learning_rate": 0.1}}, "/search_space", "nothing is left to search"),
        ({"budget": {}}, "/budget", "would never end: give trials, seconds or a target"),
        ({"budget": {"failures": 3}}, "/budget", "would never end"),
        (
            {"strategy": {"type": "bayesian", "sampler": "gp"}, "pruner": "median"},
            "/pruner",
            "the gp sampler does not see pruned trials",
        ),
        (
            {"search_space": {"learning_rate": {"type": "float", "low": 1e-5, "high": 1.7976931348623157e308, "step": 1e300}}},
            "/search_space/learning_rate",
            "is wider than the largest number",
        ),
        ({"strategy": "grid", "search_space": {"learning_rate": LOG}}, "/search_space/learning_rate", "needs a step, or a"),
        ({"strategy": "grid", "try_first": [{"learning_rate": 0.01}]}, "/try_first", "a grid visits exactly its own points"),
        (
            {"strategy": "grid", "search_space": {"epochs": {"type": "int", "low": 1, "high": 2**53}}},
            "/search_space",
            "points, more than 100000",
        ),
        ({"try_first": [{"learning_rate": 7.0}]}, "/try_first/0/learning_rate", "outside the range of the search space, 1e-05"),
        ({"try_first": [{}, {"nonsense": 1}]}, "/try_first/1/nonsense", "is not a parameter of the search space, which has"),
        ({"try_first": [{"epochs": 5}]}, "/try_first/0/epochs", "is fixed at 4"),
        ({"try_first": [{}, {}], "budget": {"trials": 1}}, "/try_first", "2 points are more than the budget of 1 trials"),
        (
            {"try_first": [{}, {}], "replicates": 3, "budget": {"trials": 5}},
            "/try_first",
            "2 points with 3 seeds each are more than the budget of 5 trials",
        ),
        (
            {"try_first": [{}] * 11, "replicates": 100, "budget": {"seconds": 9}},
            "/try_first",
            "11 points with 100 seeds each are more than 1000 trials",
        ),
        (
            {"strategy": "grid", "replicates": 11, "search_space": {"epochs": {"type": "int", "low": 1, "high": 100_000}}},
            "/replicates",
            "100000 points with 11 seeds each are more than 1000000 trials",
        ),
    ],
)
def test_each_fault_is_pointed_to_with_what_would_be_right(overrides: dict[str, Any], where: str, says: str) -> None:
    found = faults(**overrides)
    assert where in found, found
    assert says in found[where]


@pytest.mark.parametrize(("asked_for", "trials"), [(None, 27), (27, 27), (28, 27), (10, 10), (1_000_000, 27)])
def test_the_trials_of_a_grid_are_its_points_times_its_replicates(asked_for: int | None, trials: int) -> None:
    space = {"learning_rate": LOG | {"points": 9}}
    spec = completed(strategy="grid", search_space=space, replicates=3, budget={"trials": asked_for})
    assert spec.budget.trials == trials


def test_points_to_try_first_with_all_their_seeds_may_be_the_whole_budget() -> None:
    assert completed(try_first=[{}, {}], replicates=3, budget={"trials": 6}).replicates == 3


def test_the_default_budget_is_the_same_with_replicates() -> None:
    spec = completed(replicates=3)
    assert (spec.replicates, spec.budget.trials) == (3, DEFAULT_TRIALS)
    assert completed().replicates == 1


def test_all_faults_are_told_at_once() -> None:
    wrong = {
        "metric": "x",
        "search_space": {"foo": 1, "momentum": 2.0},
        "objective": {"name": "quadratic", "settings": {"bar": 1}},
    }
    assert faults(**wrong).keys() == {
        "/metric",
        "/search_space/foo",
        "/search_space/momentum",
        "/objective/settings/bar",
    }


def test_a_pointer_escapes_what_json_pointers_escape() -> None:
    assert pointer("a/b", 0, "~") == "/a~1b/0/~0"
    assert pointer() == ""


def test_gp_is_refused_ranges_with_more_values_than_it_can_list() -> None:
    gp = {"strategy": {"type": "bayesian", "sampler": "gp"}}
    wide = {"type": "int", "low": 1, "high": 50_000_000}
    found = faults(search_space={"learning_rate": LOG, "epochs": wide}, **gp)
    assert list(found) == ["/search_space/epochs"]
    assert "50000000 values" in found["/search_space/epochs"]
    assert completed(search_space={"learning_rate": LOG, "epochs": {"type": "int", "low": 1, "high": 100}}, **gp)
    assert completed(search_space={"learning_rate": LOG, "epochs": wide}, strategy="bayesian")


@pytest.mark.parametrize(
    ("of_range", "only"),
    [
        ({"type": "float", "low": 0.1, "high": 0.2, "step": 1.0}, "0.1"),
        ({"type": "float", "low": 1e-9, "high": 2e-9, "step": 1.5e-9}, "1e-09"),
        ({"type": "float", "low": 0.1, "high": 0.2, "step": 0.1000001}, "0.1"),
    ],
)
def test_a_step_that_is_larger_than_its_range_is_refused(of_range: dict[str, Any], only: str) -> None:
    said = f"the range holds one value only, its step is larger: write {only} instead to fix the parameter"
    assert faults(search_space={"learning_rate": of_range}) == {"/search_space/learning_rate": said}


def test_so_it_is_where_numbers_are_whole() -> None:
    said = "the range holds one value only, its step is larger: write 2 instead to fix the parameter"
    of_range = {"type": "int", "low": 2, "high": 4, "step": 3}
    assert faults(search_space={"learning_rate": LOG, "epochs": of_range}) == {"/search_space/epochs": said}
    assert completed(search_space={"learning_rate": LOG, "epochs": of_range | {"step": 2}})
    assert completed(search_space={"learning_rate": {"type": "float", "low": 0.1, "high": 0.3, "step": 0.2}})


@pytest.mark.parametrize(
    ("of_range", "value", "said"),
    [
        (LOG, "0.01", "'0.01' is not a number of the search space, 0.0001 to 0.1"),
        (LOG, True, "true is not a number of the search space, 0.0001 to 0.1"),
        (LOG, 0.2, "0.2 lies outside the range of the search space, 0.0001 to 0.1"),
        (
            {"type": "float", "low": 1e-9, "high": 1e-8, "step": 1e-9},
            1.5e-9,
            "1.5e-09 lies between the steps of the search space, 1e-09 to 1e-08 in steps of 1e-09",
        ),
        (
            {"type": "int", "low": 1, "high": 9, "step": 4},
            3,
            "3 lies between the steps of the search space, whole numbers 1 to 9 in steps of 4",
        ),
        ({"type": "int", "low": 1, "high": 9}, 2.0, "2.0 is not a whole number of the search space, whole numbers 1 to 9"),
        ({"type": "categorical", "choices": [0.1, 1]}, 2, "2.0 is not one of the choices of the search space, 0.1 or 1.0"),
    ],
)
def test_why_a_point_of_ones_own_is_not_in_the_search_space_is_said(of_range: dict[str, Any], value: Any, said: str) -> None:
    found = faults(search_space={"learning_rate": of_range}, try_first=[{"learning_rate": value}], budget={"trials": 3})
    assert found == {"/try_first/0/learning_rate": said}


def test_a_whole_number_among_the_choices_of_a_float_is_a_float() -> None:
    for written in (0, 0.0):
        spec = completed(
            search_space={
                "learning_rate": LOG,
                "momentum": {"type": "categorical", "choices": [0, 0.5]},
                "epochs": {"type": "categorical", "choices": [1, 2]},
            },
            try_first=[{"momentum": written, "epochs": 1}],
            budget={"trials": 3},
        )
        assert [repr(choice) for choice in spec.search_space["momentum"].choices] == ["0.0", "0.5"]  # type: ignore[union-attr]
        assert [repr(choice) for choice in spec.search_space["epochs"].choices] == ["1", "2"]  # type: ignore[union-attr]
        assert repr(spec.try_first[0]) == "{'momentum': 0.0, 'epochs': 1}"


def test_choices_that_are_one_float_are_refused() -> None:
    large = {"type": "categorical", "choices": [2**53, 2**53 + 1]}
    assert faults(search_space={"learning_rate": large}) == {
        "/search_space/learning_rate": "the choices must differ from each other"
    }
