"""The generalization gap by learning rate: how much worse the model is on data that it was not trained on."""

import math
from collections.abc import Mapping, Sequence

from service.analysis.figures.figure import BLUE, Figure, layout, rate_axis, rate_of, thinned
from service.analysis.figures.metric_axis import height_range, outside
from service.analysis.words.numbers import counted
from service.domain.trial import Trial, TrialState

METRIC = "generalization_gap"
"""Validation loss less training loss, as objectives measure it."""


def gap_figure(trials: Sequence[Trial], gaps: Mapping[int, float], rate: str) -> Figure | None:
    """A mark for each trial that trained to its end. gaps: at its last step, by its number. None where none has one."""
    found = [
        (at, gap, trial.number)
        for trial in trials
        if trial.state is TrialState.COMPLETE
        and (at := rate_of(trial, rate)) is not None
        and math.isfinite(gap := gaps.get(trial.number, math.nan))
    ]
    if not found:
        return None
    above, all_trials = sum(gap > 0 for _, gap, _ in found), counted(len(found), "trial", "trials")
    gaps_found = [gap for _, gap, _ in found]
    ends = height_range(gaps_found, "linear", low_is_bad=True, high_is_bad=True)
    axis = {"title": {"text": "generalization gap"}, "type": "linear", "zeroline": True, **ends}
    marks, left_out = thinned(found)
    rates, values, numbers = (list(each) for each in zip(*marks, strict=True))
    return Figure(
        name="gaps",
        title="generalization gap by learning rate",
        text=(
            f"Validation loss less training loss at the last step: above 0 in {above} of {all_trials}."
            " Where it grows and the validation loss does not fall, the model overfits."
            f"{left_out}{outside(gaps_found, axis)}"
        ),
        data=[
            {
                "type": "scatter",
                "mode": "markers",
                "name": "trial",
                "x": rates,
                "y": values,
                "text": numbers,
                "marker": {"color": BLUE, "size": 7, "opacity": 0.75},
                "hovertemplate": "trial %{text}<br>%{x:.3g}: %{y:.4g}<extra></extra>",
            }
        ],
        layout=layout(
            rate_axis(rates),
            axis,
            showlegend=False,
        ),
    )
