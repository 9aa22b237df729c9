"""Predictions for batch sizes that a job did not see: what it sees of a table, and how a prediction is judged."""

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.batch_scaling_real import by_case, promises
from benchmarks.recorded.batch_judging import Case, JudgedPrediction, judge, part_of, table
from benchmarks.recorded.recorded_set import RATE

DIGITS = Case(group="digits", table="digits", tried=(16, 128), asked={64: "within", 512: "4 beyond", 256: "2 beyond"})


def judged(held: bool, width: float, where: str = "4 beyond", refused: bool = False) -> JudgedPrediction:
    plain = JudgedPrediction(
        group="digits", table="digits", strategy="qmc", seed=0, n_trials=32, batch_size=512, where=where, refused=refused
    )
    return plain if refused else replace(plain, held=held, held_strictly=held, held_exactly=held, low=-1.0, high=-1.0 + width)


class TestPart:
    def test_a_job_sees_the_batch_sizes_of_its_part_only(self) -> None:
        part = part_of("digits", 16, 128)
        assert part.search_space["batch_size"]["choices"] == [16, 32, 64, 128]
        assert {point["batch_size"] for point in part.points} == {16, 32, 64, 128}
        assert len(part.points) == len(part.runs) == len(part.truth) == 4 * len(part.rates)

    def test_it_has_the_rates_that_all_of_its_batch_sizes_have(self) -> None:
        part = part_of("digits", 64, 512)
        by_size = [
            {point[RATE] for point in table("digits").points if point["batch_size"] == size} for size in (64, 128, 256, 512)
        ]
        assert {point[RATE] for point in part.points} == set.intersection(*by_size)
        assert (part.search_space[RATE]["low"], part.search_space[RATE]["high"]) == (0.0003415, 1.0)
        assert part.index.shape == (len(part.rates), 4)

    def test_the_truth_of_a_batch_size_is_that_of_its_runs_alone(self) -> None:
        whole, part = table("digits"), part_of("digits", 512, 512)
        of_512 = [cost for point, cost in zip(whole.points, whole.truth, strict=True) if point["batch_size"] == 512]
        assert part.best == min(of_512)
        best = whole.points[list(whole.truth).index(min(of_512))]
        assert part.best_rate == pytest.approx(math.log10(best[RATE]))
        sd = float(part.sd[part.truth.argmin()])
        finite = np.array([cost for cost in of_512 if math.isfinite(cost)])
        assert part.tolerance == pytest.approx(max(sd, (np.quantile(finite, 0.8) - finite.min()) / 50))


def test_a_job_is_asked_for_every_batch_size_at_every_number_of_trials() -> None:
    found = judge(DIGITS, "qmc", 10_000, (32, 48))
    assert [(one.n_trials, one.batch_size) for one in found] == [(n, size) for n in (32, 48) for size in (64, 512, 256)]
    assert all(not one.refused and one.held for one in found)
    for one in found:
        best = part_of("digits", one.batch_size, one.batch_size).best_rate
        assert one.held_exactly == (one.low <= best <= one.high)
        assert one.off == pytest.approx(one.rate - best)
    assert found[1].width > found[0].width


def test_what_is_refused_is_neither_held_nor_missed() -> None:
    case = replace(DIGITS, tried=(16, 64), asked={512: "8 beyond"})
    (found,) = judge(case, "qmc", 10_000, (48,))
    assert found.refused
    assert found.held is None
    assert math.isnan(found.width)


@pytest.mark.parametrize(
    ("far", "broken"),
    [
        ([judged(True, 0.8)] * 9 + [judged(False, 0.8)], 0),
        ([judged(True, 0.8)] * 8 + [judged(False, 0.8)] * 2, 1),
        ([judged(True, 1.2)] * 6 + [judged(True, 0.8)] * 5, 1),
        ([judged(True, 0.8)] + [judged(False, math.nan, refused=True)] * 9, 0),
    ],
)
def test_promises_are_broken_by_misses_and_by_width(far: list[JudgedPrediction], broken: int) -> None:
    assert promises(far)[1] == broken
    assert promises([*far, judged(False, 0.5, where="within")])[1] == broken + 1
    assert by_case(far, "").rows[0][5] == f"{sum(not one.refused for one in far) / len(far):.3f}"
