"""What `stride best-lr` says."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from service.commands.answers import in_words
from service.commands.tables import console
from service.domain.answer import Answer
from tests.unit.commands.test_chart import document as curve_of

SPEC = {"search_space": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}}}
JOB = {"spec": SPEC, "roles": {"learning_rate": "learning_rate"}}
INTERVAL = {"level": 0.9, "low": 0.011, "high": 0.043}
EVIDENCE = {"trials": 64, "infeasible": 7, "pruned": 20, "hopeless": 0, "seeds": 3}
ANSWER: dict[str, Any] = curve_of([2.0, 1.0, 0.5, 1.0, 2.0]) | {
    "job": "8d8a199b-1d62-4654-a5f0-e5312a20323e",
    "training_seed": None,
    "learning_rate": 0.0213456,
    "metric": "validation_loss",
    "params": {},
    "interval": INTERVAL,
    "interval_at_params": {"level": 0.9, "low": 0.015, "high": 0.031},
    "safe_range": {"tolerance": 0.02, "low": 0.0081, "high": 0.092},
    "safe_range_retuned": {"tolerance": 0.02, "low": 0.0032, "high": 0.11},
    "expected": {"mean": 0.0841, "low": 0.081, "high": 0.0877, "runs": 0},
    "divergence_edge": {"at": 0.61, "low": 0.55, "high": 0.72},
    "divergence_edges": [{"at": 0.61, "low": 0.55, "high": 0.72, "group": {"batch_size": 16}}],
    "at_edge": None,
    "evidence": EVIDENCE,
    "best_trial": {"number": 41, "value": 0.0812, "params": {"learning_rate": 0.025}},
    "confirmed": None,
    "by_batch_size": [
        {
            "batch_size": 16,
            "trials": 9,
            "learning_rate": 0.01,
            "interval": INTERVAL,
            "expected": {"mean": 0.09, "low": 0.08, "high": 0.1},
        }
    ],
    "verdict": "confident",
    "because": "it is so",
    "importance": [{"parameter": "learning_rate", "alone": 0.7, "total": 0.9}],
    "further_trials": 16,
}


PARAMS = {"batch_size": 32, "momentum": 0.917}
ANSWERED = {
    "learning_rate": 0.0213456,
    "params": {},
    "runs": 4,
    "diverged": 0,
    "value": 0.0842,
    "is_best_trial": False,
    "is_answered": True,
}
OF_BEST = ANSWERED | {"learning_rate": 0.025, "runs": 3, "value": 0.0931, "is_best_trial": True, "is_answered": False}
FULL = ANSWER | {
    "params": PARAMS,
    "at_edge": "high",
    "training_seed": 7,
    "evidence": EVIDENCE | {"hopeless": 5},
    "best_trial": {"number": 41, "value": 0.0812, "params": {"learning_rate": 0.025} | PARAMS},
    "confirmed": {"candidates": [ANSWERED | {"params": PARAMS}, OF_BEST | {"params": PARAMS}]},
}
"""With everything that an answer may hold."""


def said(capsys: pytest.CaptureFixture[str], **changes: Any) -> str:
    return printed(capsys, ANSWER | changes)


def printed(capsys: pytest.CaptureFixture[str], answer: dict[str, Any]) -> str:
    out = console()
    out.print(in_words(Answer.model_validate(answer), JOB, out))
    return capsys.readouterr().out


def test_it_says_the_answer_as_a_person_would(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys).splitlines()
    assert lines[:6] == [
        "Learning rate 0.02135; the best one lies between 0.011 and 0.043 (90%)",
        "From 0.0081 to 0.092 you can expect to lose no more than 0.02 of validation_loss.",
        "From about 0.61 on (0.55 to 0.72) half of all trials diverge.",
        "Expect a validation_loss of 0.0841 (0.081 to 0.0877).",
        "The best validation_loss was 0.0812 in trial 41: learning_rate=0.025;"
        " a single trial may be lucky, so the answer follows the curve through all 64.",
        "This rests on 64 trials (7 diverged, 20 pruned) and 3 training seeds.",
    ]
    assert lines[-1] == "confident: it is so."


def test_with_other_parameters_it_says_what_holds_with_them_and_what_beyond(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, params=PARAMS).splitlines()[:5] == [
        "Learning rate 0.02135 with batch_size=32 momentum=0.917",
        "With these parameters the best rate lies between 0.015 and 0.031 (90%).",
        "Over all parameters searched it lies between 0.011 and 0.043 (90%).",
        "From 0.0081 to 0.092, with these parameters, you can expect to lose no more than 0.02 of validation_loss.",
        "If you tune the others again at each rate: from 0.0032 to 0.11.",
    ]


def test_where_nothing_learned_no_rate_is_recommended(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, verdict="nothing learned").splitlines() == [
        "There is no learning rate to recommend.",
        "From about 0.61 on (0.55 to 0.72) half of all trials diverge.",
        "The best validation_loss was 0.0812 in trial 41: learning_rate=0.025.",
        "This rests on 64 trials (7 diverged, 20 pruned) and 3 training seeds.",
        "nothing learned: it is so.",
    ]


def test_where_any_rate_will_do_one_is_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, verdict="any rate will do", params=PARAMS).splitlines()
    assert lines[0] == "Any learning rate of the range will do, for example 0.02135 with batch_size=32 momentum=0.917"
    assert lines[1].startswith("From 0.0081 to 0.092, with these parameters, you can expect")


def test_it_names_the_one_training_seed_that_it_speaks_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert "training seed " not in said(capsys)
    for seed in (0, 7):  # 0 is a seed, too
        line = said(capsys, training_seed=seed).splitlines()[1]
        assert line == f"All of this holds for training seed {seed} alone: another one may need another rate."


@pytest.mark.parametrize(
    ("hopeless", "line"),
    [
        (1, "1 trial exploded, or hardly learned beyond a rate that diverged, and counts as diverged."),
        (5, "5 trials exploded, or hardly learned beyond a rate that diverged, and count as diverged."),
    ],
)
def test_hopeless_trials_are_said_to_count_as_diverged(capsys: pytest.CaptureFixture[str], hopeless: int, line: str) -> None:
    assert line in said(capsys, evidence=EVIDENCE | {"hopeless": hopeless}).splitlines()
    assert "exploded" not in said(capsys)


@pytest.mark.parametrize(
    ("changes", "best", "why"),
    [
        ({}, {"learning_rate": 0.025}, "; a single trial may be lucky, so the answer follows the curve through all 64"),
        ({"learning_rate": 0.025}, {"learning_rate": 0.025}, ""),
        ({"params": PARAMS}, {"learning_rate": 0.0213456} | PARAMS, ""),
        ({"params": PARAMS}, {"learning_rate": 0.0213456} | PARAMS | {"momentum": 0.5}, "; a single trial may be lucky, so"),
        ({}, {"learning_rate": 0.6}, "; the answer stays below that rate since trials diverge there"),
        ({"interval": None}, {"learning_rate": 0.025}, ""),
        ({"learning_rate": None}, {"learning_rate": 0.025}, ""),
    ],
)
def test_it_says_why_it_departs_from_the_best_trial(
    capsys: pytest.CaptureFixture[str], changes: dict[str, Any], best: dict[str, Any], why: str
) -> None:
    text = said(capsys, **changes, best_trial={"number": 41, "value": 0.0812, "params": best})
    [line] = [line for line in text.splitlines() if "in trial 41" in line]
    assert why in line
    assert ("lucky" in line, "diverge" in line) == ("lucky" in why, "diverge" in why)


@pytest.mark.parametrize(
    ("candidates", "why"),
    [
        ([ANSWERED, OF_BEST], "; retrained 3 times, it has 0.0931 on average, the answered point 0.0842."),
        ([ANSWERED | {"runs": 1}, OF_BEST | {"runs": 1}], "; retrained once, it has 0.0931, the answered point 0.0842."),
        (
            [ANSWERED | {"runs": 2}, OF_BEST | {"runs": 2}],
            "; retrained twice, it has 0.0931 on average, the answered point 0.0842.",
        ),
        (
            [ANSWERED, OF_BEST | {"runs": 1, "value": 0.0812}],
            "; it is the only fresh run of its point; the answered point has 0.0842.",
        ),
        ([OF_BEST, ANSWERED], "0.0842, but the curve through all 64 trials is better there."),
        ([ANSWERED | {"is_best_trial": True}], "; retrained 4 times, it has 0.0842 on average."),
        ([ANSWERED], "; it was not retrained, and the answer is one of the points that were."),
        ([ANSWERED, OF_BEST | {"diverged": 1}], "; retrained, 1 of 4 runs diverged; the answered point has 0.0842."),
        ([OF_BEST | {"diverged": 3, "runs": 0, "value": None}], "; retrained, 3 of 3 runs diverged."),
        ([OF_BEST | {"diverged": 1, "runs": 0, "value": None}], "; retrained, 1 of 1 run diverged."),
    ],
)
def test_it_says_what_retraining_showed_of_the_best_trial(
    capsys: pytest.CaptureFixture[str], candidates: list[dict[str, Any]], why: str
) -> None:
    text = said(capsys, confirmed={"candidates": candidates})
    [line] = [part for part in " ".join(text.split()).split(" This rests") if "in trial 41" in part]
    assert line.endswith(why)


@pytest.mark.parametrize(("runs", "line"), [(0, "not retrained"), (1, "retrained once"), (4, "retrained 4 times")])
def test_it_says_how_often_the_answered_point_was_retrained(capsys: pytest.CaptureFixture[str], runs: int, line: str) -> None:
    found = said(capsys, expected=ANSWER["expected"] | {"runs": runs}, confirmed={"candidates": [ANSWERED]})
    assert f"Expect a validation_loss of 0.0841 (0.081 to 0.0877); the point was {line}." in found.splitlines()


@pytest.mark.parametrize(
    ("candidates", "whose"),
    [
        ([ANSWERED, OF_BEST], "that of the best retrained point"),
        ([ANSWERED | {"is_best_trial": True}], "that of the best trial"),
        ([OF_BEST | {"diverged": 3, "runs": 0, "value": None}], "that of a point which was not retrained"),
    ],
)
def test_without_a_curve_it_says_whose_rate_it_is(
    capsys: pytest.CaptureFixture[str], candidates: list[dict[str, Any]], whose: str
) -> None:
    text = said(capsys, interval=None, expected=None, confirmed={"candidates": candidates})
    assert text.splitlines()[0] == f"Learning rate 0.02135, {whose}"


def nullable(document: Any, whole: dict[str, Any], path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of `whole` that an answer may leave null, by the API's own schema."""
    for name, value in document.items() if isinstance(document, dict) else enumerate(document):
        if may_be(whole, (*path, name), None):
            yield (*path, name)
        if isinstance(value, dict | list):
            yield from nullable(value, whole, (*path, name))


