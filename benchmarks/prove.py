"""The promised figures that take too long for `make test`.      make prove

20,000 trials of five jobs by 200 worker loops on one PostgreSQL (benchmarks/scale.py): every trial must be done exactly once.
Three strategies on digits, 64 trials each, for each of five job seeds: every best trial's validation loss must be among the best
10% of the reference set, and its test accuracy at least 0.95. Then eight workers on a grid of 60 points: every point exactly
once. Then what each objective reaches with its defaults (benchmarks/reached.py), whether learning to adapt beats training from
scratch (benchmarks/few_shot.py), that two processes train as one does (benchmarks/data_parallel.py), what the
callbacks for frameworks do (benchmarks/callbacks.py), how often diagnosis is right
(benchmarks/diagnosis.py), how often the answer's intervals hold the truth, on synthetic surfaces (benchmarks/answer_quality.py),
on recorded training (benchmarks/answer_quality_real.py) and on digits through the API (benchmarks/digits_answers.py), what
retraining before the answer brings (benchmarks/confirmation.py), early stopping, replayed and in a real job
(benchmarks/early_stopping.py), rates per layer in fine-tuning (benchmarks/fine_tuning.py), recipes at one rate for all and each
at its own (benchmarks/fair_comparison.py), optimizers without a search (benchmarks/without_a_search.py), whether advice is right
and helps (benchmarks/advice.py), 5,000 data files of all sorts (tests/loaders_fuzz), every reply of the database lost once
(tests/lost_replies), and twenty minutes of fault injection (tests/chaos). Writes reports; exits 1 when a promise is broken.
"""

import argparse
import sys
from pathlib import Path

from benchmarks import (
    advice,
    answer_quality,
    answer_quality_real,
    callbacks,
    confirmation,
    data_parallel,
    diagnosis,
    digits_answers,
    early_stopping,
    fair_comparison,
    few_shot,
    fine_tuning,
    reached,
    without_a_search,
)
from benchmarks.scale import loads, run_scale
from benchmarks.strategies import BETTER_THAN, TEST_ACCURACY, Found, run_grid_of_sixty, run_strategies
from benchmarks.tables import Table, publish
from benchmarks.temporary_stride import temporary_stride
from tests.chaos import run as chaos
from tests.loaders_fuzz import run as loaders_fuzz
from tests.lost_replies import run as lost_replies

SEEDS = range(5)
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the reports")
    arguments = parser.parse_args()
    broken = run_scale(loads(), arguments.out)
    table = Table(
        "Best of 64 trials on digits, beside 500 random configurations",
        ["job seed", "strategy", "learning rate", "validation loss", "better than", "test accuracy", "trials", "seconds", "kept"],
    )
    with temporary_stride() as stride:
        for seed in SEEDS:
            for found in run_strategies(stride.api, seed):
                kept = is_kept(found)
                broken += not kept
                table.add(str(seed), *_cells(found), "yes" if kept else "NO")
    grid = Table("A grid of 60 points, eight worker processes", ["trials", "different points", "workers that had trials", "kept"])
    with temporary_stride(workers=8) as stride:
        trials = run_grid_of_sixty(stride.api)
    points = {tuple(sorted(trial["params"].items())) for trial in trials}
    kept = len(trials) == len(points) == 60
    broken += not kept
    workers = {attempt["worker"] for trial in trials for attempt in trial["attempts"]}
    grid.add(str(len(trials)), str(len(points)), str(len(workers)), "yes" if kept else "NO")
    publish("prove_strategies", [table, grid], 1, arguments.out)
    broken += reached.prove(arguments.out)
    broken += few_shot.prove(arguments.out)
    broken += data_parallel.prove(arguments.out)
    broken += callbacks.prove(arguments.out)
    broken += diagnosis.prove(arguments.out)
    broken += answer_quality.prove(arguments.out)
    broken += answer_quality_real.prove(arguments.out)
    broken += confirmation.prove(arguments.out)
    broken += digits_answers.prove(arguments.out)
    broken += early_stopping.prove(arguments.out)
    broken += fine_tuning.prove(arguments.out)
    broken += fair_comparison.prove(arguments.out)
    broken += without_a_search.prove(arguments.out)
    broken += advice.prove(arguments.out)
    broken += loaders_fuzz.prove(arguments.out)
    broken += lost_replies.prove(arguments.out)
    broken += chaos.prove(arguments.out)
    if broken:
        sys.exit(f"{broken} promises were broken.")


def is_kept(found: Found) -> bool:
    """Whether a strategy found what is promised."""
    return found.better_than >= BETTER_THAN and found.test_accuracy >= TEST_ACCURACY


def _cells(found: Found) -> list[str]:
    return [
        found.strategy,
        f"{found.learning_rate:.4g}",
        f"{found.validation_loss:.4f}",
        f"{found.better_than:.1%}",
        f"{found.test_accuracy:.4f}",
        str(found.trials),
        f"{found.seconds:.0f}",
    ]


if __name__ == "__main__":
    main()
