"""Figures hold what they say, in a form that Plotly's own schema takes."""

import dataclasses
import json
import math
from typing import Any

import plotly.graph_objects as go  # type: ignore[import-untyped]
import pytest

from service.analysis.answer.best_lr import answer, answered
from service.analysis.answer.importance import Interaction
from service.analysis.comparison.trade_off import trade_off
from service.analysis.comparison.tuned import Finished
from service.analysis.figures.batch_sizes import batch_size_figure
from service.analysis.figures.figure import MOST_MARKS, Figure
from service.analysis.figures.gaps import gap_figure
from service.analysis.figures.importance import importance_figure, interaction_figure
from service.analysis.figures.losses import MOST_CURVES, MOST_POINTS, drawn_trials, loss_figure
from service.analysis.figures.metric_axis import possible, scale_of
from service.analysis.figures.one_trial import rates_figure
from service.analysis.figures.response import response_figure
from service.analysis.figures.schedules import MOST_LINES, schedule_figure
from service.analysis.figures.trade_off import trade_off_figure
from service.domain.answer import (
    Answer,
    AnswerVerdict,
    BatchScalingView,
    BatchSizeView,
    EstimateView,
    ImportanceView,
    IntervalView,
)
from service.domain.measurement import CurvePoint, Measurement
from service.domain.trial import Trial, TrialState
from tests.finished_jobs import trial
from tests.unit.analysis.trials import LOG, diverged, job

RATE = "learning_rate"
PLATEAUED = {"diagnosis": {"plateaued": "its loss fell by 0.1%"}}


def finished(n: int) -> list[Trial]:
    """Trials on a parabola, the highest rates diverged."""
    rates = [10 ** (-4 + 4 * place / max(1, n - 1)) for place in range(n)]
    return [
        diverged(number, rate) if rate > 0.5 else trial(number, rate, 0.1 + (math.log10(rate) + 2) ** 2)
        for number, rate in enumerate(rates)
    ]


def curve(*values: float) -> tuple[CurvePoint, ...]:
    return tuple(
        CurvePoint(step=step, value=value, fraction=step / len(values), in_warmup=False) for step, value in enumerate(values, 1)
    )


def check(figure: Figure | None) -> Figure:
    """Plotly's library raises where a figure has a property that there is not."""
    assert figure is not None
    go.Figure(figure.to_json(), skip_invalid=False)
    assert figure.text.endswith(".")
    return figure


def traces(figure: Figure) -> dict[str, Any]:
    return {trace["name"]: trace for trace in figure.data if "name" in trace}


def test_every_trial_is_on_the_response_curve_and_diverged_ones_along_the_top() -> None:
    trials = finished(24)
    figure = check(response_figure(answer(job(), trials), trials, RATE, sign=1.0))
    found = traces(figure)
    n_diverged = sum(each.state is TrialState.INFEASIBLE for each in trials)
    assert (len(found["complete"]["x"]), len(found["diverged"]["x"])) == (24 - n_diverged, n_diverged)
    assert set(found["diverged"]["y"]) == {0.97}
    assert f"{24 - n_diverged} trials trained to their end, {n_diverged} diverged, along the top" in figure.text
    assert (figure.layout["xaxis"]["type"], figure.layout["yaxis"]["type"]) == ("log", "log")
    assert found["expected"]["x"], "there are enough trials for a curve"
    kinds = [shape["type"] for shape in figure.layout["shapes"]]
    assert kinds.count("line") == 1, "the answer"


@pytest.mark.parametrize(
    "trials",
    [
        [trial(0, 0.01, 0.2)],
        [diverged(0, 0.1), diverged(1, 0.2)],
        [trial(0, 0.01, -0.2), trial(1, 0.02, 0.0)],
        [trial(0, 0.01, 0.2, TrialState.PRUNED), trial(1, 0.1, 0.3)],
        [trial(0, 0.01, 1e300), trial(1, 0.1, 0.3)],
    ],
)
def test_few_trials_are_drawn_without_a_curve(trials: list[Trial]) -> None:
    figure = check(response_figure(answer(job(), trials), trials, RATE, sign=1.0))
    assert "expected" not in traces(figure)
    assert sum(len(trace["x"]) for trace in figure.data) == len(trials)


