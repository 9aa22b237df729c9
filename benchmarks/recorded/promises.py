"""The promises about answers on recorded runs, and whether they were kept."""

import math
from collections.abc import Callable, Sequence

from benchmarks.recorded.figures import against, at_equal_coverage, middle, of, share
from benchmarks.recorded.judging import Judged
from benchmarks.recorded.recorded_set import RecordedSet
from benchmarks.tables import Table

COVERED = 0.85
"""In every set and space: of intervals, and of `expected`."""
ERRORS = 2.0
"""A difference counts from so many standard errors on."""
RIGHT = 0.9
"""Of the confident answers."""
CONFIDENT = 0.5
"""At 64 trials of the rate alone."""
LEVEL = 0.9
"""Of the plain process, from which it is raised."""
THEN_CONFIDENT = 2 / 3
"""After the further trials that an answer named."""
SAFE = 0.85
"""Of safe ranges at 64 trials: both ends lose no more than the tolerance to the answered point."""

Promise = tuple[str, str, bool]
"""What, as measured, whether it was kept."""


def table(judged: Sequence[Judged], sets: Sequence[RecordedSet]) -> tuple[Table, int]:
    """The promises, and how many are broken. Sets without bars do not count."""
    with_bars = [recorded for recorded in sets if recorded.has_bars and of(judged, key=recorded.key)]
    counted = [one for recorded in with_bars for one in of(judged, key=recorded.key)]
    found = Table("Promises", ["what", "measured", "kept"])
    kept = [*_of_sets(counted, with_bars), *_over_all(counted)] if counted else []
    for what, measured, is_kept in kept:
        found.add(what, measured, "yes" if is_kept else "NO")
    return found, sum(not is_kept for *_, is_kept in kept)


def _of_sets(judged: Sequence[Judged], sets: Sequence[RecordedSet]) -> list[Promise]:
    """What holds in every set and space."""

    def everywhere(what: str, measure: Callable[[list[Judged]], tuple[str, bool]], which: Sequence[RecordedSet]) -> Promise:
        measured = [(recorded.key, *measure(of(judged, key=recorded.key))) for recorded in which]
        broken = [f"{key} {told}" for key, told, is_kept in measured if not is_kept]
        return what, f"{len(measured) - len(broken)} of {len(measured)}" + "".join(f"; {each}" for each in broken), not broken

    def covered(some: list[Judged]) -> tuple[str, bool]:
        part = share(one.covered for one in some)
        return f"{part:.3f}", part >= COVERED

    def expected(some: list[Judged]) -> tuple[str, bool]:
        part = share(one.covered_expected for one in some)
        return f"{part:.3f}", part >= COVERED

    def regret(some: list[Judged]) -> tuple[str, bool]:
        paired = against(some, "best_trial")
        return str(paired), not paired.mean > ERRORS * paired.error

    def width(some: list[Judged]) -> tuple[str, bool]:
        last = of(some, n_trials=64)
        equal, ours = at_equal_coverage(last, LEVEL), middle(one.width for one in last)
        return (
            ("", True) if equal is None else (f"{ours:.2f} for {equal.width:.2f}", ours <= equal.width or math.isnan(equal.level))
        )

    found = [
        everywhere(f"intervals hold the truth: at least {COVERED}", covered, sets),
        everywhere(f"`expected` holds the truth: at least {COVERED}", expected, [each for each in sets if each.judges_expected]),
        everywhere(f"regret above that of the best trial by no more than {ERRORS:g} standard errors", regret, sets),
    ]
    with_peer = {f"{one.recorded}: {one.space}" for one in judged if one.plain_covered and one.n_trials == 64}
    if with_peer:
        what = "median width at 64 trials at most the plain process's that covers as much"
        found.append(everywhere(what, width, [each for each in sets if each.key in with_peer]))
    return found


def _over_all(judged: Sequence[Judged]) -> list[Promise]:
    paired = against(judged, "best_trial")
    right = share(one.right for one in judged if one.confident)
    alone = share(one.confident for one in judged if one.space == "rate" and one.n_trials == 64)
    falsely = [one for one in judged if one.false_edge_beyond]
    strictly = sum(bool(one.false_edge) for one in judged)
    then = [one for one in judged if one.further_confident is not None]
    part, safe = share(one.further_confident for one in then), share(one.safe for one in judged if one.n_trials == 64)
    where = sorted({f"{one.recorded}: {one.space}" for one in falsely})
    found = [
        (f"over all sets, regret below that of the best trial by {ERRORS:g} standard errors", str(paired),
         paired.mean < -ERRORS * paired.error),
        (f"of confident answers, at least {RIGHT} lose no more than the tolerance", f"{right:.3f}", right >= RIGHT),
        (f"at 64 trials of the rate alone at least {CONFIDENT} are confident", f"{alone:.2f}", alone >= CONFIDENT),
        ("no range is called too narrow whose best rate, or one within tolerance, is not at that end",
         f"{len(falsely)} of {len(judged)} are{''.join(f'; {each}' for each in where)} (without that clause {strictly})",
         not falsely),
        ("confident after the further trials named: at least two thirds", f"{part:.2f} of {len(then)}", part >= THEN_CONFIDENT),
        (f"safe ranges at 64 trials lose at most the tolerance at both ends: at least {SAFE}", f"{safe:.2f}", safe >= SAFE),
    ]  # fmt: skip
    return [each for each in found if "nan" not in each[1]]
