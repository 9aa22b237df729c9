"""Whether points that are retrained before one is answered make the answer better: the same budgets with and without.

    python -m benchmarks.confirmation [--sets hpobench digits] [--jobs 69] [--seed 0] [--trained 12] [--out FOLDER]

With confirmation, the last tenth of a budget of 16, 32 or 64 trials, at least three, retrains candidates with fresh seeds, and
the answer is one of them. First on recorded training (benchmarks/recorded/confirming.py, which says how fresh runs are drawn):
jobs as in benchmarks/answer_quality_real.py, of the sets that have several seeds, whose truth is the mean over them. Then on
digits, wine and diabetes, trained for real: jobs of 32 trials, whose answered point and best trial's point are trained again with
the same 12 seeds, which no job has. The constants were chosen on seeds from 10,000 on, which are not used here. Exits 1 when a
promise is broken.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from benchmarks.recorded import registry, trained_jobs
from benchmarks.recorded.confirming import Confirmed, judge
from benchmarks.recorded.figures import Paired, against, mean, share
from benchmarks.recorded.sampling import STRATEGIES
from benchmarks.recorded.trained_jobs import TrainedJob
from benchmarks.tables import Table, publish

GROUPS = ("hpobench", "digits", "wine", "breast_cancer", "diabetes")
"""Those with several seeds for each point."""
SIZES = (16, 32, 64)
JOBS, TRAINED = 69, 12
ERRORS = 2.0
"""A difference counts from so many standard errors on."""
COVERED = 0.85
"""Of `expected`, in every set."""
DIFFERENCES = ("best_trial", "best_of_all", "without")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(GROUPS), help="groups, or words in the names of sets and spaces")
    parser.add_argument("--jobs", type=int, default=JOBS, help="of each set and space")
    parser.add_argument("--seed", type=int, default=0, help="of the first job")
    parser.add_argument("--trained", type=int, default=TRAINED, help="jobs of each data set that are trained for real")
    parser.add_argument("--reference", help="folder of the reference files")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, help="folder for the report")
    arguments = parser.parse_args()
    broken = compare(
        arguments.sets,
        jobs=arguments.jobs,
        seed=arguments.seed,
        n_trained=arguments.trained,
        reference=arguments.reference,
        processes=arguments.processes,
        out=arguments.out,
    )
    if broken:
        sys.exit(f"{broken} promises were broken: see the last table.")


def prove(out: Path | None) -> int:
    """Judge all sets, and publish the tables; the number of promises that were broken."""
    return compare(GROUPS, jobs=JOBS, seed=0, n_trained=TRAINED, reference=None, processes=os.cpu_count(), out=out)


def compare(
    sets: Sequence[str], *, jobs: int, seed: int, n_trained: int, reference: str | None, processes: int | None, out: Path | None
) -> int:
    """Publish the tables; the number of promises that were broken."""
    found, missing = registry.find(sets, reference)
    for line in missing:
        print(line, file=sys.stderr)
    tasks = [
        (group, key, STRATEGIES[index % len(STRATEGIES)], seed + index, n_trials)
        for group, key in found
        for index in range(jobs)
        for n_trials in SIZES
    ]
    to_train = [(name, seed + index) for name in trained_jobs.DATA_SETS for index in range(n_trained)]
    for threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # one process a core; its numpy reads it when it is imported
        os.environ.setdefault(threads, "1")
    with get_context("spawn").Pool(processes) as pool:
        judged = [one for one in pool.imap(partial(_judge, reference=reference), tasks, chunksize=9) if one is not None]
        trained = list(pool.imap(trained_jobs.judge, to_train))
    drawn = f"{jobs} jobs of each, seeds {seed} to {seed + jobs - 1}, at {', '.join(map(str, SIZES))} trials"
    promises, broken = _promises(judged, trained)
    publish("confirmation", [_of_sets(judged, drawn), _by_size(judged), _trained(trained), promises], 1, out)
    return broken


def _judge(task: tuple[str, str, str, int, int], reference: str | None) -> Confirmed | None:
    group, key, strategy, seed, n_trials = task
    return judge(registry.load(group, reference)[key], strategy, seed, n_trials)


def _by_key(judged: Sequence[Confirmed]) -> dict[str, list[Confirmed]]:
    found: dict[str, list[Confirmed]] = {}
    for one in judged:
        found.setdefault(f"{one.recorded}: {one.space}", []).append(one)
    return found


def _of_sets(judged: Sequence[Confirmed], drawn: str) -> Table:
    table = Table(
        "Mean regret: 0 is the best configuration, 1 the median one; differences are paired, with standard errors over jobs. The"
        " best trial is that of the search, which has a tenth fewer trials than the budget; best of all: of the same budget"
        " without confirmation."
        f" How often `expected` holds the true cost of the answered point; {drawn}",
        ["set", "answered", "best trial", "without", "best of all", "answered - best trial", "answered - best of all",
         "answered - without", "expected", "without", "candidates", "fresh runs"],
    )  # fmt: skip
    for key, some in [*_by_key(judged).items(), ("all", list(judged))]:
        table.add(key, *_regrets(some), f"{mean(one.n_candidates for one in some):.1f}", f"{mean(one.runs for one in some):.1f}")
    return table


def _regrets(some: Sequence[Confirmed]) -> list[str]:
    return [
        f"{mean(one.regret / one.scale for one in some):.3f}",
        f"{mean(one.regret_best_trial / one.scale for one in some):.3f}",
        f"{mean(one.regret_without / one.scale for one in some):.3f}",
        f"{mean(one.regret_best_of_all / one.scale for one in some):.3f}",
        *(str(against(some, other)) for other in DIFFERENCES),
        f"{share(one.covered for one in some):.3f}",
        f"{share(one.covered_without for one in some):.3f}",
    ]


def _by_size(judged: Sequence[Confirmed]) -> Table:
    table = Table(
        "By number of trials, over all sets; of confident answers, how many lose no more than the tolerance",
        ["trials", "answered", "best trial", "without", "best of all", "answered - best trial", "answered - best of all",
         "answered - without", "expected", "without", "confident", "right of these"],
    )  # fmt: skip
    for n_trials in SIZES:
        if some := [one for one in judged if one.n_trials == n_trials]:
            right = share(one.right for one in some if one.confident)
            table.add(str(n_trials), *_regrets(some), f"{share(one.confident for one in some):.2f}", f"{right:.3f}")
    return table


def _trained(trained: Sequence[TrainedJob]) -> Table:
    table = Table(
        f"Trained for real: jobs of {trained_jobs.N_TRIALS} random trials; mean loss over {trained_jobs.N_SEEDS} fresh seeds of"
        " the answered point and of the best trial's, and the share of jobs whose `expected` holds the former, widened by two of"
        " its standard errors",
        ["data set", "jobs", "answered", "best trial", "answered - best trial", "expected"],
    )
    for name in trained_jobs.DATA_SETS:
        if some := [one for one in trained if one.name == name]:
            table.add(
                name,
                str(len(some)),
                f"{mean(one.answered for one in some):.4f}",
                f"{mean(one.best_trial for one in some):.4f}",
                _digits(_difference(some)),
                f"{share(one.covered for one in some):.2f}",
            )
    return table


def _difference(some: Sequence[TrainedJob]) -> Paired:
    return Paired.of([one.answered - one.best_trial for one in some])


def _digits(paired: Paired) -> str:
    return f"{paired.mean:+.4f} ± {paired.error:.4f}"


def _promises(judged: Sequence[Confirmed], trained: Sequence[TrainedJob]) -> tuple[Table, int]:
    by_key = {key: against(some, "best_trial") for key, some in _by_key(judged).items()}
    by_key |= {
        f"{name}, trained": _difference([one for one in trained if one.name == name]) for name in {one.name for one in trained}
    }
    above = [f"{key} {paired}" for key, paired in sorted(by_key.items()) if paired.mean > ERRORS * paired.error]
    covered = {key: share(one.covered for one in some) for key, some in _by_key(judged).items()}
    low = [f"{key} {part:.3f}" for key, part in covered.items() if part < COVERED]
    over_all = against(judged, "best_trial")
    rows = [
        (f"in no set regret above that of the best trial by more than {ERRORS:g} standard errors", "; ".join(above) or "none",
         not above),
        (f"over all sets, regret below that of the best trial by {ERRORS:g} standard errors", str(over_all),
         over_all.mean < -ERRORS * over_all.error),
        (f"`expected` holds the truth: at least {COVERED} in every set", "; ".join(low) or "all", not low),
    ]  # fmt: skip
    table = Table("Promises", ["what", "measured", "kept"])
    for what, measured, kept in rows:
        table.add(what, measured, "yes" if kept else "NO")
    return table, sum(not kept for *_, kept in rows)


if __name__ == "__main__":
    main()
