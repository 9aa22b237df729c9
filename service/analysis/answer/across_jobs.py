"""The best learning rate of each recipe, across jobs. Neither recipes nor measures are mixed."""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from service.analysis.answer.best_lr import without_curve
from service.analysis.answer.tried import Tried, tried
from service.analysis.answer.verdict import judge_best
from service.analysis.model.encoding import learning_rate
from service.analysis.model.points import cost_of
from service.analysis.model.response_curve import FEWEST, FEWEST_RATES
from service.analysis.words import comparison as words
from service.domain.across_jobs import RecipeAnswer
from service.domain.answer import Answer, EvidenceView
from service.domain.job import Job
from service.domain.objective import ExternalObjective
from service.domain.recipe import defining, measured_with, recipe, searched_of_measure
from service.domain.trial import Trial
from service.errors import NoLearningRate, NothingFinished, StrideError

Place = tuple[float, float, str]
"""Sort key among recipes with one measure; lower is better: the cost, the lowest rate where all trials diverged, the job's id."""


@dataclass(frozen=True, kw_only=True)
class Brief:
    """A job's answer from its best trial, without a response curve. It holds no trials, since there may be many jobs."""

    job: Job
    answer: Answer
    place: Place
    has_curve: bool
    """Whether its trials are enough for a response curve."""
    training_seeds: frozenset[int]
    """Negative: a stand-in for a foreign trial that has no stored seed."""


@dataclass(frozen=True, kw_only=True)
class SameRecipe:
    """Jobs with one recipe and one measure."""

    measure: Mapping[str, Any]
    recipe: Mapping[str, Any]
    briefs: Sequence[Brief]
    """At least one. The first is of the job that is answered; the others follow best first."""

    @property
    def job(self) -> Job:
        """The job whose answer is given. Only its trials are fitted: a curve takes a hundred times as long as a brief answer."""
        return self.briefs[0].job

    def answered(self, answer: Answer) -> RecipeAnswer:
        """answer: of `job`."""
        spec = self.job.spec
        return RecipeAnswer(
            measure=dict(self.measure),
            recipe=dict(self.recipe),
            metric=spec.metric,
            direction=spec.direction,
            answer=answer if len(self.briefs) == 1 else answer.resting_on(_evidence(self.briefs)),
            jobs=tuple(brief.job.id for brief in self.briefs),
        )

    def place(self, answer: Answer) -> Place:
        """Where the recipe stands among others, by the expected metric if the answer has one, else by its best trial."""
        expected = answer.expected
        if expected is None or not math.isfinite(expected.mean):
            return self.briefs[0].place
        return self.job.spec.cost_sign * expected.mean, 0.0, str(self.job.id)


@dataclass(frozen=True, kw_only=True)
class SameMeasure:
    """Recipes whose metrics can be compared."""

    key: str
    """Identifies the measure."""
    recipes: Sequence[SameRecipe]


def in_brief(job: Job, trials: Sequence[Trial]) -> Brief:
    """The brief answer from a job's finished trials. Raises as `best_lr.answer` does."""
    of = tried(job, trials)
    cost = None if of.best is None else cost_of(job, of.best)
    # Where all trials diverged, the job that tried the lowest rate comes first.
    place = (math.inf, of.lowest_rate) if cost is None else (cost, 0.0)
    return Brief(
        job=job,
        answer=without_curve(of, judge_best(of)).answer,
        place=(*place, str(job.id)),
        has_curve=_has_curve(of),
        training_seeds=of.training_seeds,
    )


def brief_or_why_not(job: Job, trials: Sequence[Trial]) -> Brief | str:
    """The brief answer, or why the job has none."""
    if names := searched_of_measure(job):
        return words.searches_its_measure(names[0], job.spec.metric)
    try:
        return in_brief(job, trials)
    except NothingFinished as error:
        return _clause(error) if trials else words.nothing_finished(job)
    except NoLearningRate as error:
        return _clause(error)


def by_measure(briefs: Iterable[Brief]) -> list[SameMeasure]:
    """The jobs by measure and recipe. Measures are in the order of their objectives' names, settings and metrics."""
    measures: defaultdict[str, defaultdict[str, list[Brief]]] = defaultdict(lambda: defaultdict(list))
    for brief in briefs:
        measure, of_recipe, spec = _measure(brief.job), _recipe(brief.job), brief.job.spec
        # The name of the objective once more: a setting may have the name `objective`.
        measures[_text([spec.objective.name, measure, spec.metric, spec.direction])][_text(of_recipe)].append(brief)
    return [
        SameMeasure(key=sha256(text.encode()).hexdigest(), recipes=[_same_recipe(several) for several in recipes.values()])
        for text, recipes in sorted(measures.items())
    ]


def _same_recipe(several: Sequence[Brief]) -> SameRecipe:
    ordered = sorted(several, key=lambda brief: brief.place)
    first = min(ordered, key=lambda brief: (not brief.has_curve, brief.place))
    job = first.job
    return SameRecipe(
        measure=_measure(job), recipe=_recipe(job), briefs=[first, *(brief for brief in ordered if brief is not first)]
    )


def _measure(job: Job) -> dict[str, Any]:
    spec, objective = job.spec, job.spec.objective
    # What the clients of such a job train is told by its settings alone.
    own = {"job": str(job.id)} if isinstance(objective, ExternalObjective) and not objective.settings else {}
    return {"objective": objective.name} | own | _given(measured_with(job, defining([spec.meaning], spec.metric)))


def _recipe(job: Job) -> dict[str, Any]:
    of_measure = defining([job.spec.meaning], job.spec.metric)
    return {name: value for name, value in _given(recipe(job)).items() if name not in of_measure}


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without those that are null, which is the same as not given."""
    return {name: value for name, value in sorted(values.items()) if value is not None}


def _text(value: Any) -> str:
    """A text that is the same for equal JSON documents."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    """The value with 64.0 as 64: JSON has one kind of number, and clients write either."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _clause(error: StrideError) -> str:
    sentence = str(error)
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _has_curve(of: Tried) -> bool:
    rates = {learning_rate(trial.params, of.job.spec.meaning) for trial in of.complete}
    return len(of.complete) >= FEWEST and len(rates) >= FEWEST_RATES


def _evidence(several: Sequence[Brief]) -> EvidenceView:
    """Of all jobs. `hopeless` is 0: it would take a curve for each job."""
    each = [brief.answer.evidence for brief in several]
    return EvidenceView(
        trials=sum(one.trials for one in each),
        infeasible=sum(one.infeasible for one in each),
        pruned=sum(one.pruned for one in each),
        hopeless=0,
        seeds=_different_seeds(several),
    )


def _different_seeds(several: Sequence[Brief]) -> int | None:
    """How many there are; None where a job's are not known. Foreign trials without a stored seed have different ones."""
    if any(brief.answer.evidence.seeds is None for brief in several):
        return None
    named = {seed for brief in several for seed in brief.training_seeds if seed >= 0}
    return len(named) + sum(seed < 0 for brief in several for seed in brief.training_seeds)
