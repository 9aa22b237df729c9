"""Whether the answers of `best-lr` hold on real training, and how often.

    python -m benchmarks.answer_quality_real [--sets hpobench deepobs] [--jobs 69] [--seed 0] [--peer-jobs 15] [--out FOLDER]

Jobs are drawn from recorded runs (benchmarks/recorded), whose truth is the mean over training seeds, by random search, QMC and
TPE in turn, and judged at 16, 32 and 64 trials, each set the beginning of the next. The tolerance is the judge's: the standard
deviation of one training at the true best point, at least a fiftieth of the 80th percentile of regret. The peer is a plain
Gaussian process with default settings; its level, 90%, is raised until it holds the truth as often. The answer's constants were
chosen on seeds from 10,000 on, which are not used here. Exits 1 when a promise is broken.

Reference files that the repository does not hold are read from --reference, $STRIDE_REFERENCE or ../shared/reference.
"""

import argparse
import csv
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from benchmarks.recorded import promises, registry, summary
from benchmarks.recorded.judging import Judged, judge
from benchmarks.recorded.sampling import STRATEGIES
from benchmarks.tables import publish

JOBS = 69
"""Of each set and space: at three numbers of trials, 207 answers."""

PEER_JOBS = 15
"""Of these, the plain process answers about so many, at the largest number of trials."""

Task = tuple[str, str, str, int, bool]
"""Group, key, strategy, seed, and whether the peer is asked."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=[], help="groups, or words in the names of sets and spaces; left out: all")
    parser.add_argument("--jobs", type=int, default=JOBS, help="of each set and space; at least 200 answers where left out")
    parser.add_argument("--seed", type=int, default=0, help="of the first job")
    parser.add_argument("--sizes", nargs="+", type=int, default=[16, 32, 64], help="numbers of trials")
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES), choices=STRATEGIES)
    parser.add_argument(
        "--peer-jobs",
        type=int,
        default=PEER_JOBS,
        help="about so many the plain process answers; it takes most of the time",
    )
    parser.add_argument("--no-further", action="store_true", help="do not go on with jobs by as many trials as an answer named")
    parser.add_argument("--reference", help="folder of the reference files")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--rows", type=Path, help="write every answer to this CSV file")
    parser.add_argument("--out", type=Path, help="folder for the report")
    parser.add_argument("--list", action="store_true", help="list the sets and spaces, and judge nothing")
    arguments = parser.parse_args()
    found, missing = registry.find(arguments.sets, arguments.reference)
    if arguments.list:
        print("\n".join([*(key for _, key in found), *missing]))
        return
    judged = judge_all(
        found,
        jobs=arguments.jobs,
        seed=arguments.seed,
        sizes=arguments.sizes,
        strategies=arguments.strategies,
        peer_jobs=arguments.peer_jobs,
        further=not arguments.no_further,
        reference=arguments.reference,
        processes=arguments.processes,
    )
    for line in missing:
        print(line, file=sys.stderr)
    if not judged:
        sys.exit("There is nothing to judge.")
    if arguments.rows is not None:
        write_rows(arguments.rows, judged)
    if broken := report(judged, found, arguments.reference, arguments.jobs, arguments.seed, arguments.out):
        sys.exit(f"{broken} promises were broken: see the last table.")


def prove(out: Path | None) -> int:
    """Judge all sets that are there, and publish the tables; the number of promises that were broken."""
    found, missing = registry.find([], None)
    for line in missing:
        print(line, file=sys.stderr)
    judged = judge_all(
        found,
        jobs=JOBS,
        seed=0,
        sizes=[16, 32, 64],
        strategies=STRATEGIES,
        peer_jobs=PEER_JOBS,
        further=True,
        reference=None,
        processes=os.cpu_count(),
    )
    return report(judged, found, None, JOBS, 0, out)


def report(
    judged: Sequence[Judged], found: Sequence[tuple[str, str]], reference: str | None, jobs: int, seed: int, out: Path | None
) -> int:
    """Publish the tables; the number of promises that were broken."""
    sets = [registry.load(group, reference)[key] for group, key in found]
    table, broken = promises.table(judged, sets)
    drawn = f"{jobs} jobs of each, seeds {seed} to {seed + jobs - 1}"
    publish("answer_quality_real", [*summary.tables(judged, sets, drawn), table], 1, out)
    return broken


def judge_all(
    found: Sequence[tuple[str, str]],
    *,
    jobs: int,
    seed: int,
    sizes: Sequence[int],
    strategies: Sequence[str],
    peer_jobs: int,
    further: bool,
    reference: str | None,
    processes: int | None,
) -> list[Judged]:
    """Every answer, in the order of sets, seeds and sizes; one process a core."""
    tasks = [
        (group, key, strategies[index % len(strategies)], seed + index, index < peer_jobs)
        for group, key in found
        for index in range(jobs)
    ]
    for threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # one process a core; its numpy reads it when it is imported
        os.environ.setdefault(threads, "1")
    work = partial(_judge, sizes=tuple(sizes), further=further, reference=reference)
    with get_context("spawn").Pool(processes) as pool:
        return [each for of_job in pool.imap(work, tasks, chunksize=3) for each in of_job]


def _judge(task: Task, sizes: Sequence[int], further: bool, reference: str | None) -> list[Judged]:
    group, key, strategy, seed, peer = task
    recorded = registry.load(group, reference)[key]
    return judge(recorded, strategy, seed, [n for n in sizes if n in recorded.sizes], peer=peer, further=further)


def write_rows(path: Path, judged: Sequence[Judged]) -> None:
    """A line an answer; what does not apply is empty, a sequence is separated by spaces."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        names = [field.name for field in fields(Judged)]
        writer.writerow(names)
        for one in judged:
            writer.writerow([_cell(value) for value in (asdict(one)[name] for name in names)])


def _cell(value: object) -> object:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, list | tuple):
        return " ".join(str(_cell(each)) for each in value)
    return int(value) if isinstance(value, bool) else f"{value:.6g}" if isinstance(value, float) else value


if __name__ == "__main__":
    main()
