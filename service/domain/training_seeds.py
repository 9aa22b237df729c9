"""Which seed a trial is trained with.

The question is which learning rate is best over training seeds. Where each trial has its own seed, the trials show the noise of
training; where all share one, their results hold for that seed only. Replicates train the same point with several seeds, which
are the same for all points, so that points can be compared in pairs.
"""

import hashlib
from collections.abc import Mapping, Set
from typing import Any

from service.domain.spec import JobSpec

TRAINING_SEED = "training_seed"
"""The user attribute of a trial that holds its training seed."""
REPLICATE = "replicate"
"""The user attribute of a trial that holds its replicate index: 0, 1, 2, ..."""

SEED_BITS = 53
"""Bits of a seed drawn for a trial or a grid point: JSON readers parse numbers as doubles, which are exact up to here."""


def has_own_seeds(spec: JobSpec) -> bool:
    """Whether each of the job's trials has its own training seed."""
    return spec.training_seed == "per_trial" and spec.replicates == 1


def only_seed(spec: JobSpec, seeds: Set[int]) -> int | None:
    """The seed that all of the job's trials share; None where they have several. Foreign trials may bring others into any job.

    seeds: the training seeds of its trials.
    """
    return spec.seed if spec.training_seed == "shared" and seeds <= {spec.seed} else None


def training_seed(
    spec: JobSpec, *, number: int, grid_point: int | None = None, replicate: int = 0, is_confirming: bool = False
) -> int:
    """The training seed of a job's trial `number`. It is drawn by sha256, so it does not depend on who trains the trial or when.

    It is drawn from the job's seed and the trial's number or, for a grid, from the job's seed and the index of the grid point.
    Where all trials share one seed, it is the job's seed; with replicates, it is that of `replicate_seed`. Trials that confirm
    have seeds of their own.
    """
    if not has_own_seeds(spec):
        return replicate_seed(spec.seed, replicate)
    if is_confirming:
        of = f"confirming trial {number}"
    else:
        of = f"trial {number}" if grid_point is None else f"point {grid_point}"
    return _drawn(spec.seed, of, SEED_BITS)


def replicate_seed(job_seed: int, replicate: int) -> int:
    """The training seed of a replicate: the job's seed for replicate 0, else 63 bits of sha256(job seed, replicate)."""
    return job_seed if replicate == 0 else _drawn(job_seed, f"replicate {replicate}", 63)


def stored_seed(user_attrs: Mapping[str, Any]) -> int | None:
    """The training seed of a stored trial; None where the attribute is missing or invalid, as in foreign trials."""
    named = user_attrs.get(TRAINING_SEED)
    return named if type(named) is int and 0 <= named < 2**63 else None


def replicate_of(user_attrs: Mapping[str, Any], replicates: int) -> int:
    """The replicate index of a stored trial; 0 where the attribute is missing or invalid, as in foreign trials."""
    named = user_attrs.get(REPLICATE)
    return named if type(named) is int and 0 <= named < replicates else 0


def marks(replicate: int, replicates: int) -> dict[str, int]:
    """The user attributes that hold the replicate index of a trial; empty in a job without replicates."""
    return {} if replicates == 1 else {REPLICATE: replicate}


def _drawn(job_seed: int, of: str, bits: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{job_seed}/{of}".encode()).digest()[:8]) >> (64 - bits)
