"""Replicates: the same point trained with several seeds, so that noise is measured and not guessed."""

import hashlib
from collections.abc import Mapping
from typing import Any

REPLICATE = "replicate"
"""The user attribute of a trial that says which of the job's training seeds it has: 0, 1, 2, ..."""


def training_seed(job_seed: int, replicate: int) -> int:
    """The seed of all trials of a replicate, so that points are compared and not seeds.

    That of replicate 0 is the job's own; that of any other 63 bits of sha256(job seed, replicate).
    """
    if replicate == 0:
        return job_seed
    digest = hashlib.sha256(f"{job_seed}/replicate {replicate}".encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


def replicate_of(user_attrs: Mapping[str, Any], replicates: int) -> int:
    """Which of a job's `replicates` a stored trial is; 0 where the attribute names none: foreign scripts may write anything."""
    named = user_attrs.get(REPLICATE)
    return named if type(named) is int and 0 <= named < replicates else 0


def marks(replicate: int, replicates: int) -> dict[str, int]:
    """The user attributes that say which replicate a trial is; none in a job that has no others."""
    return {} if replicates == 1 else {REPLICATE: replicate}
