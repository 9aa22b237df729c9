"""Few-shot episodes in memory: small problems of one kind, each with examples to adapt to and others to be judged by."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Episodes:
    """Episodes of one size. Examples are in random order; in classification, in rounds of one example of each class."""

    support_inputs: Tensor
    """(episodes, examples, features), float32: what a learner adapts to."""
    support_targets: Tensor
    """(episodes, examples): values, float32; in classification, classes from 0, int64."""
    query_inputs: Tensor
    """(episodes, queries, features): what it is judged by."""
    query_targets: Tensor
    """(episodes, queries)"""

    def __len__(self) -> int:
        return len(self.query_targets)

    def first(self, n: int) -> "Episodes":
        """The first n episodes."""
        return Episodes(**{field.name: getattr(self, field.name)[:n] for field in fields(self)})

    def with_queries_in_support(self) -> "Episodes":
        """The same queries, and support sets that hold them, too."""
        return replace(
            self,
            support_inputs=torch.cat([self.support_inputs, self.query_inputs], dim=1),
            support_targets=torch.cat([self.support_targets, self.query_targets], dim=1),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class EpisodeSets:
    """Episodes for training, for the search's metrics, and for the final report; in classification, of different classes."""

    training: Episodes
    validation: Episodes
    test: Episodes


def joined(parts: Sequence[Episodes]) -> Episodes:
    """Episodes of one size as one set."""
    return Episodes(**{field.name: torch.cat([getattr(each, field.name) for each in parts]) for field in fields(Episodes)})
