"""Which jobs are answered as one, and what their answer rests on."""

import random
from typing import Any

import pytest

from service.analysis.answer.across_jobs import Brief, SameMeasure, brief_or_why_not, by_measure, in_brief
from service.analysis.answer.best_lr import answer
from service.domain.job import Job, JobState
from service.domain.trial import Trial, TrialState
from tests.factories import MEANING
from tests.finished_jobs import a_job, trial
from tests.unit.analysis.trials import LOG, bowl, diverged, job, trained

ONE = [trial(0, 0.01, 0.5)]


def measures(*jobs: tuple[Job, list[Trial]]) -> list[SameMeasure]:
    return by_measure([in_brief(job, trials) for job, trials in jobs])


def with_settings(**settings: Any) -> tuple[Job, list[Trial]]:
    return job(objective={"name": "quadratic", "settings": settings}), ONE


def with_space(**space: Any) -> tuple[Job, list[Trial]]:
    return job(search_space={"learning_rate": LOG} | space), ONE


def is_one_item(*jobs: tuple[Job, list[Trial]]) -> bool:
    return [len(measure.recipes) for measure in measures(*jobs)] == [1]


def test_jobs_that_differ_in_the_rates_the_search_and_the_seeds_have_one_recipe() -> None:
    narrow = {"type": "float", "low": 0.001, "high": 0.1, "log": True}
    jobs = [
        job(search_space={"learning_rate": LOG, "epochs": 4}),
        job(search_space={"learning_rate": narrow, "epochs": 4}),
        job(search_space={"learning_rate": 0.01, "epochs": 4}),
        job(search_space={"learning_rate": LOG, "epochs": 4}, strategy="grid", budget={"trials": 99}, seed=7, name="another"),
    ]
    [measure] = measures(*((one, ONE) for one in jobs))
    [same] = measure.recipes
    assert (same.measure, same.recipe) == ({"objective": "quadratic"}, {"epochs": 4})
    assert {brief.job.id for brief in same.briefs} == {one.id for one in jobs}


