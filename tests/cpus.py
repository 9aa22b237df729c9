"""The unit tests of objectives and answers as other CPUs run them: under every instruction set of this one, by 1 and 2 threads.

Run:    python -m tests.cpus [PYTEST_ARGUMENT...]
"""

import os
import platform
import subprocess
import sys

import numpy
import torch

TESTS = ["tests/unit/objectives", "tests/unit/analysis"]
SETS = ["default", "avx2", "avx512"]
"""As PyTorch calls them, each with those before it."""
THREADS = (1, 2)

OF_LIBRARIES: dict[str, dict[str, str]] = {
    "default": {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "ONEDNN_MAX_CPU_ISA": "SSE41", "OPENBLAS_CORETYPE": "Nehalem"},
    "avx2": {"MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell"},
    "avx512": {},
}
"""What holds the libraries that PyTorch and NumPy multiply matrices with to the same instructions, on x86."""
OF_NUMPY: dict[str, set[str]] = {"default": set(), "avx2": {"X86_V3"}}
"""What NumPy may use of what it finds, where that is not all."""


def environment(instructions: str, threads: int) -> dict[str, str]:
    """For a process that computes so."""
    changed = {"ATEN_CPU_CAPABILITY": instructions}
    if platform.machine() in ("x86_64", "AMD64"):
        changed |= OF_LIBRARIES[instructions]
        if instructions in OF_NUMPY:
            found = numpy.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
            changed["NPY_DISABLE_CPU_FEATURES"] = " ".join(name for name in found if name not in OF_NUMPY[instructions])
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return dict(os.environ) | changed | counts


def main(arguments: list[str]) -> int:
    """Run them one after the other, each in a process; returns how many went wrong."""
    best = torch.backends.cpu.get_cpu_capability().lower()
    here = SETS[: SETS.index(best) + 1] if best in SETS else SETS[:1]
    lacking = [f"not {name}, which this CPU lacks" for name in SETS[len(here) :]]
    print(f"by {' and '.join(map(str, THREADS))} threads:", ", ".join([*here, *lacking]), flush=True)
    n_failed = 0
    for instructions in here:
        for threads in THREADS:
            command = [sys.executable, "-m", "pytest", "-q", *(arguments or TESTS)]
            done = subprocess.run(command, env=environment(instructions, threads), capture_output=True, text=True)
            if done.returncode:
                n_failed += 1
                print(done.stdout, done.stderr, sep="\n")
            print(f"{instructions}, {threads}:", (done.stdout.splitlines() or ["nothing"])[-1], flush=True)
    return n_failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
