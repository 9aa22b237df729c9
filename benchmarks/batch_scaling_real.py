"""Whether the best rate that a job predicts for another batch size holds on real training, and how often.

    python -m benchmarks.batch_scaling_real [--jobs 24] [--seed 0] [--sizes 32 64 96] [--tables digits] [--out FOLDER]

Jobs see some of a table's batch sizes, and are asked for larger ones, smaller ones, and ones that they saw
(benchmarks/recorded/batch_judging.py): HPOBench's four tasks from batches of up to 64 asked for 256, and digits from 16 to 128
asked for 512, both by training. Random search, QMC and TPE in turn. The constants of predictions were chosen on seeds from 10,000
on, which are not used here. Exits 1 when a promise is broken.

Reference files that the repository does not hold are read from --reference, $STRIDE_REFERENCE or ../shared/reference.
"""

import argparse
import csv
import math
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from benchmarks.recorded.batch_judging import CASES, Case, JudgedPrediction, judge, table
from benchmarks.recorded.figures import middle, share
from benchmarks.recorded.reference import Missing
from benchmarks.recorded.sampling import STRATEGIES
from benchmarks.tables import Table, publish

JOBS = 24
"""Of each table, in each direction."""
HELD, WIDTH, HELD_WITHIN = 0.85, 1.0, 0.9
"""Four times beyond what was tried at least HELD of the intervals hold, at a median width below WIDTH decades."""
PROMISED = ("hpobench", "digits")
"""For these groups, from small batch sizes to large ones."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=[], help="words in the names of tables; left out: all")
    parser.add_argument("--jobs", type=int, default=JOBS, help="of each table, in each direction")
    parser.add_argument("--seed", type=int, default=0, help="of the first job")
    parser.add_argument("--sizes", nargs="+", type=int, default=[32, 64, 96], help="numbers of trials")
    parser.add_argument("--reference", help="folder of the reference files")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--rows", type=Path, help="write every prediction to this CSV file")
    parser.add_argument("--out", type=Path, help="folder for the report")
    arguments = parser.parse_args()
    cases = _present([case for case in CASES if _is_wanted(case, arguments.tables)], arguments.reference)
    judged = judge_all(
        cases,
        jobs=arguments.jobs,
        seed=arguments.seed,
        sizes=arguments.sizes,
        reference=arguments.reference,
        processes=arguments.processes,
    )
    if not judged:
        sys.exit("There is nothing to judge.")
    if arguments.rows is not None:
        with arguments.rows.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(asdict(judged[0])))
            writer.writeheader()
            writer.writerows(asdict(one) for one in judged)
    promised, broken = promises(judged)
    drawn = f"{arguments.jobs} jobs of each, seeds {arguments.seed} to {arguments.seed + arguments.jobs - 1}"
    publish("batch_scaling_real", [by_case(judged, drawn), by_size(judged), promised], 1, arguments.out)
    if broken:
        sys.exit(f"{broken} promises were broken: see the last table.")


def _is_wanted(case: Case, words: Sequence[str]) -> bool:
    return not words or any(word in case.table for word in words)


def _present(cases: Sequence[Case], reference: str | None) -> list[Case]:
    found = []
    for case in cases:
        try:
            table(case.table, reference)
        except Missing as missing:
            print(f"{case.table}: {missing}", file=sys.stderr)
        else:
            found.append(case)
    return found


def judge_all(
    cases: Sequence[Case], *, jobs: int, seed: int, sizes: Sequence[int], reference: str | None, processes: int | None
) -> list[JudgedPrediction]:
    """Every prediction, in the order of cases, seeds and sizes; one process a core."""
    tasks = [(case, STRATEGIES[index % len(STRATEGIES)], seed + index) for case in cases for index in range(jobs)]
    for threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # one process a core; its numpy reads it when it is imported
        os.environ.setdefault(threads, "1")
    work = partial(_judge, sizes=tuple(sizes), reference=reference)
    with get_context("spawn").Pool(processes) as pool:
        return [each for of_job in pool.imap(work, tasks, chunksize=3) for each in of_job]


def _judge(task: tuple[Case, str, int], sizes: Sequence[int], reference: str | None) -> list[JudgedPrediction]:
    case, strategy, seed = task
    return judge(case, strategy, seed, sizes, reference)


def by_case(judged: Sequence[JudgedPrediction], drawn: str) -> Table:
    """A row for each table, direction and batch size, and for each group."""
    found = Table(
        "Predicted best rates: how often there is a prediction; how often its interval, and half a tabulated step further, holds"
        " a rate within tolerance of the best with that batch size, and the best rate itself; that one without half a step;"
        f" median width in decades, and how far the prediction lies from the best rate; {drawn}",
        ["group", "table", "asked for", "where", "asked", "predicted", "held", "strictly", "without half a step", "width", "off"],
    )
    for key in dict.fromkeys((one.group, one.table, one.batch_size, one.where) for one in judged):
        some = [one for one in judged if (one.group, one.table, one.batch_size, one.where) == key]
        found.add(key[0], key[1], str(key[2]), key[3], *_measures(some))
    for group, where in dict.fromkeys((one.group, one.where) for one in judged):
        found.add(group, "all", "", where, *_measures(_of(judged, group, where)))
    return found


def by_size(judged: Sequence[JudgedPrediction]) -> Table:
    """A row for each group and number of trials, four times beyond or below what was tried."""
    found = Table(
        "By number of trials, four times beyond or below what was tried",
        ["group", "where", "trials", "asked", "predicted", "held", "strictly", "without half a step", "width", "off"],
    )
    far = [one for one in judged if one.where.startswith("4")]
    for group, where, n in dict.fromkeys((one.group, one.where, one.n_trials) for one in far):
        found.add(group, where, str(n), *_measures([one for one in _of(far, group, where) if one.n_trials == n]))
    return found


def _measures(some: Sequence[JudgedPrediction]) -> list[str]:
    return [
        str(len(some)),
        f"{share(not one.refused for one in some):.3f}",
        f"{share(one.held for one in some):.3f}",
        f"{share(one.held_strictly for one in some):.3f}",
        f"{share(one.held_exactly for one in some):.3f}",
        f"{middle(one.width for one in some):.2f}",
        f"{middle(one.off for one in some):+.2f}",
    ]


def promises(judged: Sequence[JudgedPrediction]) -> tuple[Table, int]:
    """What is promised, and how many promises are broken."""
    found = Table("Promises", ["what", "measured", "kept"])
    broken = 0
    for group in PROMISED:
        far, within = _of(judged, group, "4 beyond"), _of(judged, group, "within")
        if not far:
            continue
        held, width, inside = share(one.held for one in far), middle(one.width for one in far), share(one.held for one in within)
        for what, measured, kept in (
            (f"{group}, four times the largest: at least {HELD} hold", f"{held:.3f}", held >= HELD),
            (f"{group}, four times the largest: median width below {WIDTH:g} decade", f"{width:.2f}", width < WIDTH),
            (f"{group}, within what was tried: at least {HELD_WITHIN} hold", f"{inside:.3f}", inside >= HELD_WITHIN),
        ):
            if math.isnan(float(measured)):
                continue
            found.add(what, measured, "yes" if kept else "NO")
            broken += not kept
    return found, broken


def _of(judged: Iterable[JudgedPrediction], group: str, where: str) -> list[JudgedPrediction]:
    return [one for one in judged if one.group == group and one.where == where]


if __name__ == "__main__":
    main()
