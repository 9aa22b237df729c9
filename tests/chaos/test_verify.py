"""Each check fails on a history that was falsified in one place."""

import math
from dataclasses import replace

from tests.chaos import verify
from tests.chaos.factories import LIFE, events, job, lease, step, trial, written
from tests.chaos.history import Event, JobHistory, Trial

INTERVAL_S = 0.5
PROGRESS = {"planned": 2, "total": 2, "waiting": 0, "running": 0, "complete": 2, "infeasible": 0, "pruned": 0, "failed": 0}


def with_trial(changed: Trial) -> JobHistory:
    return job(trials=(trial(0), changed))


def test_a_calm_history_passes_every_check() -> None:
    calm = job()
    assert not [*verify.unfinished([calm], [calm.name]), *verify.wrong_numbers(calm), *verify.double_results(calm)]
    assert not [*verify.open_leases(calm), *verify.lost_events(calm), *verify.wrong_progress(calm, PROGRESS)]
    assert not [*verify.broken_curves(calm), *verify.too_far_back(calm, INTERVAL_S)]


BEGUN = ("phase.started", {"phase": "confirm", "position": 1, "candidates": [{"learning_rate": 0.1}, {"learning_rate": 0.2}]})


def confirming(number: int, candidate: int, rate: float, seed: int) -> Trial:
    return trial(
        number,
        params={"learning_rate": (rate, "{}")},
        user_attrs={"training_seed": seed},
        system_attrs={"stride:phase": 1, "stride:candidate": candidate},
    )


def confirmed(*trials: Trial, times: int = 1) -> list[str]:
    return list(verify.wrongly_confirmed(job(trials=(trial(0), *trials), events=events(*LIFE, *([BEGUN] * times)))))


def test_what_is_wrong_with_trials_that_confirm_is_reported() -> None:
    right = (confirming(1, 0, 0.1, 11), confirming(2, 1, 0.2, 12))
    assert confirmed(*right) == []
    assert list(verify.wrongly_confirmed(job())) == []
    assert confirmed(*right, times=2) == ["job 0: random: a phase began twice"]
    assert "trains {'learning_rate': 0.1}, but its candidate is" in confirmed(right[0], confirming(2, 1, 0.1, 12))[0]
    assert confirmed(*right, confirming(3, 1, 0.2, 13), confirming(4, 1, 0.2, 14)) == [
        "job 0: random: the candidates were begun [1, 3] times"
    ]
    assert confirmed() == ["job 0: random: the candidates were begun [0, 0] times"]
    assert confirmed(right[0], confirming(2, 1, 0.2, 0)) == ["job 0: random: 3 trials have 2 training seeds"]


def test_a_job_that_did_not_reach_its_budget_is_reported() -> None:
    (said,) = verify.unfinished([job(state="failed", reason="5 trials failed")], ["0: random"])
    assert "is failed (5 trials failed)" in said


def test_a_job_that_was_submitted_twice_or_lost_is_reported() -> None:
    said = list(verify.unfinished([job(), job()], ["0: random", "1: grid"]))
    assert said == [
        "job 0: random was submitted once and exists 2 times",
        "job 1: grid was submitted once and exists 0 times",
    ]


def test_a_missing_number_is_reported() -> None:
    (said,) = verify.wrong_numbers(job(trials=(trial(0), trial(2))))
    assert said == "job 0: random has trials [0, 2], expected 0 to 1"


def test_a_failed_trial_is_reported() -> None:
    (said,) = verify.wrong_numbers(with_trial(trial(1, state="FAIL", user_attrs={"error": "broken"})))
    assert said == "job 0: random, trial 1 is FAIL: broken"


def test_a_second_end_event_is_reported() -> None:
    (said,) = verify.double_results(job(events=events(*LIFE, ("trial.pruned", {"trial": 1}))))
    assert said == "job 0: random, trial 1 has the end events ['trial.completed', 'trial.pruned'], expected one"


def test_a_missing_end_event_is_reported() -> None:
    (said,) = verify.double_results(job(events=events(*LIFE[:-1])))
    assert "trial 1 has the end events []" in said


def test_a_second_finished_lease_is_reported() -> None:
    (said,) = verify.double_results(with_trial(trial(1, leases=(lease(1), lease(2)))))
    assert said == "job 0: random, trial 1 was finished by attempts [1, 2], expected by the last, 2"


