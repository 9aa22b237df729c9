"""best-lr across jobs: the best learning rate of each recipe."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from objectives.contract import Objective
from service.analysis.answer.across_jobs import (
    Brief,
    Place,
    SameMeasure,
    SameRecipe,
    by_measure,
)
from service.api import cursors
from service.api.dependencies import Answers, Catalog, Db
from service.api.faults import NO_NUL
from service.api.kept_answers import KeptAnswers
from service.api.labels import Labels, labels_of
from service.api.problems import documented
from service.domain.across_jobs import BestRates, LeftOut, RecipeAnswer
from service.domain.answer import Answer
from service.domain.job import Job
from service.domain.trial import Trial
from service.errors import Invalid, InvalidCursor, InvalidQuestion
from service.store import jobs, trial_reader
from service.store.postgres import Database

router = APIRouter(prefix="/v1", tags=["answers"])

Ranked = tuple[str, Place, RecipeAnswer]
"""An answer with its position: the measure's key, and the place within the measure."""


@router.get("/best-lr", responses=documented(422))
def best_learning_rates(
    database: Db,
    catalog: Catalog,
    answers: Answers,
    objective: Annotated[
        str | None, Query(min_length=1, max_length=200, pattern=NO_NUL, description="Only jobs with this objective.")
    ] = None,
    metric: Annotated[
        str | None, Query(min_length=1, max_length=200, pattern=NO_NUL, description="Only jobs with this metric.")
    ] = None,
    label: Labels = None,
    limit: cursors.Limit = 20,
    cursor: cursors.Cursor = None,
) -> BestRates:
    """The best learning rate of each recipe across jobs, best recipe first within each measure.

    Jobs are of one item if they have the same measure (objective, data, and all else that defines what the metric measures) and
    the same recipe (all other settings and parameters but the learning rate and seeds). Without a finished trial there are no
    items. The first request fits a response curve for each recipe of a measure, which takes 0.2 s or more.
    """
    after = cursors.place(cursor)
    with database.transaction() as conn:
        asked_about = jobs.matching(conn, objective=objective, metric=metric, labels=labels_of(label))
        n_finished = trial_reader.n_finished(conn, [job.study_id for job in asked_about])
        in_use = set() if asked_about else jobs.metrics_in_use(conn)
    if not asked_about:
        _check_names(catalog.all(), in_use, objective, metric)
    in_brief = [(job, _brief(database, answers, job, n_finished[job.study_id])) for job in asked_about]
    briefs = [brief for _, brief in in_brief if isinstance(brief, Brief)]
    page, is_last = _page(database, answers, by_measure(briefs), after, limit)
    return BestRates(
        items=tuple(item for _, _, item in page),
        next_cursor=None if is_last else cursors.encode(page[-1][0], *page[-1][1]),
        left_out=() if after else tuple(LeftOut(job=job.id, because=brief) for job, brief in in_brief if isinstance(brief, str)),
    )


def _brief(database: Database, answers: KeptAnswers, job: Job, n_finished: int) -> Brief | str:
    """The job's answer in brief, or why it has none."""

    def read() -> list[Trial]:
        # A transaction for each job: there may be more of them than can be read before a deadline.
        with database.transaction() as conn:
            return trial_reader.finished(conn, job)

    return answers.brief(job, n_finished, read)


def _page(
    database: Database,
    answers: KeptAnswers,
    measures: Sequence[SameMeasure],
    after: tuple[str, Place] | None,
    limit: int,
) -> tuple[list[Ranked], bool]:
    """At most `limit` answers after a position, and whether they are the last. Raises InvalidCursor.

    The order within a measure follows from all its answers, so all of them are computed, but none of later measures.
    """
    keys = [measure.key for measure in measures]
    if after and after[0] not in keys:
        raise InvalidCursor
    remaining = list(measures[keys.index(after[0]) if after else 0 :])
    found: list[Ranked] = []
    while remaining and len(found) < limit:
        measure = remaining.pop(0)
        answered = [(same, _answer(database, answers, same)) for same in measure.recipes]
        ranked = sorted(
            ((measure.key, same.place(answer), same.answered(answer)) for same, answer in answered), key=lambda each: each[1]
        )
        found += [each for each in ranked if after is None or measure.key != after[0] or each[1] > after[1]]
    return found[:limit], len(found) <= limit and not remaining


def _answer(database: Database, answers: KeptAnswers, same: SameRecipe) -> Answer:
    """The answer of the recipe's first job. No transaction is open while it is computed."""
    with database.transaction() as conn:
        read = trial_reader.finished_with_pruned_curves(conn, same.job)
    if not read[0]:  # the job has just been deleted
        return same.briefs[0].answer
    return answers.answer(same.job, *read).answer


def _check_names(
    catalog: Mapping[str, Objective], in_use: set[tuple[str, str]], objective: str | None, metric: str | None
) -> None:
    """Raises InvalidQuestion for an objective or a metric that is neither in the catalog nor that of a stored job."""
    known: defaultdict[str, set[str]] = defaultdict(set)
    for name, of_name in [*in_use, *((each.name, metric.name) for each in catalog.values() for metric in each.metrics)]:
        known[name].add(of_name)
    if objective is not None and objective not in known:
        raise InvalidQuestion([Invalid("/objective", f"there is no objective {objective!r}; there are: {_listed(known)}")])
    metrics = known[objective] if objective else set().union(*known.values())
    if metric is not None and metric not in metrics:
        there_are = f"{objective} has no metric {metric!r}; it has" if objective else f"there is no metric {metric!r}; there are"
        raise InvalidQuestion([Invalid("/metric", f"{there_are}: {_listed(metrics)}")])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
