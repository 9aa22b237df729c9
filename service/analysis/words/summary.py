"""An answer in sentences."""

import math
from collections.abc import Collection, Iterator

from service.analysis.words.numbers import chosen, counted, number, times, value_in_trial, values, with_article
from service.analysis.words.ranges import end_to_end, ends
from service.domain.answer import Answer, AnswerVerdict, BestTrial, ConfirmationView, EvidenceView, IntervalView


def headline(answer: Answer, most: int | None = None) -> tuple[str, str, str]:
    """One line in three: what comes before the rate, the rate, and what comes after it.

    most: of the other parameters that are named, those that matter most; None: all of them.
    """
    if not answer.recommends:
        return "There is no learning rate to recommend.", "", ""
    rate = number(answer.learning_rate)
    given = f" with {_foremost(answer, most)}" if answer.params else ""
    if answer.verdict == AnswerVerdict.ANY_RATE:
        return "Any learning rate of the range will do, for example ", rate, given
    if answer.interval is None:
        return "Learning rate ", rate, f", {_whose(answer.confirmed)}"
    if answer.params:
        return "Learning rate ", rate, given
    return "Learning rate ", rate, f"; the best one lies {_within(answer.interval, answer.learning_rate)} (90%)"


def so_far(answer: Answer) -> tuple[str, str, str]:
    """The answer of a job that still runs, as one line in three: before the rate, the rate, and after it."""
    if not answer.recommends:
        return f"no rate yet: {answer.verdict}", "", ""
    given = f" with {values(answer.params)}" if answer.params else ""
    at = answer.interval_at_params or answer.interval
    said = "" if at is None else f", 90%: {end_to_end(at, answer.learning_rate)}"
    return "best rate so far ", number(answer.learning_rate), f"{given}{said}; {answer.verdict}"


def sentences(answer: Answer, searched: Collection[str], rate: str | None) -> Iterator[str]:
    """How certain the answer is, how far one may move, and what it rests on.

    searched: the parameters that the answer's job searches; rate: what it calls the learning rate.
    """
    if answer.training_seed is not None:
        yield f"All of this holds for training seed {answer.training_seed} alone: another one may need another rate."
    # Where nothing else is searched there are no parameters to show, and both kinds of interval and range are the same.
    alone = not answer.params
    if answer.recommends and answer.verdict != AnswerVerdict.ANY_RATE and not alone:
        yield from _intervals(answer)
    if answer.recommends:
        yield from _safe_ranges(answer, alone=alone)
    if edge := answer.divergence_edge:
        yield f"From about {edge.at:.2g} on ({edge.low:.2g} to {edge.high:.2g}) half of all trials diverge."
    if answer.recommends and (expected := answer.expected):
        said = (
            f"Expect {with_article(answer.metric)} of {number(expected.mean)} ({number(expected.low)} to {number(expected.high)})"
        )
        yield said + (f"; {_retrained(expected.runs)}." if answer.confirmed else ".")
    if answer.confirmed is not None and answer.confirmed.repeats_exactly:
        yield (
            f"Each retrained point had the same {answer.metric} to the last digit with every seed: the training sets seeds of its"
            " own, or draws no random numbers, so nothing is known of its noise."
        )
    if (best := best_trial(answer, searched, rate)) is not None:
        yield best
    yield f"This rests on {_evidence(answer.evidence)}."
    if answer.evidence.seeds is None:
        yield (
            "Their training seeds are not known, and so neither is the noise between seeds: had all the same one, all of this"
            " would hold for that one alone."
        )
    if hopeless := answer.evidence.hopeless:
        trials, count = ("trial", "counts") if hopeless == 1 else ("trials", "count")
        yield f"{hopeless} {trials} exploded, or hardly learned beyond a rate that diverged, and {count} as diverged."


def best_trial(answer: Answer, searched: Collection[str], rate: str | None) -> str | None:
    """The trial with the best value, and why the answer is another point where it is; None while there is none."""
    best = answer.best_trial
    if best is None:
        return None
    tried = value_in_trial(best.value, best.number, chosen(best.params, searched, rate))
    return f"The best {answer.metric} was {tried}{_why_not(best, answer, rate)}."


def _foremost(answer: Answer, most: int | None) -> str:
    """batch_size=32 momentum=0.9 and 3 more"""
    by_importance = [each.parameter for each in answer.importance if each.parameter in answer.params]
    names = sorted(answer.params, key=lambda name: (by_importance.index(name) if name in by_importance else math.inf, name))[
        :most
    ]
    more = len(answer.params) - len(names)
    return values({name: answer.params[name] for name in names}) + (f" and {more} more" if more else "")


