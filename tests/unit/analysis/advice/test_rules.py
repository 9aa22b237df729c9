"""Each rule of advice on trials that show its trouble, and on trials that do not."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from objectives.catalog import load_catalog
from service.analysis.advice.advise import advise
from service.analysis.answer.best_lr import answer
from service.api.submission import complete
from service.domain.advice import Advice
from service.domain.job import Job, JobState
from service.domain.measurement import CurvePoint, RunSummary
from service.domain.request import JobRequest
from service.domain.trial import Trial, TrialState
from service.errors import NothingFinished
from tests.finished_jobs import a_job, curve, trial

CATALOG = load_catalog()
RATE = {"type": "float", "low": 1e-4, "high": 1.0, "log": True}
BEST = 0.01
NOTHING: Mapping[int, RunSummary] = {}
Curves = Mapping[int, Sequence[CurvePoint]]


def job(space: Mapping[str, Any] | None = None, **fields: Any) -> Job:
    """A completed job with the mlp on digits, of which everything that is not searched has its default."""
    request = {
        "objective": {"name": "image-classification"},
        "search_space": {"learning_rate": RATE, "epochs": 8, "batch_size": 32, "momentum": 0.9} | dict(space or {}),
        "strategy": "random",
        "budget": {"trials": 20, "confirm": 0},
    }
    state = fields.pop("state", JobState.COMPLETED)
    spec = complete(JobRequest.model_validate(request | fields), CATALOG)
    document = spec.model_dump(mode="json") | {"direction": spec.direction, "meaning": spec.meaning}
    return a_job(state=state, **document)


def bowl(rate: float) -> float:
    """A loss whose best rate is BEST, and which rises by 0.3 a decade away from it."""
    return 0.2 + 0.3 * math.log10(rate / BEST) ** 2


def drawn(n: int = 20, low: float = 1e-4, high: float = 1.0) -> list[float]:
    return [float(rate) for rate in 10 ** np.random.default_rng(0).uniform(math.log10(low), math.log10(high), n)]


def trials_at(
    rates: Sequence[float], loss: Callable[[float], float] = bowl, *diagnosis: str, guessing: float = 2.3, **params: Any
) -> list[Trial]:
    attributes = {"diagnosis": dict.fromkeys(diagnosis or ("converged",), "so it is"), "guessing": {"validation_loss": guessing}}
    found = []
    for number, rate in enumerate(rates):
        value = loss(rate)
        state = TrialState.COMPLETE if math.isfinite(value) else TrialState.INFEASIBLE
        found.append(trial(number, rate, value, state, user_attrs=attributes | {"training_seed": number}, **params))
    return found


def of_shape(trials: Sequence[Trial], *shape: float) -> dict[int, tuple[CurvePoint, ...]]:
    """Curves that end at the trials' values; shape: the loss at each step, as a multiple of the last one."""
    return {each.number: curve(*(factor * each.value for factor in shape)) for each in trials if each.value is not None}


def advice_on(of: Job, trials: Sequence[Trial], curves: Curves, runs: Mapping[int, RunSummary] = NOTHING) -> list[Advice]:
    """The advice; every next job is one that the objective takes."""

    def fitting(request: JobRequest) -> dict[str, Any]:
        complete(request, CATALOG)
        return request.model_dump(mode="json")

    try:
        found = answer(of, trials, curves)
    except NothingFinished:
        found = None
    view = advise(of, trials, curves, runs, found, fitting)
    assert {number for item in view.items for number in item.trials} <= {each.number for each in trials}
    assert bool(view.items) == ("Nothing stands out" not in view.because)
    return list(view.items)


FLAT = (2.0, 1.2, 1.02, 0.99, 1.0, 1.01, 1.0, 1.0)
"""A run that has settled."""
LONG_FLAT = (*FLAT, *[1.0] * 8)


def test_a_job_whose_trials_settle_about_a_best_rate_inside_the_range_gets_no_advice() -> None:
    trials = trials_at(drawn())
    assert advice_on(job(), trials, of_shape(trials, *FLAT)) == []


