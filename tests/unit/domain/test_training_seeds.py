from typing import Any

import pytest

from service.domain.training_seeds import marks, only_seed, replicate_of, replicate_seed, stored_seed, training_seed
from tests.factories import job_spec


@pytest.mark.parametrize("job_seed", [0, 7, 2**63 - 1])
def test_each_trial_has_a_seed_of_its_own_that_json_readers_hold_exactly(job_seed: int) -> None:
    spec = job_spec(seed=job_seed)
    seeds = {training_seed(spec, number=number) for number in range(1_000)}
    assert len(seeds) == 1_000
    assert all(0 <= seed < 2**53 and float(seed) == seed for seed in seeds)


def test_jobs_of_different_seeds_train_with_different_seeds() -> None:
    assert len({training_seed(job_spec(seed=job_seed), number=0) for job_seed in range(100)}) == 100


def test_trial_grid_point_and_replicate_of_the_same_number_have_different_seeds() -> None:
    spec = job_spec(seed=7)
    of_trials = {training_seed(spec, number=number) for number in range(100)}
    of_points = {training_seed(spec, number=0, grid_point=index) for index in range(100)}
    of_replicates = {replicate_seed(7, replicate) for replicate in range(100)}
    assert len(of_trials | of_points | of_replicates) == 300


def test_the_seed_of_a_grid_point_does_not_depend_on_the_trial_that_gets_it() -> None:
    spec = job_spec(seed=7)
    assert training_seed(spec, number=3, grid_point=5) == training_seed(spec, number=8, grid_point=5)


def test_trials_that_share_a_seed_have_the_jobs() -> None:
    spec = job_spec(seed=7, training_seed="shared")
    assert {training_seed(spec, number=number, grid_point=point) for number in range(3) for point in (None, 0, 1)} == {7}


def test_only_trials_that_share_a_seed_have_a_single_one() -> None:
    assert only_seed(job_spec(seed=0, training_seed="shared"), set()) == 0
    assert only_seed(job_spec(seed=7, training_seed="shared"), {7}) == 7
    assert only_seed(job_spec(seed=7, training_seed="shared"), {7, -3}) is None
    assert only_seed(job_spec(seed=7), {7}) is None
    assert only_seed(job_spec(seed=7, replicates=2), {7}) is None


def test_replicates_have_the_same_seeds_at_every_point() -> None:
    spec = job_spec(seed=7, replicates=3)
    assert [training_seed(spec, number=number, grid_point=number, replicate=number % 3) for number in range(6)] == [
        7,
        replicate_seed(7, 1),
        replicate_seed(7, 2),
    ] * 2


@pytest.mark.parametrize("job_seed", [0, 7, 2**63 - 1])
def test_the_first_replicate_has_the_seed_of_the_job(job_seed: int) -> None:
    assert replicate_seed(job_seed, 0) == job_seed


def test_every_other_replicate_has_a_seed_of_its_own_that_is_legal_as_a_jobs() -> None:
    seeds = {replicate_seed(job_seed, replicate) for job_seed in (0, 1, 2**63 - 1) for replicate in range(100)}
    assert len(seeds) == 300
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_seeds_stay_what_they_are_from_version_to_version() -> None:
    assert [replicate_seed(7, replicate) for replicate in range(3)] == [7, 7044951117804601260, 4657719358577944831]
    assert [training_seed(job_spec(seed=7), number=number) for number in range(2)] == [2442725563097588, 149976781578662]
    assert [training_seed(job_spec(seed=7), number=0, grid_point=index) for index in range(2)] == [
        2554086207181058,
        5859367929450224,
    ]


@pytest.mark.parametrize("written", [None, "1", 1.0, True, -1, 2**63, [1], {"seed": 1}])
def test_an_attribute_that_is_no_seed_names_none(written: Any) -> None:
    assert stored_seed({"training_seed": written}) is None
    assert stored_seed({}) is None


def test_a_stored_seed_is_read() -> None:
    assert [stored_seed({"training_seed": seed}) for seed in (0, 2**63 - 1)] == [0, 2**63 - 1]


@pytest.mark.parametrize("written", [None, "1", 1.0, True, -1, 3, 10**30, [1], {"replicate": 1}])
def test_an_attribute_that_names_no_replicate_of_the_job_counts_as_the_first(written: Any) -> None:
    assert replicate_of({"replicate": written}, 3) == 0
    assert replicate_of({}, 3) == 0


def test_a_trial_is_the_replicate_that_it_is_marked_as() -> None:
    assert [replicate_of(marks(replicate, 3), 3) for replicate in range(3)] == [0, 1, 2]


def test_a_job_without_replicates_marks_nothing_and_reads_no_mark() -> None:
    assert marks(0, 1) == {}
    assert replicate_of({"replicate": 1}, 1) == 0
