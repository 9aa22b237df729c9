"""How often the rules of diagnosis are right: precision and recall of every verdict, on curves whose verdicts are known.

    python -m benchmarks.diagnosis [--curves 1000] [--seeds 100 101 102 103 104] [--out benchmarks/results]

The curves are drawn by benchmarks/curve_generator.py, written before the rules; those were developed on seeds 0 to 9.
Then on real runs (benchmarks/record_runs.py), labelled by eye from plots of their curves, before the rules were applied
to them; where the plot did not decide, a verdict is not counted. The rule for exploding gradients was corrected after a first
look at them. Writes a report; exits 1 when a verdict's precision or recall on drawn curves is below what is promised.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time
from types import SimpleNamespace

from benchmarks.curve_generator import LabelledCurve, draw_many
from benchmarks.record_runs import FOLDER, RUNS
from benchmarks.tables import Table, publish
from objectives.contract import Measurement
from objectives.diagnosis.diagnose import Diagnosis, Finding, diagnose

SEEDS = (100, 101, 102, 103, 104)
PROMISED = 0.95
LABELS = FOLDER / "real_runs_labels.jsonl"
WORST_FAMILIES = 12


@dataclass
class Score:
    """How often a verdict was found, and how often it was true."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def count(self, found: bool, true: bool) -> None:
        self.right += found and true
        self.wrong += found and not true
        self.missed += true and not found

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + self.missed)


@dataclass
class Scores:
    """Of all verdicts, on all curves."""

    by_verdict: dict[Diagnosis, Score] = field(default_factory=lambda: {verdict: Score() for verdict in Diagnosis})
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By family of curves and what was wrong."""
    milliseconds: list[float] = field(default_factory=list)
    """Of processor time, by curve."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=int, default=1_000, help="curves of each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--out", type=Path, help="folder for the report")
    arguments = parser.parse_args()
    if prove(arguments.out, arguments.curves, arguments.seeds):
        sys.exit(f"A verdict's precision or recall is below {PROMISED}.")


def prove(out: Path | None, n_curves: int = 1_000, seeds: Sequence[int] = SEEDS) -> int:
    """Publish the tables; the number of verdicts whose precision or recall on drawn curves is below what is promised."""
    scores = score(curve for seed in seeds for curve in draw_many(n_curves, seed))
    publish("diagnosis", [*tables(scores, n_curves, seeds), *tables_of_real_runs()], 1, out)
    return sum(min(each.precision, each.recall) < PROMISED for each in scores.by_verdict.values())


def tables_of_real_runs() -> list[Table]:
    """How often the rules agree with the eye, and each run about which they do not."""
    runs = [json.loads(line) for line in RUNS.read_text(encoding="utf-8").splitlines()]
    looks = [json.loads(line) for line in LABELS.read_text(encoding="utf-8").splitlines()]
    scores = {verdict: Score() for verdict in Diagnosis}
    errors = Table("Where the rules and the eye differ", ["run", "what was trained", "rules", "eye"])
    for run, look in zip(runs, looks, strict=True):
        steps = [SimpleNamespace(**step) for step in run["steps"]]
        found = {finding.verdict for finding in diagnose(steps, divergence=steps[-1].divergence)}
        judged = {verdict for verdict in Diagnosis if verdict not in look["unclear"]}
        for verdict in judged:
            scores[verdict].count(verdict in found, verdict in look["labels"])
        if found & judged != judged & set(look["labels"]):
            trained = {**run["settings"], **run["params"]}
            words = ", ".join(f"{name} {value}" for name, value in trained.items())
            errors.add(str(run["run"]), f"{run['objective']}: {words}", _words(found & judged), _words(look["labels"]))
    agreed = Table(f"{len(runs)} real runs, labelled by eye", ["verdict", "runs with it", "precision", "recall"])
    for verdict, one in scores.items():
        precision, recall = (f"{part:.3f}" for part in (one.precision, one.recall))
        n = one.right + one.missed
        agreed.add(verdict, str(n), precision if one.right + one.wrong else "never found", recall if n else "none")
    return [agreed, errors]


def _words(verdicts: Iterable[str]) -> str:
    return ", ".join(sorted(verdicts)) or "none"


def score(curves: Iterable[LabelledCurve]) -> Scores:
    """Diagnose every curve, and compare with what is known to be true of it."""
    scores = Scores()
    for curve in curves:
        started = process_time()
        found = {finding.verdict for finding in diagnosis_of(curve.curve)}
        scores.milliseconds.append((process_time() - started) * 1e3)
        for verdict, one in scores.by_verdict.items():
            one.count(verdict in found, verdict in curve.labels)
            if (verdict in found) != (verdict in curve.labels):
                scores.errors[curve.family, f"{'found' if verdict in found else 'missed'} {verdict}"] += 1
    return scores


def diagnosis_of(curve: Sequence[Measurement]) -> list[Finding]:
    """With the evidence that the run itself gives of its divergence, if any."""
    evidence = curve[-1].divergence
    return diagnose(curve, divergence=evidence.reason if evidence is not None else None)


def tables(scores: Scores, n_curves: int, seeds: Sequence[int]) -> list[Table]:
    drawn = f"{len(seeds) * n_curves} generated curves, seeds {', '.join(map(str, seeds))}"
    verdicts = Table(drawn, ["verdict", "curves with it", "precision", "recall"])
    for verdict, one in scores.by_verdict.items():
        verdicts.add(verdict, str(one.right + one.missed), f"{one.precision:.3f}", f"{one.recall:.3f}")
    families = Table("Families of curves with most errors", ["family", "errors", "of these"])
    n_errors: Counter[str] = Counter()
    for (family, _), n in scores.errors.items():
        n_errors[family] += n
    for family, total in n_errors.most_common(WORST_FAMILIES):
        kinds = [(error, n) for (where, error), n in scores.errors.most_common() if where == family]
        families.add(family, str(total), ", ".join(f"{error} {n}" for error, n in kinds))
    times = Table("Processor time of a diagnosis, ms", ["median", "99%", "longest"])
    ordered = sorted(scores.milliseconds)
    times.add(*(f"{ordered[int(part * (len(ordered) - 1))]:.1f}" for part in (0.5, 0.99, 1.0)))
    return [verdicts, families, times]


if __name__ == "__main__":
    main()