def test_an_open_lease_is_reported() -> None:
    (said,) = verify.open_leases(with_trial(trial(1, leases=(lease(1, ended_at=None, outcome=None),))))
    assert said == "job 0: random, trial 1: attempt 1 has an open lease"


def test_a_lost_event_is_reported() -> None:
    gap = (*events(*LIFE), Event(seq=6, at=21.0, type="job.completed", payload={}))
    assert list(verify.lost_events(job(events=gap, event_seq=6)))


def test_progress_that_the_rows_do_not_bear_out_is_reported() -> None:
    assert list(verify.wrong_progress(with_trial(trial(1, system_attrs={"constraints": [0.5]})), PROGRESS))


def test_a_gap_in_a_curve_is_reported() -> None:
    (said,) = verify.broken_curves(with_trial(trial(1, steps=(step(2),))))
    assert said == "job 0: random, trial 1 has the steps [2]"


def test_a_copy_for_optuna_that_differs_is_reported() -> None:
    (said,) = verify.broken_curves(with_trial(trial(1, steps=(step(1), step(2, intermediate_value=(2.0, "FINITE"))))))
    assert "step 2: Optuna has (2.0, 'FINITE')" in said


def test_infinity_and_nan_are_the_same_in_optunas_words() -> None:
    steps = (step(1, "inf", intermediate_value=(None, "INF_POS")), step(2, "nan", intermediate_value=(None, "NAN")))
    assert not list(verify.broken_curves(with_trial(trial(1, steps=steps))))


def test_a_step_that_measured_something_else_when_it_was_trained_again_is_reported() -> None:
    again = (written(1, 11.0), written(2, 12.0), written(2, 15.0, loss=math.nextafter(1.0, 2.0)))
    (said,) = verify.broken_curves(with_trial(trial(1, written=again)))
    assert "step 2: first measured {'loss': 1.0}, later {'loss': 1.0000000000000002}" in said


def test_a_measurement_after_the_end_of_its_trial_is_reported() -> None:
    (said,) = verify.broken_curves(with_trial(trial(1, written=(written(1, 11.0), written(2, 21.0)))))
    assert said == "job 0: random, trial 1: a measurement was written after its end"


def set_back(from_step: int, stored: int = 12, *, seconds: float = 0.1) -> Trial:
    """A trial whose first attempt stored so many steps, and whose second one went on from `from_step`."""
    first = tuple(written(number, 10.0 + number / 100, seconds=seconds) for number in range(1, stored + 1))
    second = tuple(written(number, 20.0 + number / 100, seconds=seconds) for number in range(from_step + 1, stored + 1))
    return trial(
        1,
        leases=(
            lease(1, outcome="vanished", last_step=stored),
            lease(2, from_step=from_step, last_step=stored),
        ),
        written=first + second,
    )


def test_an_interval_and_a_step_trained_again_are_allowed() -> None:
    assert not list(verify.too_far_back(with_trial(set_back(6)), INTERVAL_S))


def test_more_than_an_interval_trained_again_is_reported() -> None:
    (said,) = verify.too_far_back(with_trial(set_back(5)), INTERVAL_S)
    assert said == (
        "job 0: random, trial 1: attempt 2 went on from step 5 though 12 steps were stored: 0.70 s of training again,"
        " expected at most 1 x 0.5 s and the step under way"
    )


def test_two_intervals_are_allowed_when_the_newest_checkpoint_was_damaged() -> None:
    damaged = ("checkpoint.damaged", {"trial": 1, "attempt": 2, "step": 6})
    tolerant = replace(with_trial(set_back(1)), events=events(*LIFE, damaged))
    assert not list(verify.too_far_back(tolerant, INTERVAL_S))
    assert list(verify.too_far_back(replace(tolerant, trials=(trial(0), set_back(0, 13))), INTERVAL_S))


def test_an_attempt_that_starts_over_goes_back_all_the_way() -> None:
    anew = set_back(0)
    (said,) = verify.too_far_back(
        with_trial(replace(anew, leases=(anew.leases[0], replace(anew.leases[1], from_step=None)))), INTERVAL_S
    )
    assert "went on from step 0 though 12 steps were stored" in said


def test_an_attempt_that_ended_before_it_stored_anything_trained_nothing_again() -> None:
    three = set_back(8)
    leases = (three.leases[0], lease(2, outcome="trainer_died", last_step=None), replace(three.leases[1], attempt=3))
    assert not list(verify.too_far_back(with_trial(replace(three, leases=leases)), INTERVAL_S))
