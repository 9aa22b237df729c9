"""Whatever an objective calls its parameters, jobs are read by what it declares of them: the same trials, the same answer."""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from service.analysis.answer.best_lr import answered
from service.analysis.answer.other_batch_sizes import scaled
from service.analysis.comparison.comparison import compare
from service.analysis.comparison.recipes import faults, recipes
from service.analysis.comparison.trade_off import trade_off
from service.analysis.comparison.tuned import Finished
from service.api.meaning import meaning_of
from service.domain.job import Job
from service.domain.meaning import Meaning
from service.domain.spec import JobSpec
from service.errors import StrideError
from service.search.preview import steps_per_trial
from tests.factories import MEANING
from tests.finished_jobs import RATE, a_job
from tests.other_names import OTHER_NAMES
from tests.unit.analysis.made_up_jobs import made_up

NEW = "renamed_"
"""Before every name: their order, in which parameters are asked for, stays as it is."""
RENAMED = Meaning(
    step_word=MEANING.step_word,
    parameters={NEW + name: known for name, known in MEANING.parameters.items()},
    measure=tuple(NEW + name for name in MEANING.measure),
    measured_with={metric: tuple(NEW + name for name in names) for metric, names in MEANING.measured_with.items()},
    threads=NEW + str(MEANING.threads),
)


def renamed_job(job: Job) -> Job:
    spec = renamed_spec(job.spec)
    return replace(job, spec=spec, phases=(replace(job.phase, spec=spec),))


def renamed_spec(spec: JobSpec) -> JobSpec:
    settings = {NEW + name: value for name, value in spec.objective.settings.items()}
    objective = spec.objective.model_copy(update={"settings": settings})
    space = {NEW + name: dimension for name, dimension in spec.search_space.items()}
    return spec.model_copy(update={"objective": objective, "search_space": space, "meaning": RENAMED})


def renamed(finished: Finished) -> Finished:
    trials = [replace(trial, params={NEW + name: value for name, value in trial.params.items()}) for trial in finished.trials]
    return replace(finished, job=renamed_job(finished.job), trials=trials)


def made(seed: int) -> Finished:
    job, trials, curves = made_up(seed)
    return Finished(job=replace(job, id=UUID(int=seed + 1)), trials=trials, curves=curves)


def said(finished: Finished) -> str:
    """All that is said of a job: its answer, how that goes with the batch size, and its configurations beside each other."""
    of = answered(finished.job, finished.trials, finished.curves)
    found: list[Any] = [of.answer.model_dump(mode="json"), steps_per_trial(finished.job.spec)]
    try:
        found.append(scaled(finished.job, of, batch_size=256).model_dump(mode="json"))
    except StrideError as none:
        found.append(str(none))
    found.append(trade_off(finished).model_dump(mode="json") if of.answer.best_trial else None)
    return json.dumps(found).replace(NEW, "")


def said_beside_each_other(several: list[Finished]) -> str:
    try:
        return repr(compare(several, 0.01)).replace(NEW, "")
    except StrideError as problem:
        return repr(problem).replace(NEW, "")


def searches_more(seed: int) -> bool:
    """Whether a job searches other parameters beside the rate."""
    return len(made(seed).job.spec.search_space) > 1


RATE_ALONE = [seed for seed in range(60) if not searches_more(seed)][:8]
"""They have one name to change."""


@pytest.mark.parametrize("seed", [*RATE_ALONE, *(seed for seed in range(60) if searches_more(seed))])
def test_other_names_change_nothing_in_an_answer(seed: int) -> None:
    finished = made(seed)
    try:
        expected = said(finished)
    except StrideError as problem:
        with pytest.raises(type(problem)):
            said(renamed(finished))
        return
    assert said(renamed(finished)) == expected


def test_other_names_change_nothing_in_a_comparison() -> None:
    jobs = [each for seed in range(40) if (each := made(seed)).job.spec.direction == "minimize"][:12]
    compared = 0
    for several in (jobs[at : at + 3] for at in range(0, len(jobs) - 2, 3)):
        expected = said_beside_each_other(several)
        assert said_beside_each_other([renamed(each) for each in several]) == expected
        compared += "because" in expected
    assert compared == 3, "and of three jobs too few can be"
    assert {"epochs", "batch_size", "dropout", "optimizer"} <= {name for each in jobs for name in each.job.spec.search_space}


def test_every_kind_of_parameter_has_been_renamed() -> None:
    names = {name for seed in range(60) for name in made(seed).job.spec.search_space}
    assert {"learning_rate", "batch_size", "momentum", "optimizer", "epochs"} <= names


OTHER = meaning_of(OTHER_NAMES)


def other_job(number: int, *, settings: dict[str, Any] | None = None, metric: str = "reward", **space: Any) -> Job:
    objective = {"name": "other-names", "settings": {"arena": "small"} | (settings or {})}
    space = {"lr": RATE} | space
    return a_job(number, objective=objective, metric=metric, direction="maximize", search_space=space, meaning=OTHER)


def test_jobs_that_differ_in_what_defines_the_measure_are_not_compared() -> None:
    [fault] = faults([other_job(0), other_job(1, settings={"arena": "large"})])
    assert fault.pointer == "/jobs/1"
    assert fault.detail.endswith("it has arena 'large' where the first job has 'small'")


def test_a_parameter_may_define_the_measure_of_one_metric_alone() -> None:
    assert faults([other_job(0, penalty=0.1), other_job(1, penalty=0.2)]) == []
    by_regret = [other_job(number, metric="regret", penalty=penalty) for number, penalty in enumerate((0.1, 0.2))]
    [fault] = faults(by_regret)
    assert fault.detail.endswith("it has penalty 0.2 where the first job has 0.1")
    searched = other_job(2, metric="regret", penalty={"type": "float", "low": 0.0, "high": 1.0})
    said = {fault.detail for fault in faults([searched, searched])}
    assert said == {"it searches penalty, so its trials do not measure the same regret"}


def test_neither_the_rate_nor_a_seed_is_part_of_a_recipe() -> None:
    jobs = [other_job(0, rule="plain", draw=0), other_job(1, rule="fancy", draw=1, lr=0.1)]
    assert recipes(jobs) == [{"rule": "plain"}, {"rule": "fancy"}]