def replaced(whole: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    changed: Any = copy.deepcopy(whole)
    at = changed
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    found: dict[str, Any] = changed
    return found


def may_be(whole: dict[str, Any], path: tuple[str | int, ...], value: Any) -> bool:
    try:
        Answer.model_validate_json(json.dumps(replaced(whole, path, value)))
    except ValidationError:
        return False
    return True


NULLABLE = list(nullable(FULL, FULL))
OPTIONAL = [path[0] for path in NULLABLE if len(path) == 1]
LISTS = [name for name, value in FULL.items() if isinstance(value, list)]


def test_the_full_answer_is_one_that_the_api_gives() -> None:
    assert FULL.keys() == Answer.model_fields.keys()
    Answer.model_validate_json(json.dumps(FULL))
    assert set(OPTIONAL) == {
        *("training_seed", "learning_rate", "interval", "interval_at_params", "safe_range", "safe_range_retuned", "expected"),
        *("divergence_edge", "at_edge", "best_trial", "confirmed", "further_trials"),
    }


@pytest.mark.parametrize("path", NULLABLE, ids=lambda path: "-".join(map(str, path)))
def test_whatever_is_null_it_is_printed_without(capsys: pytest.CaptureFixture[str], path: tuple[str | int, ...]) -> None:
    text = printed(capsys, replaced(FULL, path, None))
    assert "None" not in text
    assert text.splitlines()[-1] == "confident: it is so."


@pytest.mark.parametrize("lists", [{}, {name: [] for name in LISTS}], ids=["lists", "no_lists"])
@pytest.mark.parametrize("given", [{"params": PARAMS}, {"params": {}}], ids=["params", "no_params"])
@pytest.mark.parametrize("kept", [None, *OPTIONAL])
def test_with_nothing_known_or_one_thing_it_is_printed(
    capsys: pytest.CaptureFixture[str], kept: str | None, given: dict[str, Any], lists: dict[str, Any]
) -> None:
    unknown = {name: None for name in OPTIONAL if name != kept}
    text = printed(capsys, FULL | unknown | given | lists)
    assert "None" not in text
    assert text.splitlines()[-1] == "confident: it is so."


@pytest.mark.parametrize(
    ("trials", "seeds", "rests_on"),
    [
        (4, 4, "4 trials"),
        (1, 1, "1 trial"),
        (24, 3, "24 trials and 3 training seeds"),
        (24, 1, "24 trials and one training seed"),
    ],
)
def test_it_names_the_training_seeds_where_trials_share_them(
    capsys: pytest.CaptureFixture[str], trials: int, seeds: int, rests_on: str
) -> None:
    evidence = {"trials": trials, "infeasible": 0, "pruned": 0, "hopeless": 0, "seeds": seeds}
    assert f"This rests on {rests_on}.\n" in said(capsys, evidence=evidence)


def test_it_says_what_is_not_known_where_the_seeds_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, evidence=EVIDENCE | {"seeds": None})
    assert (
        "This rests on 64 trials (7 diverged, 20 pruned).\nTheir training seeds are not known, and so neither is the noise"
        in text
    )


