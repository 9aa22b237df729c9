"""Draw a job's trials and its answer: python examples/plot_answer.py JOB FILE [URL]. Needs matplotlib: pip install matplotlib."""

import json
import sys
from typing import Any
from urllib.request import urlopen

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

RATE = "learning_rate"


def main(job: str, file: str, url: str = "http://127.0.0.1:8000") -> None:
    with urlopen(f"{url}/v1/jobs/{job}/best-lr") as reply:
        answer = json.load(reply)
    figure, axes = pyplot.subplots(figsize=(8, 4.2), layout="constrained")
    _draw_trials(axes, _trials(f"{url}/v1/jobs/{job}/trials"))
    _draw_answer(axes, answer)
    axes.set(xscale="log", xlabel="learning rate", ylabel=answer["metric"].replace("_", " "))
    axes.legend(loc="lower left", frameon=False, fontsize=8)
    figure.savefig(file, metadata={"Date": None})


def _trials(url: str) -> list[dict[str, Any]]:
    trials, cursor = [], ""
    while True:
        with urlopen(f"{url}?limit=100{cursor}") as reply:
            page = json.load(reply)
        trials += page["items"]
        if page["next_cursor"] is None:
            return trials
        cursor = f"&cursor={page['next_cursor']}"


def _draw_trials(axes: Axes, trials: list[dict[str, Any]]) -> None:
    for state, style in (
        ("complete", {"marker": "o", "color": "tab:blue"}),
        ("pruned", {"marker": "o", "facecolor": "none", "edgecolor": "tab:gray"}),
    ):
        points = [(trial["params"][RATE], trial["value"]) for trial in trials if trial["state"] == state]
        if points:
            axes.scatter(*zip(*points, strict=True), s=16, zorder=3, label=f"{state} trial", **style)
    rates = [trial["params"][RATE] for trial in trials]
    axes.set_xlim(min(rates) / 1.5, max(rates) * 1.5)
    diverged = [trial["params"][RATE] for trial in trials if trial["state"] == "infeasible"]
    if diverged:
        top = axes.get_xaxis_transform()
        axes.scatter(diverged, [0.96] * len(diverged), s=22, marker="x", color="tab:red", transform=top, label="diverged trial")


def _draw_answer(axes: Axes, answer: dict[str, Any]) -> None:
    curve = answer["curve"]
    rates = [point[RATE] for point in curve]
    axes.plot(rates, [point["mean"] for point in curve], color="black", label="expected, with the answered parameters")
    axes.fill_between(
        rates, [point["low"] for point in curve], [point["high"] for point in curve], color="black", alpha=0.12, label="90%"
    )
    axes.axvline(answer[RATE], color="tab:green", label=f"best learning rate, {answer[RATE]:.2g}")
    if answer["safe_range"]:
        axes.axvspan(answer["safe_range"]["low"], answer["safe_range"]["high"], color="tab:green", alpha=0.2, label="safe range")
    if answer["divergence_edge"]:
        axes.axvline(answer["divergence_edge"]["at"], color="tab:red", linestyle=":", label="divergence edge")


if __name__ == "__main__":
    main(*sys.argv[1:])