def test_a_job_without_a_finished_trial_gets_no_advice_and_is_told_why() -> None:
    view = advise(job(state=JobState.FAILED), [], {}, {}, None, lambda request: {})
    assert view.items == ()
    assert view.because == "The job is failed, and none of its trials has a result."


@pytest.mark.parametrize(("low", "high", "end"), [(1e-5, 1e-3, "high"), (0.1, 10.0, "low")])
def test_where_the_best_rate_lies_at_an_end_the_next_range_reaches_beyond_it(low: float, high: float, end: str) -> None:
    trials = trials_at(drawn(low=low, high=high))
    [item] = advice_on(job({"learning_rate": RATE | {"low": low, "high": high}}), trials, of_shape(trials, *FLAT))
    assert item.code == "range_too_narrow"
    assert f"at the {end} end of the range" in item.evidence
    assert item.next_job is not None
    following = item.next_job["search_space"]["learning_rate"]
    assert following["low"] < BEST < following["high"]
    assert item.next_job["try_first"] == [
        {"learning_rate": min(trials, key=lambda each: bowl(each.params["learning_rate"])).params["learning_rate"]}
    ]  # type: ignore[arg-type]


@pytest.mark.parametrize("survivors", [0, 3])
def test_where_all_diverged_or_learned_nothing_lower_rates_are_advised(survivors: int) -> None:
    rates = sorted(drawn(low=1.0, high=100.0))
    trials = trials_at(rates, lambda rate: 2.31 if rate in rates[:survivors] else math.inf, "plateaued", "dead_units")
    [item] = advice_on(job({"learning_rate": RATE | {"low": 1.0, "high": 100.0}}), trials, of_shape(trials, 1.0, 1.0))
    assert item.code == "range_too_narrow"
    assert item.advice == f"Look at lower learning rates: from 0.0001 to {rates[0]:.2g}."
    others = " and the others learned nothing" if survivors else ""
    assert item.evidence.startswith(f"{20 - survivors} of 20" if survivors else "All 20")
    assert item.evidence.endswith(f"trials diverged{others}; the lowest rate tried is {rates[0]:.3g}.")


def test_from_rates_that_are_far_too_high_the_next_range_reaches_down_to_usual_ones() -> None:
    trials = trials_at(drawn(low=1e4, high=1e6), lambda rate: math.inf)
    [item] = advice_on(job({"learning_rate": RATE | {"low": 1e4, "high": 1e6}}), trials, {})
    assert item.next_job is not None
    assert item.next_job["search_space"]["learning_rate"]["low"] == 1e-4


@pytest.mark.parametrize("space", [RATE | {"low": 1.0, "high": 100.0}, 5.0])
def test_after_one_trial_that_diverged_lower_rates_are_advised_once_the_job_is_over(space: Any) -> None:
    trials = trials_at([5.0], lambda rate: math.inf)
    [item] = advice_on(job({"learning_rate": space, "epochs": {"type": "int", "low": 6, "high": 10}}), trials, {})
    assert item.evidence == "The only trial, with a rate of 5, diverged."
    assert item.next_job is not None
    assert item.next_job["search_space"]["learning_rate"]["high"] == 5.0
    assert item.next_job["budget"]["trials"] == 16
    running = job({"learning_rate": RATE | {"low": 1.0, "high": 100.0}}, state=JobState.RUNNING)
    assert advice_on(running, trials, {}) == []


def test_where_nothing_learns_and_gradients_vanish_normalization_is_advised() -> None:
    trials = trials_at(drawn(), lambda rate: 2.3 + 0.001 * math.sin(1e6 * rate), "plateaued", "vanishing_gradients")
    [item] = advice_on(job(), trials, of_shape(trials, 1.0, 1.0, 1.0))
    assert item.code == "nothing_learns"
    assert item.next_job is not None
    assert item.next_job["search_space"]["normalization"] == "batch"
    [bare] = [advise(job(), trials, {}, {}, None, lambda request: None).items[0]]
    assert bare.next_job is None