def test_what_would_steer_the_terminal_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b" not in said(capsys, params={"optimizer": "sgd\x1b]0;hello\x07"})


def test_it_draws_the_curve_and_tells_by_batch_size(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys)
    assert "expected validation_loss by learning rate" in text
    assert "with these parameters" not in text
    assert "expected validation_loss by learning rate, with these parameters" in said(capsys, params=PARAMS)
    assert "●" in text
    assert "▲" in text
    assert "batch size" in text
    assert "0.011 to 0.043" in text


def test_with_too_few_trials_there_is_the_best_trial_and_no_chart(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = dict.fromkeys(OPTIONAL) | {"learning_rate": 0.0213456, "best_trial": ANSWER["best_trial"]}
    text = said(capsys, **nothing, curve=[], by_batch_size=[], verdict="needs more trials")
    assert text.splitlines()[0] == "Learning rate 0.02135, that of the best trial"
    assert "●" not in text


def test_where_all_diverged_there_is_no_rate(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = dict.fromkeys(OPTIONAL)
    text = said(capsys, **nothing, curve=[], by_batch_size=[], verdict="all diverged", because="every rate tried diverged")
    assert text.splitlines()[0] == "There is no learning rate to recommend."
    assert text.splitlines()[-1] == "all diverged: every rate tried diverged."


def test_without_a_safe_range_it_says_so_and_draws_the_curve(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, safe_range=None)
    assert "No range about it is safe: too many trials diverge there." in text
    assert "●" in text
    assert "━" not in text
    assert "With these parameters no range about it is safe" in said(capsys, safe_range=None, params=PARAMS)
