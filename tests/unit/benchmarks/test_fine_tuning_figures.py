import re

import pytest

from benchmarks.fine_tuning import FOLDS, SEEDS, Run, Score, interval, tuned


def test_rates_are_tuned_by_fold_on_validation_and_judged_by_test() -> None:
    runs, scores = [], []
    for fold in FOLDS:
        for rate in (0.1, 0.2):
            for seed in SEEDS:
                runs.append(Run(settings={"fold": fold}, params={"learning_rate": rate, "layer_decay": 1.0}, seed=seed))
                is_best = rate == (0.2 if fold == 3 else 0.1)
                loss = (0.5 if is_best else 0.6) + seed / 100
                scores.append(
                    Score(validation_loss=loss, test_loss=seed + (10 if is_best else 0), test_accuracy=0.5 if is_best else 1.0)
                )
    found = tuned(runs, scores)
    assert found.rates == [0.1, 0.1, 0.1, 0.2, 0.1]
    assert found.accuracies == [0.5] * 5
    assert found.losses == [10.0, 11.0, 12.0, 13.0, 14.0]


def test_an_interval_is_that_of_student() -> None:
    found = interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert [float(number) for number in re.findall(r"[\d.]+", found)] == pytest.approx([3.0, 1.0368, 4.9632], abs=1e-4)