def test_where_nothing_learns_and_the_highest_rates_are_best_higher_ones_are_advised() -> None:
    low, high = 1e-9, 1e-6
    trials = trials_at(drawn(low=low, high=high), lambda rate: 2.3 - 1e3 * rate, "plateaued")
    [item] = advice_on(job({"learning_rate": RATE | {"low": low, "high": high}}), trials, of_shape(trials, 1.0, 1.0, 1.0))
    assert item.code == "nothing_learns"
    assert item.advice.startswith("Look at higher learning rates: from 1e-06 to 0.1;")


@pytest.mark.parametrize("measured", [True, False])
def test_where_rates_are_too_low_to_change_anything_higher_ones_are_advised_and_no_normalization(measured: bool) -> None:
    low, high = 1e-12, 1e-9
    rates = drawn(low=low, high=high)
    trials = trials_at(rates, lambda rate: 2.3 + 1e-6 * math.sin(1e12 * rate), "plateaued", "vanishing_gradients")
    runs = {each.number: RunSummary(updates=300, update_to_weight=1e-9) for each in trials} if measured else {}
    curves = of_shape(trials, *((1.0, 1.1, 1.0) if measured else (1.0, 1.0, 1.0)))
    of = job({"learning_rate": RATE | {"low": low, "high": high}})
    [item] = advice_on(of, trials, curves, runs)
    assert item.advice.startswith("Look at higher learning rates: from 1e-09 to 0.1;")
    assert "gradients" not in item.evidence
    moved = {number: RunSummary(updates=300, update_to_weight=1e-4) for number in range(len(trials))}
    assert advice_on(of, trials, curves, moved)[0].advice.startswith("Normalize")


def test_a_hard_task_on_which_trials_beat_guessing_is_not_one_where_nothing_learns() -> None:
    trials = trials_at(drawn(), lambda rate: bowl(rate) + 1.7, "plateaued")
    assert advice_on(job(), trials, of_shape(trials, *FLAT)) == []


def test_trials_that_all_predict_how_frequent_classes_are_have_learned_nothing_though_they_beat_guessing() -> None:
    trials = trials_at(drawn(), lambda rate: 1.1 + 0.01 * math.sin(1e6 * rate), "plateaued", guessing=1.39)
    [item] = advice_on(job(), trials, of_shape(trials, *FLAT))
    assert item.code == "nothing_learns"


def test_where_most_trials_are_as_good_as_guessing_and_none_is_better_nothing_learns() -> None:
    trials = trials_at(drawn(), lambda rate: 9.1 if rate < 1e-3 else 2.3)
    assert "nothing_learns" in [item.code for item in advice_on(job(), trials, of_shape(trials, *FLAT))]


def test_a_gap_among_many_random_rates_is_not_too_few_of_them() -> None:
    rates = [rate for rate in drawn(40) if not BEST * 1.1 < rate < BEST * 12]
    trials = trials_at(rates)
    assert "too_few_rates" not in [item.code for item in advice_on(job(), trials, of_shape(trials, *FLAT))]


def test_one_fixed_rate_is_no_search() -> None:
    space = {"learning_rate": 0.003, "momentum": {"type": "float", "low": 0.0, "high": 0.9}}
    trials = [trial(number, 0.003, 0.3 + 0.01 * number, momentum=number / 10) for number in range(6)]
    [item] = advice_on(job(space), trials, of_shape(trials, *FLAT))
    assert item.code == "too_few_rates"
    assert item.next_job is not None
    assert item.next_job["budget"]["trials"] == 20


@pytest.mark.parametrize(("points", "codes"), [(3, ["too_few_rates"]), (9, [])])
def test_a_coarse_grid_has_too_few_rates_and_a_finer_one_has_not(points: int, codes: list[str]) -> None:
    rates = [float(rate) for rate in np.geomspace(1e-5, 1.0, points)]
    space = {"learning_rate": RATE | {"low": 1e-5, "points": points}}
    of = job(space, strategy="grid", budget={"trials": points})
    trials = trials_at(rates)
    found = advice_on(of, trials, of_shape(trials, *FLAT))
    assert [item.code for item in found] == codes
    if found:
        assert found[0].next_job is not None
        assert found[0].next_job["strategy"]["type"] == "bayesian"
    running = advice_on(job(space, strategy="grid", state=JobState.RUNNING), trials, of_shape(trials, *FLAT))
    assert running == []


