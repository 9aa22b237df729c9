"""The pictures and the tables of docs/case-studies.md, from the recorded tables (benchmarks/record_tables.py).

Run:    python -m benchmarks.case_studies [--out benchmarks/results]        a minute for each case
Draws:  docs/case-studies/<table>.svg, where matplotlib is, which Stride does not need: pip install matplotlib

Each picture has the cost of every recorded run by its learning rate, and what Stride answers from one job of N_TRIALS trials that
QMC drew from them. How often such answers hold is asked of JOBS jobs with 16, 32 and 64 trials;
benchmarks/answer_quality_real.py asks it of more.
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import optuna

from benchmarks.record_tables import RECIPES, metric_of
from benchmarks.recorded import trained
from benchmarks.recorded.judging import judge
from benchmarks.recorded.recorded_set import RATE, RecordedSet
from benchmarks.recorded.sampling import STRATEGIES, Draw
from benchmarks.tables import Table, publish
from objectives.catalog import BUILTIN, default_params
from service.analysis.answer.best_lr import answer
from service.analysis.figures.lessons.traces import rough
from service.domain.answer import Answer

CASES = (
    *("digits", "text_bag", "text_gru", "dates", "fine_tuning", "from_scratch"),
    *("few_shot", "control", "adding", "adding_unclipped"),
)
"""The tables that the page is about."""
N_TRIALS = 32
SEED = 0
PICTURES = Path(__file__).parents[1] / "docs" / "case-studies"
JOBS = 9
SIZES = (16, 32, 64)
HEAD = ["case", "best rate", "interval", "safe range", "most runs diverge from", "default"]
SPANS = 8.0
"""The vertical axis is logarithmic where the largest mean loss is more than so many times the smallest."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A recorded table, and what is answered about it."""

    name: str
    recorded: RecordedSet
    answer: Answer


def diverging(recorded: RecordedSet) -> float | None:
    """The lowest recorded rate from which on half of the runs or more diverge at every rate; None: there is none."""
    first = None
    for rate, runs in zip(recorded.rates, recorded.runs[recorded.index[:, 0]], strict=True):
        first = (first if first is not None else 10**rate) if 2 * np.isinf(runs).sum() >= len(runs) else None
    return first


def cases() -> list[Case]:
    """Each with the answer from one job. Raises Missing."""
    found = []
    for name in CASES:
        recorded = trained.load(name)[0]
        draw = Draw(recorded, "qmc", SEED)
        said = answer(draw.job, draw.trials(N_TRIALS), tolerance=recorded.tolerance)
        found.append(Case(name=name, recorded=recorded, answer=said))
    return found


def table(found: list[Case]) -> Table:
    rows = Table("What is answered from 32 trials", HEAD)
    for case in found:
        recipe, said = RECIPES[case.name], case.answer
        objective = next(each for each in BUILTIN if each.name == recipe.objective)
        rows.add(
            case.recorded.name,
            rough(10**case.recorded.best_rate),
            "none" if said.interval is None else f"{rough(said.interval.low)} to {rough(said.interval.high)}",
            "none" if said.safe_range is None else f"{rough(said.safe_range.low)} to {rough(said.safe_range.high)}",
            "none" if (edge := diverging(case.recorded)) is None else rough(edge),
            rough(float((default_params(objective) | recipe.params)[RATE])),
        )
    return rows


def judged(found: list[Case]) -> Table:
    """How often what is answered holds, of the answers about JOBS jobs drawn by each strategy in turn."""
    rows = Table(
        f"How often the answers hold: {JOBS} jobs each, by random search, QMC and TPE in turn, at 16, 32 and 64 trials",
        ["case", "interval", "`expected`", "safe range, at 64 trials", "confident, at 64 trials", "right of these"],
    )
    for case in found:
        sizes = [n for n in SIZES if n in case.recorded.sizes]
        answers = [
            one
            for seed in range(JOBS)
            for one in judge(case.recorded, STRATEGIES[seed % len(STRATEGIES)], seed, sizes, peer=False, further=False)
        ]
        last = [one for one in answers if one.n_trials == max(sizes)]
        rows.add(
            case.recorded.name,
            _share(one.covered for one in answers),
            _share(one.covered_expected for one in answers),
            _share(one.safe for one in last),
            _share(one.confident for one in last),
            _share(one.right for one in last if one.confident),
        )
    return rows


def _share(held: Iterable[bool | None]) -> str:
    """In words, of those to which it applies."""
    applies = [each for each in held if each is not None]
    return f"{sum(applies)} of {len(applies)}"


def draw(case: Case, path: Path) -> None:
    """Draw one case."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams |= {"svg.hashsalt": case.name, "svg.fonttype": "none", "font.family": "sans-serif"}
    recorded, said, metric = case.recorded, case.answer, metric_of(RECIPES[case.name])
    sign = 1.0 if metric.direction == "minimize" else -1.0
    costs = recorded.runs[recorded.index[:, 0]]
    means = recorded.truth[recorded.index[:, 0]]
    # A run that has exploded would press all others together; a return is bounded.
    among = means if sign > 0 else costs
    highest = float(among[np.isfinite(among)].max())
    figure, axes = pyplot.subplots(figsize=(7, 3.4), layout="constrained")
    for rate, of_rate in zip(recorded.rates, costs, strict=True):
        shown = of_rate[of_rate <= highest]
        axes.scatter([10**rate] * len(shown), sign * shown, s=9, color="#0072b2", alpha=0.5, linewidths=0)
        if np.isinf(of_rate).any():
            part = np.isinf(of_rate).mean()
            label = "diverged: the larger, the more runs" if np.isinf(costs[recorded.rates < rate]).sum() == 0 else None
            place = [10**rate], [sign * highest]
            axes.scatter(*place, marker="x", s=10 + 30 * part, color="#d55e00", zorder=3, clip_on=False, label=label)
    drawn = np.isfinite(means)
    axes.plot(10 ** recorded.rates[drawn], sign * means[drawn], color="#0072b2", label="mean over training seeds")
    if said.safe_range is not None:
        axes.axvspan(said.safe_range.low, said.safe_range.high, color="#009e73", alpha=0.15, label="safe range")
    if said.interval is not None:
        axes.axvspan(said.interval.low, said.interval.high, color="#009e73", alpha=0.25, label="interval for the best rate")
    if said.learning_rate is not None:
        axes.axvline(said.learning_rate, color="#009e73", label=f"answered from {N_TRIALS} trials: {rough(said.learning_rate)}")
    if recorded.best > 0 and highest > SPANS * recorded.best:
        axes.set_yscale("log")
    axes.set(xscale="log", xlabel="learning rate", ylabel=metric.name.replace("_", " "))
    axes.legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder for the report")
    out = parser.parse_args().out
    found = cases()
    publish("case_studies", [table(found), judged(found)], 1, out)
    if find_spec("matplotlib") is None:
        print("Nothing is drawn: pip install matplotlib")
        return
    for case in found:
        draw(case, PICTURES / f"{case.name}.svg")


if __name__ == "__main__":
    main()