def test_the_response_curve_has_no_answer_where_nothing_learned() -> None:
    trials = [trial(each.number, each.params[RATE], each.value, user_attrs=PLATEAUED) for each in finished(20)]
    found = answer(job(), trials)
    assert found.verdict == AnswerVerdict.NOTHING_LEARNED
    figure = check(response_figure(found, trials, RATE, sign=1.0))
    assert "answer" not in figure.text
    assert figure.layout["shapes"] == []


def test_there_is_no_response_curve_without_a_learning_rate() -> None:
    trials = [trial(0, 0.01, 0.2)]
    assert response_figure(answer(job(), trials), trials, "eta", sign=1.0) is None
    assert loss_figure(trials, {0: curve(1.0, 0.5)}, metric="loss", step_word="epoch", rate="eta", sign=1.0) is None


def test_values_that_json_cannot_hold_are_left_out() -> None:
    """As a script of a user's may store them."""
    trials = [trial(0, 0.01, 0.2), trial(1, 0.02, math.inf), trial(2, 0.03, math.nan), trial(3, math.inf, 0.1)]
    figure = check(response_figure(answer(job(), trials[:1]), trials, RATE, sign=1.0))
    assert json.dumps(figure.to_json(), allow_nan=False)
    assert sum(len(trace["x"]) for trace in figure.data) == 1


def test_exploded_values_do_not_squeeze_the_others_into_a_line() -> None:
    trials = [trial(number, 10 ** (-3 + number / 10), -0.5 - number / 100) for number in range(20)]
    trials.append(trial(20, 0.9, 1e6))
    figure = check(response_figure(answer(job(), trials), trials, RATE, sign=1.0))
    assert figure.layout["yaxis"]["range"][1] < 10


def accuracies(n: int = 20) -> list[Trial]:
    """Best at 0.01, and no better than guessing far from it."""
    rates = [10 ** (-4 + 4 * place / (n - 1)) for place in range(n)]
    return [trial(number, rate, max(0.02, 0.97 - 0.3 * (math.log10(rate) + 2) ** 2)) for number, rate in enumerate(rates)]


def test_an_accuracy_is_expected_between_0_and_1_on_a_linear_axis() -> None:
    trials = accuracies()
    found = answer(job(metric="accuracy", direction="maximize"), trials)
    impossible = [point.model_copy(update={"mean": -0.2, "low": -0.4, "high": 1.3}) for point in found.curve[:1]]
    figure = check(response_figure(found.model_copy(update={"curve": (*impossible, *found.curve[1:])}), trials, RATE, sign=-1.0))
    assert figure.layout["yaxis"]["type"] == "linear"
    low, high, expected = (trace for trace in figure.data if trace["mode"] == "lines")
    assert (low["y"][0], high["y"][0], expected["y"][0]) == (0.0, 1.0, 0.0)
    assert all(0 <= y <= 1 for trace in (low, high, expected) for y in trace["y"])
    assert "outside" not in figure.text


@pytest.mark.parametrize(
    ("values", "sign", "ends"),
    [
        ([0.1, 0.9], -1.0, (0.0, 1.0)),
        ([0.1, 0.9], 1.0, (0.0, math.inf)),
        ([0.1, 9.0], -1.0, (0.0, math.inf)),
        ([-0.1, 0.9], -1.0, (-math.inf, math.inf)),
        ([None, math.nan], 1.0, (-math.inf, math.inf)),
    ],
)
def test_what_a_metric_may_be_is_told_by_what_was_measured(values: Any, sign: float, ends: Any) -> None:
    assert possible(values, sign) == ends


@pytest.mark.parametrize(("sign", "bad"), [(1.0, 1e6), (-1.0, -1e6)])
def test_exploded_trials_are_cut_at_the_bad_end_and_counted(sign: float, bad: float) -> None:
    trials = [trial(number, 10 ** (-3 + number / 10), -sign * (0.5 + number / 100)) for number in range(20)]
    trials += [trial(20, 0.9, bad), trial(21, 0.95, bad, TrialState.PRUNED)]
    found = answer(job(direction="minimize" if sign > 0 else "maximize"), trials[:1])
    figure = check(response_figure(found, trials, RATE, sign=sign))
    assert all(abs(end) < 10 for end in figure.layout["yaxis"]["range"])
    assert figure.text.endswith("2 trials lie outside of what is drawn.")


