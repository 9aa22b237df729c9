"""When the answer asks for more trials, and how many."""

import re

from service.analysis.answer.best_lr import answer
from service.domain.answer import AnswerVerdict
from tests.finished_jobs import trial
from tests.unit.analysis.answer.asked import BEST, asked
from tests.unit.analysis.trials import bowl, job, trained


def test_too_few_trials_are_told_with_how_many_would_do() -> None:
    found = asked(trained(bowl(BEST), 3))
    assert (found.interval, found.safe_range, found.expected, found.curve) == (None, None, None, ())
    assert found.verdict == AnswerVerdict.MORE_TRIALS
    assert (
        found.because == "only 3 trials have trained to the end, at 3 different rates:"
        f" about 16 trials at as many rates would give an interval (stride extend {str(found.job)[:8]} --trials 13)"
    )
    assert found.further_trials == 13


def test_one_rate_tried_over_and_over_is_no_curve() -> None:
    found = asked([trial(number, 0.01, 0.1 * number) for number in range(20)])
    assert (found.verdict, found.interval) == (AnswerVerdict.MORE_TRIALS, None)
    assert "at 1 rate: about 16 trials at as many rates" in found.because
    assert found.because.endswith("--trials 15)")


def test_noise_that_hides_the_optimum_asks_for_more_trials_and_says_how_many() -> None:
    became = []
    for seed in range(6):
        found = answer(job(), trained(bowl(BEST), 16, noise=0.3, seed=seed), tolerance=0.03)
        assert found.verdict == AnswerVerdict.MORE_TRIALS
        assert found.interval is not None
        if said := re.search(r"about (\d+) further trials would bring what the rate may lose below 0\.03", found.because):
            more = trained(bowl(BEST), 16 + int(said[1]), noise=0.3, seed=seed)
            became.append(answer(job(), more, tolerance=0.03).verdict == AnswerVerdict.CONFIDENT)
    assert len(became) >= 3
    assert sum(became) >= 2 / 3 * len(became)


def test_noise_that_takes_many_times_the_trials_is_told_without_their_number() -> None:
    found = answer(job(), trained(bowl(BEST), 16, noise=0.3), tolerance=0.002)
    assert found.verdict == AnswerVerdict.MORE_TRIALS
    assert "more trials, most of all near it, would bring" in found.because


def test_fewer_than_eight_trials_are_never_enough_to_be_confident() -> None:
    found = asked(trained(bowl(BEST), 6, noise=0.0))
    assert found.verdict == AnswerVerdict.MORE_TRIALS
    assert found.interval is not None
