"""Names of parameters, choices, metrics, steps and jobs are anybody's: no figure takes them for markup, or shows a link."""

import json
import math
import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from service.analysis import figures
from service.analysis.answer.best_lr import answered
from service.analysis.answer.importance import Interaction
from service.analysis.comparison.comparison import compare
from service.analysis.comparison.trade_off import trade_off
from service.analysis.comparison.tuned import Finished
from service.analysis.figures.alone import alone
from service.analysis.figures.batch_sizes import batch_size_figure
from service.analysis.figures.figure import TEMPLATE, Figure
from service.analysis.figures.gaps import gap_figure
from service.analysis.figures.importance import importance_figure, interaction_figure
from service.analysis.figures.losses import loss_figure
from service.analysis.figures.one_trial import metrics_figure, rates_figure
from service.analysis.figures.recipes import best_values_figure, curves_figure
from service.analysis.figures.response import response_figure
from service.analysis.figures.schedules import schedule_figure
from service.analysis.figures.trade_off import trade_off_figure
from service.domain.answer import BatchSizeView, EstimateView, ImportanceView, IntervalView
from service.domain.measurement import GroupRate, Measurement
from tests.finished_jobs import a_job, bowl, curve, finished, trial
from tests.unit.analysis.trials import job

RATE = "learning_rate"
LINK = '<a href="https://evil.example">%{x}</a>'
METRIC, STEP, PARAMETER, CHOICE, OTHER, GROUP = (
    f"{name} {LINK}" for name in ("metric", "step", "parameter", "choice", "other", "group")
)

TRIALS = [trial(n, 10 ** (n / 4 - 3), 0.1 + (n / 4 - 1) ** 2, **{PARAMETER: CHOICE if n % 2 else OTHER}) for n in range(8)]
CURVES = {each.number: curve(2.0, 1.0, float(each.value or 0)) for each in TRIALS}
JOB = job(metric=METRIC)
ANSWERED = answered(JOB, TRIALS)
ANSWER = ANSWERED.answer.model_copy(
    update={
        "importance": (
            ImportanceView(parameter=PARAMETER, alone=0.4, total=0.6),
            ImportanceView(parameter=RATE, alone=0.3, total=0.5),
        ),
        "params": {PARAMETER: CHOICE, "beside": OTHER},
        "by_batch_size": tuple(
            BatchSizeView(
                batch_size=size,
                trials=5,
                learning_rate=0.1,
                interval=IntervalView(low=0.05, high=0.2),
                expected=EstimateView(mean=0.1, low=0.05, high=0.2),
            )
            for size in (16, 32)
        ),
    }
)
INTERACTION = Interaction(parameter=PARAMETER, values=[CHOICE, OTHER], rates=[0.01, 0.1], expected=[[0.1, 0.2], [0.3, math.nan]])
MEASURED = [
    Measurement(
        step=step,
        fraction=step / 3,
        in_warmup=False,
        seconds=1.0,
        learning_rate=0.1 / step,
        metrics={METRIC: 1 / step, OTHER: 2.0},
        group_rates=tuple(GroupRate(group=f"{n} {GROUP}", learning_rate=n / step, momentum=None) for n in (1, 2)),
    )
    for step in (1, 2, 3)
]
COMPARED = compare([finished(a_job(n, name=f"{n} {LINK}", metric=METRIC), bowl(best=10 ** (n - 4))) for n in range(2)], None)
TRADE_OFF = trade_off(Finished(job=JOB, trials=TRIALS, curves=CURVES), target=1.0)

EACH: dict[Any, tuple[Figure | None, set[str]]] = {
    response_figure: (response_figure(ANSWER, TRIALS, RATE, sign=1.0), {METRIC}),
    loss_figure: (loss_figure(TRIALS, CURVES, metric=METRIC, step_word=STEP, rate=RATE, sign=1.0), {METRIC, STEP}),
    schedule_figure: (schedule_figure(TRIALS, {0: [(1, 0.1), (2, 0.01)]}, step_word=STEP, rate=RATE), {STEP}),
    batch_size_figure: (batch_size_figure(ANSWER, None), set()),
    gap_figure: (gap_figure(TRIALS, {0: 0.1, 1: 0.2}, RATE), set()),
    importance_figure: (importance_figure(ANSWER), {PARAMETER}),
    interaction_figure: (
        interaction_figure(INTERACTION, TRIALS, answer=ANSWER, rate=RATE, sign=1.0),
        {METRIC, PARAMETER, CHOICE, OTHER},
    ),
    trade_off_figure: (
        trade_off_figure(TRADE_OFF, [RATE, PARAMETER], step_word=STEP, sign=1.0),
        {METRIC, STEP, PARAMETER, CHOICE},
    ),
    metrics_figure: (metrics_figure(MEASURED, metric=METRIC, step_word=STEP, sign=1.0), {METRIC, STEP, OTHER}),
    rates_figure: (rates_figure(MEASURED, step_word=STEP), {STEP, GROUP}),
    curves_figure: (curves_figure(COMPARED), {METRIC, LINK}),
    best_values_figure: (best_values_figure(COMPARED), {METRIC, LINK}),
}


def test_all_figures_are_among_these() -> None:
    modules = [import_module(f"{figures.__name__}.{found.name}") for found in pkgutil.iter_modules(figures.__path__)]
    made = {value for module in modules for name, value in vars(module).items() if name.endswith("_figure")}
    assert made == set(EACH)


@pytest.mark.parametrize("of", EACH, ids=lambda of: of.__name__)
def test_a_name_is_shown_to_the_letter(of: Any) -> None:
    figure, names = EACH[of]
    assert figure is not None
    assert json.dumps(figure.to_json(), allow_nan=False)
    shown = list(texts(figure.to_json()))
    assert [text for _, text in shown if "<a" in text] == []
    assert [text for key, text in shown if "<" in text and key != TEMPLATE] == []
    assert [text for key, text in shown if "evil" in text and key == TEMPLATE] == [], "a template refers to names"
    escaped = {name: name.replace("<", "&lt;").replace(">", "&gt;") for name in names}
    assert [name for name, to_the_letter in escaped.items() if not any(to_the_letter in text for _, text in shown)] == []


def test_our_own_markup_stays_markup() -> None:
    figure, _ = EACH[response_figure]
    assert figure is not None
    templates = [text for key, text in texts(figure.to_json()) if key == TEMPLATE]
    assert "trial %{text}<br>%{x:.3g}: %{y:.4g}<extra></extra>" in templates
    assert "<br>" in json.loads(alone(figure, "title"))["layout"]["title"]["text"]


def test_a_figure_that_stands_alone_has_no_markup_but_its_own() -> None:
    figure, _ = EACH[response_figure]
    assert figure is not None
    shown = json.loads(alone(figure, LINK, LINK))
    tags = {tag for _, text in texts(shown) for tag in re.findall(r"<[^<>]*>", text)}
    assert tags <= {"<br>", "<b>", "</b>", "<sup>", "</sup>", "<extra>", "</extra>"}
    assert "&lt;a href" in shown["layout"]["yaxis"]["title"]["text"]


def texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """All texts in it, each with the name of the property that holds it."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from texts(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each, key)