def test_curves_are_coloured_by_the_rate_and_thinned() -> None:
    trials = finished(300)
    curves = {each.number: curve(*(1 / step for step in range(1, 1_001))) for each in trials}
    figure = check(loss_figure(trials, curves, metric="loss", step_word="epoch", rate=RATE, sign=1.0))
    lines = [trace for trace in figure.data if trace["mode"] == "lines"]
    assert len(lines) == MOST_CURVES
    assert {len(line["x"]) for line in lines} == {MOST_POINTS}
    assert all((line["x"][0], line["x"][-1]) == (1, 1_000) for line in lines)
    dotted = [line for line in lines if line["line"]["dash"] == "dot"]
    assert dotted
    assert len({line["line"]["color"] for line in lines}) > 50
    assert f"left out are {300 - MOST_CURVES} others" in figure.text


def test_every_trial_is_drawn_or_counted_among_those_left_out() -> None:
    pruned = [
        trial(number, 10 ** (-3 + number / 100), 1.0, TrialState.PRUNED, user_attrs={"pruned_at_step": 1})
        for number in range(100)
    ]
    rest = [trial(number, 0.01, 0.5) for number in range(100, 103)] + [diverged(number, 0.9) for number in range(103, 106)]
    curves = {each.number: curve(1.0, 0.5) for each in rest} | {
        102: curve(1.0),
        104: curve(7.0, math.nan),
        105: curve(math.inf),
    }
    figure = check(loss_figure([*pruned, *rest], curves, metric="loss", step_word="epoch", rate=RATE, sign=1.0))
    lines = [trace for trace in figure.data if trace["mode"] == "lines"]
    assert [line["name"] for line in lines] == ["trial 100", "trial 101", "trial 103", "trial 104"]
    ends, along_the_top = (trace for trace in figure.data if trace.get("name") == "diverged")
    assert (ends["x"], ends["y"], ends["text"]) == ([2], [0.5], [103])
    assert (along_the_top["text"], along_the_top["yaxis"]) == ([104, 105], "y2"), "7 is beyond all that did not diverge"
    assert figure.layout["yaxis"]["range"][1] < 1.2
    assert figure.text == (
        "loss while training: 5 trials at rates from 0.01, dark, to 0.9, bright; 3 diverged, dotted, with a cross at the"
        " last finite value (2 without one, or far out: along the top); left out are 101 with fewer than two values."
    )


def test_one_rate_is_said_once() -> None:
    trials = [trial(number, 0.1, 0.5) for number in range(6)]
    curves = {each.number: curve(1.0, 0.5) for each in trials}
    figure = check(loss_figure(trials, curves, metric="loss", step_word="epoch", rate=RATE, sign=1.0))
    assert figure.text == "loss while training: 6 trials at a rate of 0.1."
    assert not figure.data[-1]["marker"]["showscale"]


def test_only_curves_that_are_drawn_need_be_known() -> None:
    trials = finished(300)
    all_curves = {each.number: curve(1.0, 0.5) for each in trials}
    known = {each.number: all_curves[each.number] for each in drawn_trials(trials, RATE)}
    assert len(known) == MOST_CURVES
    drawn = [loss_figure(trials, curves, metric="loss", step_word="epoch", rate=RATE, sign=1.0) for curves in (known, all_curves)]
    assert drawn[0] == drawn[1]


def test_the_best_trial_is_always_drawn_and_thick() -> None:
    trials = finished(300)
    curves = {each.number: curve(1.0, 0.5) for each in trials}
    left_out = next(each.number for each in trials if each not in drawn_trials(trials, RATE))
    figure = check(loss_figure(trials, curves, metric="loss", step_word="epoch", rate=RATE, sign=1.0, best=left_out))
    assert [name for name, line in traces(figure).items() if line["mode"] == "lines" and line["line"]["width"] > 2] == [
        f"trial {left_out}"
    ]
    assert f"the thick line is the best trial, {left_out}" in figure.text


