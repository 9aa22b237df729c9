"""Recorded jobs that confirm: whose fresh runs are drawn, and how the answer is judged."""

import math
from dataclasses import replace

import numpy as np

from benchmarks.recorded.confirming import judge, with_confirmation
from benchmarks.recorded.recorded_set import RecordedSet
from benchmarks.recorded.sampling import Draw
from service.domain.budget import confirming_trials
from service.domain.training_seeds import TRAINING_SEED
from service.domain.trial import CANDIDATE, Trial
from tests.unit.benchmarks.test_recorded import bowl


def fresh_runs(recorded: RecordedSet, n_trials: int = 32, seed: int = 0) -> tuple[Draw, list[Trial], list[Trial]]:
    """The job, its search, and its fresh runs."""
    draw = Draw(recorded, "random", seed)
    trials = with_confirmation(recorded, draw, n_trials, seed)
    n_search = n_trials - confirming_trials(n_trials)
    return draw, trials[:n_search], trials[n_search:]


def test_the_last_tenth_confirms_but_at_least_three_trials() -> None:
    assert [confirming_trials(n) for n in (16, 32, 64)] == [3, 3, 6]


def test_candidates_take_turns_and_their_runs_have_seeds_of_their_own() -> None:
    _, search, fresh = fresh_runs(bowl(), 64)
    turns = [trial.user_attrs[CANDIDATE] for trial in fresh]
    n_candidates = max(turns) + 1
    assert turns == [turn % n_candidates for turn in range(confirming_trials(64))]
    assert len({str(trial.params) for trial in fresh}) == n_candidates
    seeds = [trial.user_attrs[TRAINING_SEED] for trial in fresh]
    assert len(set(seeds)) == confirming_trials(64)
    assert not set(seeds) & {trial.user_attrs[TRAINING_SEED] for trial in search}


def test_fresh_runs_of_a_set_whose_truth_is_their_mean_are_any_of_its_runs() -> None:
    recorded = bowl()
    for seed in range(5):
        draw, _, fresh = fresh_runs(recorded, seed=seed)
        assert all(trial.value in recorded.runs[draw.point_of(trial)] for trial in fresh)


def test_fresh_runs_of_a_set_with_a_truth_of_its_own_are_those_left_and_then_normal_draws() -> None:
    known = bowl()
    recorded = replace(known, runs=known.runs[:, :2], truth=known.truth + 0.001)  # two recorded runs a point
    drawn = 0
    for seed in range(5):
        draw, search, fresh = fresh_runs(recorded, 64, seed)
        used = [(draw.point_of(trial), trial.value) for trial in search]
        for trial in fresh:
            if trial.value in recorded.runs[draw.point_of(trial)]:
                assert (draw.point_of(trial), trial.value) not in used, "a run is drawn once"
                used.append((draw.point_of(trial), trial.value))
            else:
                drawn += 1
                point = draw.point_of(trial)
                assert trial.value is not None
                assert abs(trial.value - recorded.truth[point]) < 6 * recorded.sd[point]
    assert drawn > 0


def test_both_answers_of_a_job_are_judged_by_the_truth() -> None:
    recorded = bowl()
    one = judge(recorded, "random", 0, 32)
    assert one is not None
    assert 1 <= one.runs <= 4
    assert 2 <= one.n_candidates <= 4
    assert 0 <= one.regret < 0.5
    assert 0 <= one.regret_without < 0.5
    assert one == judge(recorded, "random", 0, 32)


def test_without_noise_the_best_of_the_retrained_points_is_answered() -> None:
    known = bowl()
    exact = np.where(np.isfinite(known.truth), known.truth, math.inf)
    recorded = replace(known, runs=np.repeat(exact[:, None], 3, axis=1), truth=exact)
    for seed in range(3):
        one = judge(recorded, "random", seed, 64)
        assert one is not None
        assert one.regret <= one.regret_best_trial
