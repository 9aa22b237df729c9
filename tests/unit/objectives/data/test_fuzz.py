"""500 files of all kinds: each is read as it says, or refused. `make prove` tries 5,000."""

import pytest

from tests.loaders_fuzz.run import KINDS, fuzz

N = 500


@pytest.mark.parametrize("name", KINDS)
def test_every_file_is_read_as_it_says_or_refused(name: str) -> None:
    n = round(N * KINDS[name].share)
    outcomes = fuzz(KINDS[name], n)
    assert outcomes["read"] > n / 5, "most cases are refused: little is tried"
    assert outcomes["refused"] > n / 8, "most cases are read: few faults are tried"