def test_schedules_are_drawn_where_the_rate_changed() -> None:
    trials = finished(40)
    constant = {each.number: [(step, each.params[RATE]) for step in range(1, 6)] for each in trials}
    assert schedule_figure(trials, constant, step_word="epoch", rate=RATE) is None
    halved = constant | {3: [(1, 1e-3), (2, 5e-4), (3, 0.0)]}
    figure = check(schedule_figure(trials[:5], halved, step_word="epoch", rate=RATE))
    assert traces(figure)["trial 3"]["y"] == [1e-3, 5e-4], "a rate of 0 has no logarithm"
    figure = check(schedule_figure(trials, halved, step_word="epoch", rate=RATE))
    assert sum(trace["mode"] == "lines" for trace in figure.data) == MOST_LINES
    assert "of 24 trials out of 40" in figure.text
    assert schedule_figure(trials, {}, step_word="epoch", rate=RATE) is None


def measured(*rates: float) -> list[Measurement]:
    return [
        Measurement(step=step, fraction=step / len(rates), in_warmup=False, metrics={}, learning_rate=rate, seconds=1.0)
        for step, rate in enumerate(rates, 1)
    ]


@pytest.mark.parametrize("rate", [1e-9, 0.1, 1e4])
def test_a_rate_that_never_changes_is_in_the_middle_of_a_decade(rate: float) -> None:
    figure = check(rates_figure(measured(rate, rate), step_word="epoch"))
    axis = figure.layout["yaxis"]
    assert (axis["type"], axis["range"]) == ("log", pytest.approx([math.log10(rate) - 0.5, math.log10(rate) + 0.5]))
    assert figure.text == f"The rate in the last update of each epoch: {rate:.4g}."


def test_applied_rates_are_all_on_a_logarithmic_axis_but_for_0() -> None:
    figure = check(rates_figure(measured(0.1, 0.05, 1e-4, 0.0), step_word="epoch"))
    low, high = figure.layout["yaxis"]["range"]
    assert low < -4
    assert high > -1
    assert figure.data[0]["y"] == [0.1, 0.05, 1e-4, None]
    assert figure.text.endswith("from 0.0001 to 0.1. 1 rate of 0 is not drawn.")


def test_a_value_that_is_no_number_is_a_gap() -> None:
    figure = check(
        loss_figure(
            [diverged(0, 0.1)], {0: curve(1.0, math.inf, math.nan)}, metric="loss", step_word="epoch", rate=RATE, sign=1.0
        )
    )
    assert figure.data[0]["y"] == [1.0, None, None]


@pytest.mark.parametrize("curves", [{}, {0: curve(1.0)}, {0: curve(math.nan, math.inf)}])
def test_there_are_no_curves_without_two_numbers(curves: Any) -> None:
    assert loss_figure([trial(0, 0.1, 1.0)], curves, metric="loss", step_word="epoch", rate=RATE, sign=1.0) is None


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1.0, 100.0], "log"), ([1.0, 2.0], "linear"), ([-1.0, 100.0], "linear"), ([], "linear"), ([0.0, 9.0], "linear")],
)
def test_an_axis_is_logarithmic_where_values_span_decades(values: list[float], kind: str) -> None:
    assert scale_of(values) == kind
    assert scale_of(values, -1.0) == "linear", "where higher is better"


def by_size(*sizes: int) -> Answer:
    """An answer for each batch size, whose best rate goes with its square root."""
    each = [
        BatchSizeView(
            batch_size=size,
            trials=5,
            learning_rate=0.01 * math.sqrt(size),
            interval=IntervalView(low=0.005 * math.sqrt(size), high=0.02 * math.sqrt(size)),
            expected=EstimateView(mean=0.1, low=0.05, high=0.2),
        )
        for size in sizes
    ]
    return answer(job(), [trial(0, 0.01, 0.2)]).model_copy(update={"by_batch_size": tuple(each)})