def _intervals(answer: Answer) -> Iterator[str]:
    if answer.interval_at_params:
        yield f"With these parameters the best rate lies {_within(answer.interval_at_params, answer.learning_rate)} (90%)."
    if answer.interval:
        yield f"Over all parameters searched it lies {_within(answer.interval, answer.learning_rate)} (90%)."


def _safe_ranges(answer: Answer, *, alone: bool) -> Iterator[str]:
    """alone: no parameters but the rate are searched."""
    if safe := answer.safe_range:
        given = "" if alone else ", with these parameters,"
        yield (
            f"From {end_to_end(safe, answer.learning_rate)}{given} you can expect to lose no more than"
            f" {number(safe.tolerance)} of {answer.metric}."
        )
    elif answer.interval:
        yield f"{'No' if alone else 'With these parameters no'} range about it is safe: too many trials diverge there."
    if (retuned := answer.safe_range_retuned) and not alone:
        yield f"If you tune the others again at each rate: from {end_to_end(retuned, answer.learning_rate)}."


def _why_not(best: BestTrial, answer: Answer, rate: str | None) -> str:
    """Why the answer is not the best trial's point, as the end of a sentence; empty where it is, and where there is no curve."""
    if not answer.recommends:
        return ""
    if answer.confirmed is not None:
        return _retrained_beside(answer.confirmed, answer, best.value)
    answered = answer.learning_rate
    if answered is None or answer.interval is None:
        return ""
    tried = None if rate is None else best.params.get(rate)
    others = {name: best.params.get(name) for name in answer.params}
    same = values(others) == values(answer.params)
    if same and number(tried) == number(answered):
        return ""
    edge = answer.divergence_edge
    if same and edge and isinstance(tried, int | float) and answered < edge.low <= tried:
        return "; the answer stays below that rate since trials diverge there"
    return f"; a single trial may be lucky, so the answer follows the curve through all {answer.evidence.trials}"


def _retrained_beside(confirmed: ConfirmationView, answer: Answer, best_value: float | None) -> str:
    """What retraining showed of the best trial's point beside the answered one, as the end of a sentence."""
    best = next((each for each in confirmed.candidates if each.is_best_trial), None)
    answered = next((each for each in confirmed.candidates if each.is_answered), None)
    if best is None:
        return "; it was not retrained" + ("" if answered is None else ", and the answer is one of the points that were")
    if best.diverged:
        found = f"; retrained, {best.diverged} of {counted(best.runs + best.diverged, 'run', 'runs')} diverged"
        return found if answered is None or answered is best else f"{found}; the answered point has {number(answered.value)}"
    if best.runs == 1 and best.value == best_value:
        found, beside = "; it is the only fresh run of its point", "; the answered point has"
    else:
        beside = ", the answered point"
        found = f"; retrained {times(best.runs)}, it has {number(best.value)}" + (" on average" if best.runs > 1 else "")
    if answered is None or answered is best:
        return found
    found += f"{beside} {number(answered.value)}"
    if confirmed.candidates.index(best) < confirmed.candidates.index(answered):
        found += f", but the curve through all {answer.evidence.trials} trials is better there"
    return found


def _whose(confirmed: ConfirmationView | None) -> str:
    """Whose rate is answered without a curve."""
    answered = None if confirmed is None else next((each for each in confirmed.candidates if each.is_answered), None)
    if confirmed is None or (answered is not None and answered.is_best_trial):
        return "that of the best trial"
    return "that of a point which was not retrained" if answered is None else "that of the best retrained point"


def _retrained(runs: int) -> str:
    return f"the point was retrained {times(runs)}" if runs else "the point was not retrained"


def _evidence(evidence: EvidenceView) -> str:
    parts = [
        f"{evidence.infeasible} diverged" if evidence.infeasible else "",
        f"{evidence.pruned} pruned" if evidence.pruned else "",
    ]
    among = ", ".join(part for part in parts if part)
    seeds = "one training seed" if evidence.seeds == 1 else f"{evidence.seeds} training seeds"
    # A seed for each trial is the default, and is not mentioned.
    shared = "" if evidence.seeds in (None, evidence.trials) else f" and {seeds}"
    return counted(evidence.trials, "trial", "trials") + (f" ({among})" if among else "") + shared


def _within(interval: IntervalView, rate: float | None) -> str:
    low, high = ends(interval, rate)
    return f"at {low}" if low == high else f"between {low} and {high}"