def test_the_rates_about_the_answered_one_count_and_not_those_about_the_luckiest_trial() -> None:
    rates = [1e-4, 0.01, 0.1] * 3
    trials = trials_at(rates, lambda rate: {1e-4: 1.9, 0.01: 0.14, 0.1: 0.2}[rate])
    lucky = trial(2, 0.1, 0.12, user_attrs=trials[2].user_attrs)
    trials[2] = lucky
    of = job({"learning_rate": {"type": "categorical", "choices": [1e-4, 0.01, 0.1]}}, budget={"trials": 9})
    found = answer(of, trials, of_shape(trials, *FLAT))
    [item] = advice_on(of, trials, of_shape(trials, *FLAT))
    assert (item.code, item.numbers["rate"]) == ("too_few_rates", found.learning_rate)


def test_the_next_job_of_a_next_job_names_its_own_change_alone() -> None:
    trials = trials_at(drawn())
    curves = of_shape(trials, 4.0, 3.0, 2.5, 1.4, 1.3, 1.2, 1.1, 1.0)
    [first] = advice_on(job(name="digits"), trials, curves)
    assert first.next_job is not None
    [second] = advice_on(job(name=first.next_job["name"]), trials, curves)
    assert second.next_job is not None
    assert first.next_job["name"] == second.next_job["name"] == "digits, next: longer"


def test_clipping_of_most_updates_is_advised_against_with_a_norm_above_the_usual_one() -> None:
    trials = trials_at(drawn(), bowl, "converged", "exploding_gradients")
    runs = {each.number: RunSummary(clipped=0.9, gradient_norm=1.5) for each in trials}
    of = job({"clip_norm": 0.1})
    [item] = advice_on(of, trials, of_shape(trials, *FLAT), runs)
    assert item.code == "clipping_too_often"
    assert item.next_job is not None
    assert item.next_job["search_space"]["clip_norm"] == 3.0
    seldom = {each.number: RunSummary(clipped=0.1, gradient_norm=1.5) for each in trials}
    assert advice_on(of, trials, of_shape(trials, *FLAT), seldom) == []


OVERFITTED = (1.5, 0.8, 0.7, 0.75, 0.8, 0.9, 0.95, 1.0)


def test_overfitting_best_trials_get_weight_decay_and_what_else_the_objective_has() -> None:
    trials = trials_at(drawn(), bowl, "converged", "overfitting")
    curves = of_shape(trials, *OVERFITTED)
    [item] = advice_on(job(), trials, curves)
    assert (item.code, item.numbers["best_after"]) == ("overfitting", 3 / 8)
    assert f"it rose from {item.numbers['best']:.3g} to {item.numbers['last']:.3g}." in item.evidence
    assert item.next_job is not None
    assert item.next_job["search_space"]["weight_decay"]["low"] == 1e-4
    of = job({"weight_decay": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}})
    [item] = advice_on(
        of,
        [
            trial(each.number, each.params["learning_rate"], each.value, user_attrs=each.user_attrs, weight_decay=1e-3)
            for each in trials
        ],
        curves,
    )
    assert item.advice == "Search a dropout up to 0.5."