def test_the_best_rate_by_batch_size_has_its_interval_and_the_fitted_power() -> None:
    found = by_size(16, 32, 64)
    scaling = BatchScalingView(
        job=found.job,
        training_seed=None,
        power=0.5,
        interval=IntervalView(low=0.4, high=0.6),
        linear=False,
        square_root=True,
        because="it goes with the square root",
        by_batch_size=found.by_batch_size,
        fitted_to=(16, 32, 64),
        prediction=None,
    )
    figure = check(batch_size_figure(found, scaling))
    points, line = figure.data
    assert figure.text == "It goes with the square root."
    assert line["y"] == pytest.approx(points["y"])
    assert points["error_y"]["array"] == pytest.approx(points["y"])
    assert len(check(batch_size_figure(found, None)).data) == 1
    assert batch_size_figure(by_size(16), None) is None


def test_the_gap_is_that_of_trials_that_trained_to_their_end() -> None:
    trials = [trial(0, 0.01, 0.2), trial(1, 0.1, 0.3), diverged(2, 0.9), trial(3, 0.2, 0.1), trial(4, 0.3, 0.1)]
    figure = check(gap_figure(trials, {0: -0.1, 1: 0.2, 2: 0.5, 3: math.inf}, RATE))
    assert figure.data[0]["y"] == [-0.1, 0.2]
    assert "above 0 in 1 of 2 trials" in figure.text
    assert gap_figure(trials, {}, RATE) is None


@pytest.mark.parametrize("exploded", [{20: 200.0}, {20: -200.0}, {20: 200.0, 21: -200.0}])
def test_one_exploded_gap_does_not_squeeze_the_others_into_a_line(exploded: dict[int, float]) -> None:
    trials = [trial(number, 10 ** (-3 + number / 10), 0.2) for number in range(22)]
    gaps = {number: 0.1 + number / 100 for number in range(20)} | exploded
    figure = check(gap_figure(trials, gaps, RATE))
    assert all(abs(end) < 3 for end in figure.layout["yaxis"]["range"])
    assert figure.text.endswith(
        {1: " 1 trial lies outside of what is drawn.", 2: " 2 trials lie outside of what is drawn."}[len(exploded)]
    )


def test_importance_and_interaction_are_drawn_where_several_parameters_are_searched() -> None:
    space = {"learning_rate": LOG, "optimizer": {"type": "categorical", "choices": ["sgd", "adam"]}}
    random = [(place * 0.618) % 1 for place in range(40)]
    trials = [
        trial(number, 10 ** (4 * at - 4), 0.5 + (at - (0.3 if number % 2 else 0.7)) ** 2, optimizer=["sgd", "adam"][number % 2])
        for number, at in enumerate(random)
    ]
    found = answered(job(search_space=space), trials)
    assert found.interaction is not None
    bars = check(importance_figure(found.answer))
    assert bars.data[0]["y"][-1] == found.answer.importance[0].parameter
    assert "learning_rate matters most" in bars.text
    drawn = check(interaction_figure(found.interaction, trials, answer=found.answer, rate=RATE, sign=1.0))
    assert (drawn.data[0]["type"], drawn.data[0]["y"], len(drawn.data[1]["x"])) == ("heatmap", ["sgd", "adam"], 40)
    assert json.dumps(drawn.to_json(), allow_nan=False)
    below = dataclasses.replace(found.interaction, expected=[[-0.4, 0.5, 1.2], [0.1, None, math.nan]])
    bounded = check(interaction_figure(below, accuracies(), answer=found.answer, rate=RATE, sign=-1.0))
    assert bounded.data[0]["z"] == bounded.data[0]["customdata"] == [[0.0, 0.5, 1.0], [0.1, None, None]]
    alone = answered(job(), finished(20))
    assert importance_figure(alone.answer) is None
    assert interaction_figure(alone.interaction, trials, answer=alone.answer, rate=RATE, sign=1.0) is None


