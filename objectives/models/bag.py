"""A bag of character n-grams: the mean of a vector for each n-gram of a text, and a linear layer.

Joulin et al., "Bag of Tricks for Efficient Text Classification" (2017), https://arxiv.org/abs/1607.01759: n-grams share vectors
by a hash of what they are. Deviation: the hash is a polynomial of the characters' numbers.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

BASE, MODULUS = 1_000_003, 2**31 - 1
"""Primes; products of numbers below them are exact in 64 bits."""


class BagOfNgrams(nn.Module):
    """Features are sparse: of all vectors, an update changes those of the batch's n-grams."""

    def __init__(self, width: int, n_outputs: int, *, longest: int, buckets: int, dropout: float = 0.0) -> None:
        """longest: of the n-grams, which are of 1 to so many characters. buckets: the number of vectors."""
        super().__init__()
        self._longest, self._buckets = longest, buckets
        self.embedding = nn.EmbeddingBag(1 + buckets, width, mode="mean", padding_idx=0)
        nn.init.uniform_(self.embedding.weight, -1 / width, 1 / width)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, n_outputs)

    def forward(self, characters: Tensor) -> Tensor:
        """Maps characters (n, max_length), padded on the right with 0, to outputs (n, n_outputs)."""
        outputs: Tensor = self.output(self.dropout(self.embedding(self.ngrams(characters))))
        return outputs

    def ngrams(self, characters: Tensor) -> Tensor:
        """The number of each n-gram's vector, (n, n-grams), from 1; 0: none. A padding before and behind a text mark its ends."""
        marked = pad(characters.long(), (1, 1))
        length = (characters != 0).sum(dim=1, keepdim=True) + 2
        hashes = torch.zeros_like(marked)
        found = []
        for size in range(1, self._longest + 1):
            n_places = marked.shape[1] - size + 1
            if n_places < 1:
                break
            hashes = (hashes[:, :n_places] * BASE + marked[:, size - 1 :] + size) % MODULUS
            is_inside = torch.arange(n_places, device=marked.device) + size <= length
            found.append(torch.where(is_inside, 1 + hashes % self._buckets, 0))
        return torch.cat(found, dim=1)
