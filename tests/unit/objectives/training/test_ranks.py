import torch

from objectives.training.batches import Batch
from objectives.training.ranks import Ranks


def test_each_rank_has_its_share_of_every_batch_and_the_first_ones_of_a_small_one() -> None:
    batches = [Batch(torch.arange(n), torch.arange(n)) for n in (5, 3, 1)]

    shares = [[share.targets.tolist() for share in Ranks(rank, 3).shares(batches)] for rank in range(3)]

    assert shares == [[[0, 1], [0], [0]], [[2, 3], [1]], [[4], [2]]]
    assert list(Ranks().shares(batches)) == batches
