"""Loaders on thousands of files that people might have: python -m tests.loaders_fuzz

Each file must be read as what it says, or be refused with a DataProblem: no other exception, no row or column lost in silence.
The cases are the same in every run.
"""

import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from benchmarks.tables import Table, publish
from tests.loaders_fuzz.csv_files import check_csv, csv_cases
from tests.loaders_fuzz.idx_files import check_idx, idx_cases
from tests.loaders_fuzz.image_tables import check_image_table, image_table_cases
from tests.loaders_fuzz.images import check_image, image_cases
from tests.loaders_fuzz.outcome import Outcome
from tests.loaders_fuzz.parquet_files import check_parquet, parquet_cases

N_PROVED = 5_000


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of file: cases of it, and what must hold for each."""

    share: float
    """The part of all cases."""
    cases: SearchStrategy[Any]
    check: Callable[[Any, Path], Outcome]


KINDS: Mapping[str, Kind] = {
    "CSV": Kind(share=0.4, cases=csv_cases(), check=check_csv),
    "images": Kind(share=0.2, cases=image_cases(), check=check_image),
    "image parquet": Kind(share=0.1, cases=image_table_cases(), check=check_image_table),
    "idx": Kind(share=0.1, cases=idx_cases(), check=check_idx),
    "parquet": Kind(share=0.2, cases=parquet_cases(), check=check_parquet),
}


def fuzz(kind: Kind, n: int) -> Counter[Outcome]:
    """How n cases ended. Raises what the first case raises that is neither read as it says nor refused."""
    outcomes: Counter[Outcome] = Counter()

    @settings(max_examples=n, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=kind.cases)
    def run(case: Any) -> None:
        with TemporaryDirectory(prefix="stride-fuzz-") as folder:
            outcomes[kind.check(case, Path(folder))] += 1

    run()
    return outcomes


def prove(out: Path | None) -> int:
    """Fuzz all loaders and report on it, also in the folder `out`; returns how many kinds of file had a wrong end."""
    table = Table(
        f"{N_PROVED:,} files: each is read as it says, or refused",
        ["kind", "files", "read", "read after damage", "refused", "seconds", "kept"],
    )
    broken = 0
    for name, kind in KINDS.items():
        begun = time.monotonic()
        n = round(N_PROVED * kind.share)
        try:
            outcomes = fuzz(kind, n)
            cells = [str(outcomes[outcome]) for outcome in ("read", "read, damaged", "refused")]
        except Exception as error:  # of any loader
            broken += 1
            traceback.print_exc()  # with the case
            cells = [type(error).__name__, "", ""]
        table.add(name, str(n), *cells, f"{time.monotonic() - begun:.0f}", "NO" if not cells[1] else "yes")
    publish("loaders", [table], 1, out)
    return broken
