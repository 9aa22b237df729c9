"""Statistics of many judged answers: shares, medians, and differences paired by job."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Protocol, Self

import numpy as np

from benchmarks.recorded.judging import Judged
from benchmarks.recorded.plain_peer import LEVELS


def share(values: Iterable[bool | None]) -> float:
    """Of those to which it applies; nan where there are none."""
    applies = [bool(value) for value in values if value is not None]
    return fmean(applies) if applies else math.nan


def middle(values: Iterable[float]) -> float:
    """Their median, without those that do not apply; nan where there are none."""
    applies = [value for value in values if not math.isnan(value)]
    return median(applies) if applies else math.nan


def mean(values: Iterable[float]) -> float:
    applies = [value for value in values if not math.isnan(value)]
    return fmean(applies) if applies else math.nan


@dataclass(frozen=True, kw_only=True)
class Paired:
    """A mean difference with its standard error."""

    mean: float
    error: float

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ± {self.error:.3f}"

    @classmethod
    def of(cls, differences: Sequence[float]) -> Self:
        """Of at least two independent differences, else nan."""
        if len(differences) < 2:
            return cls(mean=math.nan, error=math.nan)
        return cls(mean=fmean(differences), error=float(np.std(differences, ddof=1)) / math.sqrt(len(differences)))


class Compared(Protocol):
    """An answer about a recorded job, with regrets to compare."""

    @property
    def recorded(self) -> str: ...
    @property
    def space(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def scale(self) -> float: ...
    @property
    def regret(self) -> float: ...


def against(judged: Sequence[Compared], other: str) -> Paired:
    """What the answered point loses more than `regret_<other>`, in units of what the median configuration loses.

    Answers about the same job are not independent: the error is that of the means of jobs.
    """
    by_job: defaultdict[tuple[str, str, int], list[float]] = defaultdict(list)
    for one in judged:
        difference = (one.regret - getattr(one, f"regret_{other}")) / one.scale
        if not math.isnan(difference):
            by_job[one.recorded, one.space, one.seed].append(difference)
    return Paired.of([fmean(differences) for differences in by_job.values()])


@dataclass(frozen=True, kw_only=True)
class EqualCoverage:
    """The plain process at the lowest level at which it holds the truth as often as Stride's interval does."""

    level: float
    """nan: at none of LEVELS; then the highest is taken."""
    covered: float
    width: float


def at_equal_coverage(judged: Sequence[Judged], lowest: float, *, strictly: bool = False) -> EqualCoverage | None:
    """From the level `lowest` on. strictly: covered without the clause of tolerance. None where the process was left out."""
    both = [one for one in judged if one.covered is not None and one.plain_covered]
    if not both:
        return None
    ours = share(one.covered_strictly if strictly else one.covered for one in both)
    for index, level in enumerate(LEVELS):
        covered = share((one.plain_covered_strictly if strictly else one.plain_covered)[index] for one in both)
        if level >= lowest and covered >= ours:
            return EqualCoverage(level=level, covered=covered, width=middle(one.plain_widths[index] for one in both))
    return EqualCoverage(level=math.nan, covered=covered, width=middle(one.plain_widths[-1] for one in both))


def of(judged: Sequence[Judged], *, key: str | None = None, n_trials: int | None = None) -> list[Judged]:
    """Those of a set and space, at a number of trials."""
    return [one for one in judged if key in (None, f"{one.recorded}: {one.space}") and n_trials in (None, one.n_trials)]