def test_a_parameter_that_is_searched_is_another_recipe_than_one_that_is_fixed_whatever_its_range() -> None:
    choices = {"type": "categorical", "choices": [16, 32]}
    assert is_one_item(with_space(batch_size=choices), with_space(batch_size=choices | {"choices": [16, 64]}))
    assert not is_one_item(with_space(batch_size=choices), with_space(batch_size=16))
    [measure] = measures(with_space(batch_size=choices))
    assert measure.recipes[0].recipe == {"batch_size": "searched"}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"width": 64}, {"width": 64.0}, True),
        ({"width": 64}, {"width": 32}, False),
        ({"width": None}, {}, True),
        ({"width": 1}, {"width": True}, False),
        ({"width": "64"}, {"width": 64}, False),
        ({"width": [1, {"a": 2.0, "b": 3}]}, {"width": [1.0, {"b": 3, "a": 2}]}, True),
        ({"width": [1, 2]}, {"width": [2, 1]}, False),
        ({"dataset": "digits"}, {"dataset": "wine"}, False),
        ({"fold": 0}, {"fold": 1}, False),
    ],
)
def test_values_are_the_same_as_json_has_it(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert is_one_item(with_settings(**one), with_settings(**other)) == same


def test_what_defines_the_measure_is_no_part_of_the_recipe() -> None:
    jobs = [with_settings(dataset=dataset, width=8) for dataset in ("wine", "digits")]
    found = measures(*jobs)
    assert [measure.recipes[0].measure for measure in found] == [
        {"objective": "quadratic", "dataset": "digits"},
        {"objective": "quadratic", "dataset": "wine"},
    ]
    assert [measure.recipes[0].recipe for measure in found] == [{"width": 8}] * 2
    assert len({measure.key for measure in found}) == 2


@pytest.mark.parametrize("other", [{"metric": "score"}, {"direction": "maximize"}, {"objective": {"name": "another"}}])
def test_another_metric_direction_or_objective_is_another_measure(other: dict[str, Any]) -> None:
    assert len(measures((job(), ONE), (job(**other), ONE))) == 2


def test_a_setting_of_the_name_objective_joins_no_objectives() -> None:
    meaning = job().spec.meaning.model_copy(update={"measure": ("objective",)})
    jobs = [job(objective={"name": name, "settings": {"objective": "x"}}, meaning=meaning) for name in ("one", "two")]
    assert len(measures(*((each, ONE) for each in jobs))) == 2


def test_the_order_of_the_jobs_changes_neither_keys_nor_order() -> None:
    jobs = [with_settings(dataset=dataset, width=width) for dataset in ("wine", "digits") for width in (1, 2, 3)]
    expected = [(measure.key, [same.job.id for same in measure.recipes]) for measure in measures(*jobs)]
    random.Random(1).shuffle(jobs)
    found = [(measure.key, [same.job.id for same in measure.recipes]) for measure in measures(*jobs)]
    assert [key for key, _ in found] == [key for key, _ in expected]
    assert [sorted(ids) for _, ids in found] == [sorted(ids) for _, ids in expected]


def the_item(*jobs: tuple[Job, list[Trial]]) -> list[Brief]:
    [measure] = measures(*jobs)
    [same] = measure.recipes
    return list(same.briefs)


def test_the_job_with_the_best_trial_is_answered_and_the_others_follow_best_first() -> None:
    jobs = [job() for _ in range(4)]
    values = [0.5, 0.2, -1e308, 0.3]
    briefs = the_item(*((each, [trial(0, 0.01, value)]) for each, value in zip(jobs, values, strict=True)))
    order = [jobs.index(brief.job) for brief in briefs]
    assert order[:1] + order[-1:] == [2, 0]
    maximized = [job(direction="maximize") for _ in range(2)]
    briefs = the_item(*((each, [trial(0, 0.01, value)]) for each, value in zip(maximized, (0.5, 0.2), strict=True)))
    assert [brief.job for brief in briefs] == maximized


def test_a_job_with_enough_trials_for_a_curve_is_answered_before_one_with_a_lucky_trial() -> None:
    lucky, many = job(), job()
    briefs = the_item((lucky, [trial(0, 0.01, 0.01)]), (many, trained(bowl(0.01), 16)))
    assert [brief.job for brief in briefs] == [many, lucky]


def test_a_value_that_is_nonsense_is_not_the_best_trial() -> None:
    jobs = [job(), job()]
    briefs = the_item((jobs[0], [trial(0, 0.1, -1e308), trial(1, 0.2, 0.7)]), (jobs[1], [trial(0, 0.01, 0.5)]))
    assert briefs[0].answer.learning_rate == 0.01


def test_where_all_jobs_diverged_the_lowest_rate_of_all_is_told() -> None:
    briefs = the_item((job(), [diverged(0, 0.1)]), (job(), [diverged(0, 0.001)]))
    assert briefs[0].answer.because == "every rate tried diverged, down to 0.001: look below it"


def test_the_answer_has_the_evidence_of_all_jobs() -> None:
    def seed(number: int) -> dict[str, int]:
        return {"training_seed": number}

    jobs = [job() for _ in range(3)]
    trials = [
        [trial(0, 0.1, 0.5, user_attrs=seed(1))],
        [trial(0, 0.01, 0.3, user_attrs=seed(2)), diverged(1, 0.9, user_attrs=seed(2))],
        [diverged(0, 0.9, user_attrs=seed(2))],
    ]
    [measure] = measures(*zip(jobs, trials, strict=True))
    [same] = measure.recipes
    found = same.answered(answer(jobs[1], trials[1]))
    assert found.answer.learning_rate == 0.01
    assert found.jobs[0] == found.answer.job == jobs[1].id
    assert set(found.jobs) == {each.id for each in jobs}
    evidence = found.answer.evidence
    assert (evidence.trials, evidence.infeasible, evidence.seeds) == (4, 2, 2)


def test_a_recipe_stands_by_its_expected_metric_and_not_by_its_luckiest_trial() -> None:
    steady, lucky = trained(bowl(0.01, floor=0.2), 24), [*trained(bowl(0.01, floor=0.4), 24), trial(99, 0.02, 0.1)]
    jobs = [job(search_space={"learning_rate": LOG, "epochs": epochs}) for epochs in (1, 2)]
    [measure] = measures((jobs[0], steady), (jobs[1], lucky))
    places = [same.place(answer(same.job, steady if same.job is jobs[0] else lucky)) for same in measure.recipes]
    by_trial = [same.briefs[0].place for same in measure.recipes]
    assert sorted(places) == places
    assert sorted(by_trial) == by_trial[::-1]


def test_of_a_metric_to_be_maximized_the_highest_expected_comes_first() -> None:
    trials = [trial(each.number, each.params["learning_rate"], -(each.value or 0)) for each in trained(bowl(0.01), 24)]
    worse = [trial(each.number, each.params["learning_rate"], (each.value or 0) - 1) for each in trials]
    jobs = [job(direction="maximize", search_space={"learning_rate": LOG, "epochs": epochs}) for epochs in (1, 2)]
    [measure] = measures((jobs[0], trials), (jobs[1], worse))
    better, other = (same.place(answer(same.job, trials if same.job is jobs[0] else worse)) for same in measure.recipes)
    assert better < other


@pytest.mark.parametrize(
    ("of", "trials", "why"),
    [
        ({"state": JobState.QUEUED}, [], "none of its trials has finished, and it is queued"),
        (
            {"state": JobState.CANCELLED, "reason": "cancelled by request"},
            [],
            "none of its trials has finished, and it is cancelled: cancelled by request",
        ),
        (
            {},
            [trial(0, 0.1, 0.3, TrialState.PRUNED)],
            "the only trial that ended has not trained to its end with a finite loss, at a rate above zero",
        ),
        (
            {"search_space": {"momentum": 0.9}},
            ONE,
            "the job's objective has no learning rate among its parameters, so there is no best one",
        ),
        (
            {"space": {"fold": {"type": "int", "low": 0, "high": 4}}},
            ONE,
            "it searches fold, so its trials do not measure the same loss",
        ),
    ],
    ids=["queued", "cancelled", "pruned", "no rate", "searches its measure"],
)
def test_a_job_without_an_answer_says_why(of: dict[str, Any], trials: list[Trial], why: str) -> None:
    assert brief_or_why_not(a_job(**of), trials) == why


def test_what_clients_train_is_the_same_where_the_settings_say_so() -> None:
    declared = {
        "name": "external",
        "parameters": [{"name": "learning_rate", "type": "float", "default": 0.1}],
        "metrics": [{"name": "loss", "direction": "minimize"}],
    }
    known = job(objective=declared | {"settings": {"model": "mlp"}}, meaning=MEANING.model_copy(update={"measure": ("model",)}))
    unknown = job(objective=declared)
    assert is_one_item((known, ONE), (known, ONE))
    assert len(measures((unknown, ONE), (job(objective=declared), ONE))) == 2
    assert measures((unknown, ONE))[0].recipes[0].measure == {"objective": "external", "job": str(unknown.id)}
