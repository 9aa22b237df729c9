"""The promised figures that take too long for `make test`, each part in a process of its own.

Run:    make prove, or python -m benchmarks.prove [PART ...] [--out benchmarks/results]
Writes: a report for each part, with commit and date; exits 1 when a promise is broken, or a part raised

A part is a module with `prove(out)`, which says in its head what it promises, and returns how many promises were broken. First
those that take one core, beside each other; then those that take all cores, or whose figures depend on how busy these are.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[1]

OF_ONE_CORE = {
    "few_shot": "benchmarks.few_shot",
    "diagnosis": "benchmarks.diagnosis",
    "loaders": "tests.loaders_fuzz.run",
}
OF_ALL_CORES = {
    "reached": "benchmarks.reached",
    "scale": "benchmarks.scale",
    "strategies": "benchmarks.strategies",
    "data_parallel": "benchmarks.data_parallel",
    "callbacks": "benchmarks.callbacks",
    "answer_quality": "benchmarks.answer_quality",
    "answer_quality_real": "benchmarks.answer_quality_real",
    "confirmation": "benchmarks.confirmation",
    "digits_answers": "benchmarks.digits_answers",
    "early_stopping": "benchmarks.early_stopping",
    "fine_tuning": "benchmarks.fine_tuning",
    "fair_comparison": "benchmarks.fair_comparison",
    "without_a_search": "benchmarks.without_a_search",
    "advice": "benchmarks.advice",
    "lost_replies": "tests.lost_replies.run",
    "many_clients": "tests.chaos.many_clients",
    "chaos": "tests.chaos.run",
}
"""From part to module."""
PARTS = OF_ONE_CORE | OF_ALL_CORES
CODE = "import sys; from importlib import import_module; from pathlib import Path; " + (
    "sys.exit(min(import_module(sys.argv[1]).prove(Path(sys.argv[2])), 100))"
)
"""A program: the exit code is the number of broken promises; what raises has 1, too, and its traceback."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; left out: all of them")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the reports")
    arguments = parser.parse_args()
    if unknown := [part for part in arguments.parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}; there are: {', '.join(PARTS)}")
    chosen = arguments.parts or list(PARTS)
    out = arguments.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    broken = run([part for part in chosen if part in OF_ONE_CORE], out, at_once=os.cpu_count() or 1)
    broken |= run([part for part in chosen if part in OF_ALL_CORES], out, at_once=1)
    if broken:
        sys.exit(f"Promises were broken in: {', '.join(sorted(broken))}.")


def run(parts: Sequence[str], out: Path, *, at_once: int) -> set[str]:
    """Run the parts, so many at once, each printed when it has ended; those in which promises were broken."""
    broken = set()
    with ThreadPoolExecutor(at_once) as pool:
        running: dict[Future[tuple[int, str, float]], str] = {pool.submit(_run, PARTS[part], out): part for part in parts}
        for future in as_completed(running):
            code, printed, seconds = future.result()
            print(f"{printed}\n{running[future]}: {'BROKEN' if code else 'kept'}, after {seconds:.0f} s\n", flush=True)
            if code:
                broken.add(running[future])
    return broken


def _run(module: str, out: Path) -> tuple[int, str, float]:
    """The exit code, what was printed, and the seconds that it took."""
    begun = time.monotonic()
    command = [sys.executable, "-c", CODE, module, str(out)]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return ended.returncode, ended.stdout, time.monotonic() - begun


if __name__ == "__main__":
    main()