def with_parameters(n: int, total: float = 0.9) -> tuple[Answer, Interaction]:
    """An answer about so many parameters beside the rate, the first of which explains `total`."""
    names = [f"encoder.layers.{number}.attention.dropout" for number in range(n)]
    found = answer(job(), finished(20))
    importance = [ImportanceView(parameter=name, alone=0.0, total=total / (place + 1)) for place, name in enumerate(names)]
    rate = ImportanceView(parameter=RATE, alone=0.9, total=0.95)
    of_answer = found.model_copy(update={"importance": (rate, *importance), "params": dict.fromkeys(names, 0.1)})
    return of_answer, Interaction(parameter=names[0], values=[0, 1], rates=[0.01, 0.1], expected=[[0.1, 0.2], [0.3, 0.4]])


def test_of_many_parameters_the_most_important_are_drawn_and_named() -> None:
    found, between = with_parameters(100)
    bars = check(importance_figure(found))
    assert len(bars.data[0]["y"]) == 15
    assert bars.text.endswith(" The 15 most important of 101 are drawn.")
    axis = bars.layout["yaxis"]
    assert axis["tickvals"] == bars.data[0]["y"], "Plotly leaves out labels where it finds no room"
    assert axis["ticktext"][-1] == RATE
    assert len(set(axis["ticktext"])) == 15
    assert max(len(label) for label in axis["ticktext"]) < len(axis["tickvals"][0]), "they are as short as they still differ"
    assert bars.layout["height"] > 15 * 20
    drawn = check(interaction_figure(between, finished(20), answer=found, rate=RATE, sign=1.0))
    named = "".join(f"encoder.layers.{place}.attention.dropout=0.1, " for place in range(1, 5)).rstrip(", ")
    assert f"The expected loss, with {named} and 95 more: bright" in drawn.text


def test_a_parameter_that_hardly_matters_has_no_map() -> None:
    found, between = with_parameters(1, total=0.019)
    assert interaction_figure(between, finished(20), answer=found, rate=RATE, sign=1.0) is None
    found, between = with_parameters(1, total=0.021)
    check(interaction_figure(between, finished(20), answer=found, rate=RATE, sign=1.0))


def test_the_front_of_speed_and_final_value_is_a_line() -> None:
    trials = [trial(number, 10 ** (-3 + number / 4), value) for number, value in enumerate([0.5, 0.2, 0.1, 0.105, 0.3])]
    curves = {
        0: curve(1.0, 0.8, 0.5),
        1: curve(0.9, 0.5, 0.2),
        2: curve(0.8, 0.3, 0.1),
        3: curve(0.25, 0.11, 0.105),
        4: curve(0.4, 0.3),
    }
    found = trade_off(Finished(job=job(), trials=trials, curves=curves), target=0.3)
    figure = check(trade_off_figure(found, [RATE], step_word="epoch", sign=1.0))
    front = traces(figure)["none is both faster and better"]
    assert (front["x"], front["y"]) == ([1, 2], [0.105, 0.1])
    assert "takes 1 epoch and ends at 0.105; the best, at 0.003162, 2 epochs and ends at 0.1." in figure.text
    assert "1 other does not reach it" in figure.text
    assert (
        trade_off_figure(trade_off(Finished(job=job(), trials=trials[:1], curves=curves)), [RATE], step_word="epoch", sign=1.0)
        is None
    )
    ends = {each.number: curve(each.value or 0.0) for each in trials}
    found = trade_off(Finished(job=job(), trials=trials, curves=ends), target=0.3)
    assert trade_off_figure(found, [RATE], step_word="epoch", sign=1.0) is None, "of runs of one step none is faster"


def test_no_more_marks_are_drawn_than_can_be_told_apart() -> None:
    trials = [trial(number, 10 ** (-3 + number / 2_000), 0.1 + number / 9_000) for number in range(4_000)]
    figure = check(response_figure(answer(job(), trials[:20]), trials, RATE, sign=1.0))
    drawn = traces(figure)["complete"]["x"]
    assert len(drawn) == MOST_MARKS
    assert (min(drawn), max(drawn)) == (trials[0].params[RATE], trials[-1].params[RATE])
    assert "4000 trials trained to their end" in figure.text
    assert "1500 of 4000 trials are drawn" in figure.text
    gaps = check(gap_figure(trials, {each.number: 0.1 for each in trials}, RATE))
    assert len(gaps.data[0]["x"]) == MOST_MARKS
