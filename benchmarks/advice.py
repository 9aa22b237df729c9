"""Advice: whether jobs made to show one trouble each get the right advice first, and whether following it helps.

    python -m benchmarks.advice [--dev] [--out benchmarks/results]        about a quarter of an hour on two cores

Every job trains for real, through the API. Its first advice is compared with the trouble that the job was made to show; then the
advised next job is submitted as it is, and its best value is compared with the first job's. Both have the same seed and, unless
the advice says otherwise, as many trials.

The rules and their thresholds were made on the jobs in DEV (digits and diabetes). Each later version was first measured on a new
set, and the next one improved on it: the first on SECOND (breast cancer, wine, generated tables, words of texts; right in 12 of
22), the second on THIRD (right in 18 of 23, and advice on three of six healthy jobs), the third on FOURTH (right in 19 of 23, and
advice on one of six healthy jobs). The promise is measured on the jobs in PROOF: other tables, other texts, another seed. They
chose no threshold and no rule, and were run once.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from benchmarks import advice_jobs, advice_proof
from benchmarks.advice_jobs import DEV, FOURTH, SECOND, THIRD, Case
from benchmarks.advice_proof import PROOF, PROOF_SEED
from benchmarks.tables import Table, publish
from benchmarks.temporary_stride import temporary_stride
from examples.demo import FINAL, ask

RIGHT, BETTER = 18 / 20, 15 / 20
"""The promises: parts of the jobs with a trouble whose first advice is right, and whose next job's best value is better."""
DEV_SEED, SECOND_SEED, THIRD_SEED, FOURTH_SEED = 7, 1_000_003, 2_000_003, 3_000_017
POLL_S = 1.0


@dataclass(frozen=True)
class Outcome:
    """A job, its advice, and the job that followed it."""

    case: Case
    codes: Sequence[str]
    advice: str
    best: float | None
    next_best: float | None

    @property
    def is_right(self) -> bool:
        """Whether the trouble comes first; of a healthy job, whether there is no advice."""
        return self.codes[:1] == ([] if self.case.trouble is None else [self.case.trouble])

    @property
    def is_better(self) -> bool:
        """Whether the next job's best value is better; all metrics are losses."""
        return self.next_best is not None and (self.best is None or self.next_best < self.best)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", action="store_true", help="the jobs that the rules were made on; publishes nothing")
    parser.add_argument("--out", type=Path, help="folder for the report")
    arguments = parser.parse_args()
    if arguments.dev:
        made_on = ((DEV, DEV_SEED), (SECOND, SECOND_SEED), (THIRD, THIRD_SEED), (FOURTH, FOURTH_SEED))
        outcomes = [outcome for cases, seed in made_on for outcome in _run(cases, seed)]
        print("\n\n".join(table.markdown() for table in _tables(outcomes)[0]))
    elif prove(arguments.out):
        sys.exit("A promise was broken: see the tables.")


def prove(out: Path | None) -> int:
    """Publish the tables; the number of promises that were broken."""
    tables, broken = _tables(_run(PROOF, PROOF_SEED))
    publish("advice", tables, 1, out)
    return broken


def _run(cases: Sequence[Case], seed: int) -> list[Outcome]:
    with tempfile.TemporaryDirectory(prefix="stride-advice-") as folder:
        data = Path(folder)
        advice_jobs.write_tables(data)
        advice_proof.write_tables(data)
        with temporary_stride(workers=2, STRIDE_DATA_FOLDERS=folder) as stride:
            api = stride.api
            first = _finished(api, [case.document(data) | {"name": case.name, "seed": seed} for case in cases])
            views = [ask(api, "GET", f"/v1/jobs/{job['id']}/advice") for job in first]
            advised = [view["items"][0] if view["items"] else None for view in views]
            wanted = [index for index, item in enumerate(advised) if item and item["next_job"]]
            followed = dict(zip(wanted, _finished(api, [advised[index]["next_job"] for index in wanted]), strict=True))
    return [
        Outcome(
            case,
            [item["code"] for item in views[index]["items"]],
            advised[index]["advice"] if advised[index] else "",
            _best(first[index]),
            _best(followed[index]) if index in followed else None,
        )
        for index, case in enumerate(cases)
    ]


def _finished(api: httpx2.Client, documents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    ids = [ask(api, "POST", "/v1/jobs", json=document)["id"] for document in documents]
    while any(ask(api, "GET", f"/v1/jobs/{each}")["state"] not in FINAL for each in ids):
        time.sleep(POLL_S)
    return [ask(api, "GET", f"/v1/jobs/{each}") for each in ids]


def _best(job: Mapping[str, Any]) -> float | None:
    return None if job["best"] is None else job["best"]["value"]


def _tables(outcomes: Sequence[Outcome]) -> tuple[list[Table], int]:
    table = Table(
        "Jobs made to show one trouble each",
        ["job", "trouble", "first advice", "right", "others", "best loss", "best loss of the next job", "better"],
    )
    troubled = [each for each in outcomes if each.case.trouble is not None]
    for each in troubled:
        table.add(
            each.case.name,
            str(each.case.trouble),
            f"{each.codes[0]}: {each.advice}" if each.codes else "none",
            _yes(each.is_right),
            ", ".join(each.codes[1:]) or "-",
            _number(each.best),
            _number(each.next_best),
            _yes(each.is_better),
        )
    healthy = Table("Healthy jobs", ["job", "advice", "none, as it should be"])
    for each in outcomes:
        if each.case.trouble is None:
            healthy.add(each.case.name, ", ".join(each.codes) or "none", _yes(each.is_right))
    n, right, better = len(troubled), sum(each.is_right for each in troubled), sum(each.is_better for each in troubled)
    kept = [right >= RIGHT * n, better >= BETTER * n]
    promises = Table("Promises", ["what", "measured", "kept"])
    promises.add(f"the right advice comes first in {RIGHT:.0%}", f"{right} of {n}", _yes(kept[0]))
    promises.add(f"the next job's best loss is better in {BETTER:.0%}", f"{better} of {n}", _yes(kept[1]))
    return [table, healthy, promises], kept.count(False)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _yes(kept: bool) -> str:
    return "yes" if kept else "NO"


if __name__ == "__main__":
    main()
