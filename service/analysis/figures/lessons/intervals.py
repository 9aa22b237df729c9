"""The picture of what an interval means: the same job, submitted many times."""

from typing import Any

from service.analysis.figures.figure import BLUE, GREEN, VERMILION, Figure, layout, rate_axis
from service.analysis.figures.lessons.traces import Recorded, line, lowest, rough, vertical


def interval(recorded: Recorded) -> Figure:
    """An interval for each job, one above the other, with the best rate as a line through all of them."""
    jobs = sorted(recorded["jobs"], key=lambda job: float(job["low"]))
    truth, _ = lowest(recorded["learning_rates"], recorded["losses"])
    held = [job["low"] <= truth <= job["high"] for job in jobs]
    data: list[dict[str, Any]] = []
    for place, (job, holds) in enumerate(zip(jobs, held, strict=True), 1):
        color = BLUE if holds else VERMILION
        name = "contains the best rate" if holds else "does not"
        data.append(
            line(
                name,
                [job["low"], job["high"]],
                [place, place],
                color,
                legendgroup=name,
                showlegend=holds not in held[: place - 1],
            )
        )
        answered = {"mode": "markers", "marker": {"color": color, "size": 7}, "showlegend": False, "legendgroup": name}
        data.append(line("answer", [job["learning_rate"]], [place], color) | answered)
    every = [job[end] for job in jobs for end in ("low", "high")] + [truth]
    return Figure(
        name="lesson",
        title=f"90% intervals of {len(jobs)} jobs",
        text=(
            f"{len(jobs)} jobs that differ in their seeds only, each of {recorded['n_trials']} trials; the point is the answered"
            f" rate, the bar its 90% interval. The green line is the best rate, {rough(truth)}, from trainings with"
            f" {recorded['n_seeds']} seeds at each rate. {sum(held)} of {len(jobs)} intervals contain it."
        ),
        data=data,
        layout=layout(
            rate_axis(every),
            {"title": {"text": "job"}, "range": [0, len(jobs) + 1], "dtick": 5},
            shapes=[vertical(truth, GREEN)],
        ),
    )