def test_where_the_best_trial_is_only_the_one_that_learned_least_the_others_overfit() -> None:
    rates = drawn()
    trials = trials_at(rates, lambda rate: 0.69 if rate > 0.1 else 1.2, "converged", "overfitting", guessing=0.7)
    trials = [
        trial(
            each.number, each.params["learning_rate"], each.value, user_attrs={**each.user_attrs, "diagnosis": {"plateaued": ""}}
        )
        if each.value == 0.69
        else each
        for each in trials
    ]
    curves = of_shape(trials, 0.9, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
    curves |= {each.number: curve(*[0.69] * 8) for each in trials if each.value == 0.69}
    [item] = advice_on(job(), trials, curves)
    assert item.code == "overfitting"
    assert {each.number for each in trials if each.value == 0.69}.isdisjoint(item.trials)


@pytest.mark.parametrize(("stopped", "code"), [(1.0, "overfitting"), (1.3, "range_too_narrow")])
def test_the_low_end_is_best_because_it_trains_least_where_others_stopped_in_time_are_as_good(stopped: float, code: str) -> None:
    low, high = 1e-3, 0.1
    trials, curves = [], {}
    for each in trials_at(drawn(low=low, high=high), lambda rate: 0.2 + 0.1 * math.log10(rate / low), "converged", "overfitting"):
        assert each.value is not None
        is_best = each.value < 0.24
        shape = [2.0, 0.24 * stopped, 0.22 * stopped, 0.2 * stopped, *[each.value] * 4]
        curves[each.number] = curve(*[2.0, 0.5, *[each.value] * 6] if is_best else shape)
        attributes = {**each.user_attrs, "diagnosis": {"converged" if is_best else "overfitting": ""}}
        trials.append(trial(each.number, each.params["learning_rate"], each.value, user_attrs=attributes))
    of = job({"learning_rate": RATE | {"low": low, "high": high}})
    assert advice_on(of, trials, curves)[0].code == code


def test_what_survives_early_pruning_is_not_judged_before_it() -> None:
    trials, curves = [], {}
    for each in trials_at(drawn(30), bowl, "converged", "overfitting"):
        goes_on = each.value is not None and each.value < 0.25
        curves[each.number] = of_shape([each], *OVERFITTED)[each.number][: None if goes_on else 1]
        state = TrialState.COMPLETE if goes_on else TrialState.PRUNED
        value = curves[each.number][-1].value
        trials.append(trial(each.number, each.params["learning_rate"], value, state, user_attrs=each.user_attrs))
    found = advice_on(job(pruner={"type": "successive_halving", "parts": 8}), trials, curves)
    assert [item.code for item in found] == ["pruned_too_early", "overfitting"]


def test_one_overfitting_trial_among_the_best_is_no_trouble() -> None:
    trials = trials_at(drawn())
    best = min(trials, key=lambda each: each.value or 0.0)
    marked = [
        trial(
            each.number,
            each.params["learning_rate"],
            each.value,
            user_attrs=each.user_attrs | ({"diagnosis": {"overfitting": ""}} if each is best else {}),
        )
        for each in trials
    ]
    assert advice_on(job(), marked, of_shape(trials, *OVERFITTED)) == []


def test_runs_that_end_on_an_unlucky_step_are_unstable_and_not_overfitting() -> None:
    trials = trials_at(drawn(), bowl, "converged", "overfitting")
    [item] = advice_on(job(), trials, of_shape(trials, 2.0, 1.5, 0.9, 1.5, 0.7, 1.4, 0.6, 1.0))
    assert item.code == "unstable"
    assert item.next_job is not None
    changed = {name: item.next_job["search_space"][name] for name in ("schedule", "warmup_fraction", "clip_norm")}
    assert changed == {"schedule": "cosine", "warmup_fraction": 0.1, "clip_norm": 1.0}


def test_where_nothing_diverges_lower_rates_are_advised_for_their_smaller_steps() -> None:
    trials = trials_at(drawn())
    of = job({"schedule": "cosine", "warmup_fraction": 0.1, "clip_norm": 1.0})
    [item] = advice_on(of, trials, of_shape(trials, 2.0, 1.5, 0.9, 1.5, 0.7, 1.4, 0.6, 1.0))
    assert item.advice.startswith("Search learning rates below ")
    assert "diverge" not in item.advice
    assert f"rose from {item.numbers['before']:.3g} to {item.numbers['after']:.3g} from one step to the next" in item.evidence


@pytest.mark.parametrize("away", [0.0, 1e-6, -1e-6])
def test_a_metric_that_ends_about_zero_is_judged_by_its_fall(away: float) -> None:
    """As a negative log-likelihood does: a hundredth of its fall is many times its value there."""
    trials = trials_at(drawn(), lambda rate: bowl(rate) - 0.2, "converged", "overfitting", guessing=100.0)
    shape = (100.0, 20.0, 5.0, away - 0.01, away + 0.04, away, away + 0.03, away)
    curves = {each.number: curve(*[(each.value or 0.0) + point for point in shape[:-1]], each.value) for each in trials}
    assert advice_on(job(), trials, curves) == []


def test_a_single_jump_in_a_long_run_is_no_trouble() -> None:
    trials = trials_at(drawn())
    jump = (2.0, 1.2, 1.02, 0.99, 1.0, 1.01, 1.0, 1.0, 2.0, *[1.0] * 11)
    assert advice_on(job({"epochs": 20}), trials, of_shape(trials, *jump)) == []


def test_small_jumps_are_no_trouble() -> None:
    trials = trials_at(drawn())
    assert advice_on(job(), trials, of_shape(trials, 2.0, 1.2, 1.0, 1.1, 0.97, 1.05, 0.98, 1.0)) == []


def test_trials_that_diverge_near_the_answered_rate_make_a_job_unstable() -> None:
    rates = drawn()
    lost = sorted(rates, key=lambda rate: abs(math.log10(rate / BEST)))[1:8:2]
    trials = trials_at(rates, lambda rate: math.inf if rate in lost else bowl(rate))
    found = advice_on(job(), trials, of_shape(trials, *FLAT))
    assert [item.code for item in found] == ["unstable"]
    assert len(found[0].trials) >= 2
    assert set(found[0].trials) <= {rates.index(rate) for rate in lost}


@pytest.mark.parametrize(("gain", "epochs"), [(1.4, 16), (2.0, 32)])
def test_runs_that_still_improve_at_their_end_are_to_train_longer(gain: float, epochs: int) -> None:
    trials = trials_at(drawn(), bowl, "too_slow")
    [item] = advice_on(job(), trials, of_shape(trials, 4.0, 3.0, 2.5, gain, 1.3, 1.2, 1.1, 1.0))
    assert item.code == "train_longer"
    assert item.next_job is not None
    assert item.next_job["search_space"]["epochs"] == epochs
    best = min(trials, key=lambda each: each.value or 0.0)
    assert best.value is not None
    assert (item.numbers["halfway"], item.numbers["last"]) == pytest.approx((gain * best.value, best.value))
    assert f"trial {best.number} validation_loss fell from {gain * best.value:.3g} to {best.value:.3g}." in item.evidence
    assert advice_on(job(), trials, of_shape(trials, 4.0, 3.0, 1.2, 1.1, 1.05, 1.02, 1.01, 1.0)) == []


def test_what_falls_with_the_rate_at_the_end_of_a_schedule_is_no_reason_to_train_longer() -> None:
    trials = trials_at(drawn())
    curves = of_shape(trials, 4.0, 3.0, 2.5, 1.4, 1.3, 1.2, 1.1, 1.0)
    assert [item.code for item in advice_on(job(), trials, curves)] == ["train_longer"]
    assert advice_on(job({"schedule": "cosine"}), trials, curves) == []


def test_few_updates_that_have_learned_nothing_are_a_matter_of_batches() -> None:
    trials = trials_at(drawn(), lambda rate: 2.29 + 0.001 * math.sin(1e6 * rate), "plateaued", batch_size=1024)
    runs = {each.number: RunSummary(updates=5) for each in trials}
    [item] = advice_on(job({"batch_size": 1024}), trials, of_shape(trials, 1.002, 1.001, 1.001, 1.0, 1.0), runs)
    assert item.code == "batch_too_large"


def test_the_end_of_a_range_towards_which_the_loss_begins_to_fall_is_too_narrow() -> None:
    low, high = 1e-6, 1e-3
    trials = trials_at(drawn(low=low, high=high), lambda rate: 0.676 - 50 * rate, "plateaued", guessing=0.693)
    [item] = advice_on(job({"learning_rate": RATE | {"low": low, "high": high}}), trials, of_shape(trials, 1.01, 1.0, 1.0, 1.0))
    assert (item.code, item.numbers["high"]) == ("range_too_narrow", high)


@pytest.mark.parametrize(("updates", "code"), [(8, "batch_too_large"), (800, "train_longer")])
def test_runs_of_few_updates_with_large_batches_are_to_have_smaller_ones(updates: int, code: str) -> None:
    trials = trials_at(drawn(), bowl, "too_slow", batch_size=512)
    runs = {each.number: RunSummary(updates=updates) for each in trials}
    [item] = advice_on(job({"batch_size": 512}), trials, of_shape(trials, 4.0, 3.0, 2.5, 1.4, 1.3, 1.2, 1.1, 1.0), runs)
    assert item.code == code
    assert item.next_job is not None
    assert item.next_job["search_space"]["batch_size"] == (64 if code == "batch_too_large" else 512)


@pytest.mark.parametrize(("steps", "codes"), [(1, ["pruned_too_early"]), (8, [])])
def test_trials_pruned_in_their_first_steps_were_pruned_too_early(steps: int, codes: list[str]) -> None:
    trials, curves = [], {}
    for each in trials_at(drawn(30)):
        whole = of_shape([each], *LONG_FLAT)[each.number]
        goes_on = each.value is not None and each.value < 0.4
        curves[each.number] = whole if goes_on else whole[:steps]
        state = TrialState.COMPLETE if goes_on else TrialState.PRUNED
        trials.append(
            trial(each.number, each.params["learning_rate"], curves[each.number][-1].value, state, user_attrs=each.user_attrs)
        )
    pruner = {"type": "successive_halving", "parts": 16}
    found = advice_on(job({"epochs": 16}, pruner=pruner), trials, curves)
    assert [item.code for item in found] == codes
    if found:
        assert found[0].next_job is not None
        assert found[0].next_job["pruner"] == {
            "type": "successive_halving",
            "parts": 4,
            "min_resource": 2,
            "reduction_factor": 2,
        }


def test_a_loss_that_is_nearly_zero_may_halve_without_being_worth_longer_training() -> None:
    trials = trials_at(drawn(), lambda rate: bowl(rate) / 10)
    assert advice_on(job(), trials, of_shape(trials, 4.0, 3.0, 2.0, 1.5, 1.3, 1.2, 1.1, 1.0)) == []


@pytest.mark.parametrize(("sd", "codes"), [(0.2, ["seeds_disagree"]), (0.02, [])])
def test_where_runs_of_a_point_differ_as_much_as_points_do_seeds_disagree(sd: float, codes: list[str]) -> None:
    random = np.random.default_rng(1)
    rates = drawn(low=1e-3, high=0.1)
    rates += [rates[place] for place in (0, 0, 1, 1, 2, 2)]
    trials = trials_at(rates, lambda rate: bowl(rate) + sd * random.standard_normal())
    found = advice_on(job({"learning_rate": RATE | {"low": 1e-3, "high": 0.1}}), trials, of_shape(trials, *FLAT))
    assert [item.code for item in found] == codes
    if found:
        assert found[0].next_job is not None
        assert found[0].next_job["replicates"] == 5


def test_an_objective_that_declares_nothing_beside_its_rate_gets_advice_without_a_next_job() -> None:
    of = job()
    bare = {"learning_rate": of.spec.search_space["learning_rate"]}
    meaning = of.spec.meaning.model_copy(update={"parameters": {"learning_rate": of.spec.meaning.of("learning_rate")}})
    of = a_job(search_space=bare, metric="validation_loss", meaning=meaning)
    trials = trials_at(drawn(), bowl, "converged", "overfitting")
    view = advise(of, trials, of_shape(trials, *OVERFITTED), {}, None, lambda request: {})
    assert [(item.code, item.next_job) for item in view.items] == [("overfitting", None)]
