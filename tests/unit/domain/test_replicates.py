from typing import Any

import pytest

from service.domain.replicates import marks, replicate_of, training_seed


@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
def test_the_first_replicate_has_the_seed_of_the_job(seed: int) -> None:
    assert training_seed(seed, 0) == seed


def test_every_other_replicate_has_a_seed_of_its_own_that_is_legal_as_a_jobs() -> None:
    seeds = {training_seed(seed, replicate) for seed in (0, 1, 2**63 - 1) for replicate in range(100)}
    assert len(seeds) == 300
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_seeds_stay_what_they_are_from_version_to_version() -> None:
    assert [training_seed(7, replicate) for replicate in range(3)] == [7, 7044951117804601260, 4657719358577944831]


@pytest.mark.parametrize("written", [None, "1", 1.0, True, -1, 3, 10**30, [1], {"replicate": 1}])
def test_an_attribute_that_names_no_replicate_of_the_job_counts_as_the_first(written: Any) -> None:
    assert replicate_of({"replicate": written}, 3) == 0
    assert replicate_of({}, 3) == 0


def test_a_trial_is_the_replicate_that_it_is_marked_as() -> None:
    assert [replicate_of(marks(replicate, 3), 3) for replicate in range(3)] == [0, 1, 2]


def test_a_job_without_replicates_marks_nothing_and_heeds_no_mark() -> None:
    assert marks(0, 1) == {}
    assert replicate_of({"replicate": 1}, 1) == 0
