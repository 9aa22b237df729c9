"""Tables of judged answers, a row for each set and space."""

import math
from collections.abc import Sequence

from benchmarks.recorded.figures import EqualCoverage, against, at_equal_coverage, mean, middle, of, share
from benchmarks.recorded.judging import Judged
from benchmarks.recorded.plain_peer import LEVELS
from benchmarks.recorded.recorded_set import RecordedSet
from benchmarks.recorded.sampling import STRATEGIES
from benchmarks.tables import Table


def tables(judged: Sequence[Judged], sets: Sequence[RecordedSet], drawn: str) -> list[Table]:
    """What was measured. drawn: which jobs."""
    rows = [(recorded, of(judged, key=recorded.key)) for recorded in sets]
    return [
        _intervals([(recorded, some) for recorded, some in rows if some], drawn),
        _regrets([(recorded, some) for recorded, some in rows if some]),
        _verdicts([(recorded, some) for recorded, some in rows if some]),
        _by_size(judged),
        _seconds(judged),
    ]


Rows = Sequence[tuple[RecordedSet, list[Judged]]]


def _intervals(rows: Rows, drawn: str) -> Table:
    table = Table(
        "90% intervals: how often they hold a rate within tolerance of the best, and the best rate itself; how often `expected`"
        " holds the true cost of the answered point, and the mean of the runs that trials are drawn from; median widths, decades,"
        " at the largest number of trials beside a plain Gaussian process at the lowest level, from 90% or 50% on, at which it"
        f" covers as much, the last strictly; {drawn}",
        ["set", "answers", "no interval", "covered", "strictly", "expected", "of the runs", "width", "16", "32", "64",
         "covered then", "plain from 90%", "level", "covers", "plain from 50%", "level", "covers", "plain strictly", "level",
         "covers"],
    )  # fmt: skip
    for recorded, some in rows:
        last = of(some, n_trials=max(one.n_trials for one in some))
        table.add(
            recorded.key,
            str(len(some)),
            f"{share(one.refused for one in some):.3f}",
            f"{share(one.covered for one in some):.3f}",
            f"{share(one.covered_strictly for one in some):.3f}",
            f"{share(one.covered_expected for one in some):.3f}" + ("" if recorded.judges_expected else " (no bar)"),
            f"{share(one.covered_expected_of_runs for one in some):.3f}",
            f"{middle(one.width for one in some):.2f}",
            *(_number(middle(one.width for one in of(some, n_trials=n)), 2) for n in (16, 32, 64)),
            f"{share(one.covered for one in last):.3f}",
            *_plain(at_equal_coverage(last, 0.9)),
            *_plain(at_equal_coverage(last, LEVELS[0])),
            *_plain(at_equal_coverage(last, LEVELS[0], strictly=True)),
        )
    return table


def _plain(equal: EqualCoverage | None) -> list[str]:
    if equal is None:
        return ["", "", ""]
    return [f"{equal.width:.2f}", "above all" if math.isnan(equal.level) else f"{equal.level:.1%}", f"{equal.covered:.3f}"]


def _regrets(rows: Rows) -> Table:
    table = Table(
        "Mean regret of the answered point beside the best trial's and the plain process's: 0 is the best configuration, 1 the"
        " median one; differences are paired, with standard errors over jobs",
        ["set", "answered", "best trial", "plain", "answered - best trial", "answered - plain", "at 16", "at 32", "at 64"],
    )
    for recorded, some in rows:
        table.add(
            recorded.key,
            f"{mean(one.regret / one.scale for one in some):.3f}",
            f"{mean(one.regret_best_trial / one.scale for one in some):.3f}",
            _number(mean(one.regret_plain / one.scale for one in some), 3),
            str(against(some, "best_trial")),
            _paired(some, "plain"),
            *(_paired(of(some, n_trials=n), "best_trial") for n in (16, 32, 64)),
        )
    return table


def _verdicts(rows: Rows) -> Table:
    table = Table(
        "Verdicts: confident answers, and how many lose no more than the tolerance; ranges called too narrow, how often falsely,"
        " and how often with no rate within tolerance of the best at that end either; confident after the further trials that"
        " were named, of how many, and how often they were too many to judge; safe ranges at the largest number of trials",
        ["set", "tolerance / median regret", "confident", "at 64", "right of these", "too narrow", "falsely", "beyond tolerance",
         "then confident", "of", "too many", "safe", "width", "retuned safe", "interval at params"],
    )  # fmt: skip
    for recorded, some in rows:
        last = of(some, n_trials=max(one.n_trials for one in some))
        told = [one for one in some if one.further_confident is not None]
        table.add(
            recorded.key,
            f"{recorded.tolerance / recorded.scale:.3f}",
            f"{share(one.confident for one in some):.2f}",
            _number(share(one.confident for one in of(some, n_trials=64)), 2),
            _number(share(one.right for one in some if one.confident), 3),
            f"{share(one.false_edge is not None for one in some):.3f}",
            f"{share(bool(one.false_edge) for one in some):.3f}",
            f"{share(bool(one.false_edge_beyond) for one in some):.3f}",
            _number(share(one.further_confident for one in told), 2),
            str(len(told)),
            str(sum(one.further is not None for one in some) - len(told)),
            _number(share(one.safe for one in last), 2),
            _number(middle(one.safe_width for one in last), 2),
            _number(share(one.safe_retuned for one in last), 2),
            _number(share(one.covered_at_params for one in last), 2),
        )
    return table


def _by_size(judged: Sequence[Judged]) -> Table:
    table = Table(
        "By number of trials and by strategy, over all sets and spaces",
        ["trials", "strategy", "answers", "covered", "strictly", "expected", "confident", "right of these", "width"],
    )
    for n_trials in sorted({one.n_trials for one in judged}):
        for strategy in ("", *STRATEGIES):
            some = [one for one in of(judged, n_trials=n_trials) if strategy in ("", one.strategy)]
            if not some:
                continue
            table.add(
                str(n_trials),
                strategy or "all",
                str(len(some)),
                f"{share(one.covered for one in some):.3f}",
                f"{share(one.covered_strictly for one in some):.3f}",
                f"{share(one.covered_expected for one in some):.3f}",
                f"{share(one.confident for one in some):.2f}",
                _number(share(one.right for one in some if one.confident), 3),
                f"{middle(one.width for one in some):.2f}",
            )
    return table


def _seconds(judged: Sequence[Judged]) -> Table:
    table = Table("Seconds for an answer", ["median", "99%", "longest"])
    times = sorted(one.seconds for one in judged if not math.isnan(one.seconds))
    table.add(*(f"{times[int(part * (len(times) - 1))]:.2f}" for part in (0.5, 0.99, 1.0)))
    return table


def _paired(some: Sequence[Judged], other: str) -> str:
    found = against(some, other)
    return "" if math.isnan(found.mean) else str(found)


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"
