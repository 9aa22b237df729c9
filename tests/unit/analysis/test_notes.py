"""Notes say the answer in Markdown in which anybody's words are inert."""

import re
from dataclasses import replace
from uuid import UUID

import pytest
from markdown_it import MarkdownIt

from service.analysis.answer.best_lr import answer
from service.analysis.words.notes import MOST_CHARACTERS, escaped, no_answer, study_note, trial_note
from service.domain.trial import Trial, TrialState
from tests.finished_jobs import trial
from tests.unit.analysis.trials import bowl, diverged, job, trained

JOB = UUID("8d8a199b-1d62-4654-a5f0-e5312a20323e")
MARKUP = [
    "<script>alert(1)</script>",
    "**bold** and _emphasis_ and __init__ and `code` and ~~struck~~",
    "[a link](http://127.0.0.1/x) ![an image](http://127.0.0.1/x.png)",
    "<http://127.0.0.1/x> &lt;b&gt; &amp;",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "# no heading\n\n- no list\n\n1. none either",
    "- no list",
    "+ no list",
    "12. no list",
    "3) no list",
    "=== no line",
    "> no quotation",
    "$x$ \\$ \\\\ \\*",
    "trailing backslash \\",
]


@pytest.mark.parametrize("text", MARKUP)
def test_whatever_is_written_is_shown_as_it_is(text: str) -> None:
    """By a parser of CommonMark: one paragraph, in which there is text only."""
    tokens = MarkdownIt("commonmark").enable("table").enable("strikethrough").parse(escaped(text))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    inline = tokens[1].children or []
    assert {token.type for token in inline} <= {"text", "text_special"}
    assert "".join(token.content for token in inline).replace("\u2060", "") == " ".join(text.split())


@pytest.mark.parametrize(
    "text", ["see http://127.0.0.1/x", "HTTPS://x.example", "www.x.example", "WWW.x.example", "me@x.example"]
)
def test_a_bare_address_becomes_no_link(text: str) -> None:
    """By the patterns of mdast-util-gfm-autolink-literal in optuna-dashboard's script, which reads without backslashes."""
    addresses = r"(?i)(https?://|www(?=\.))([-.\w]+)|([-.\w+]+)@([-\w]+(?:\.[-\w]+)+)"
    assert re.search(addresses, text)
    assert not re.search(addresses, escaped(text).replace("\\", ""))


def test_the_study_note_leads_with_the_answer_and_says_why_it_is_not_the_best_trial() -> None:
    trials = trained(bowl(0.01), 40, noise=0.05)
    found = answer(job(), trials)
    best = min(trials, key=lambda each: each.value or 0.0)
    head, verdict, why, *_, more = study_note(found, {"learning_rate"}, "learning_rate").split("\n\n")
    assert head.startswith(f"## Learning rate {found.learning_rate:.4g}; the best one lies between")
    assert verdict.startswith(f"**{found.verdict}**: ")
    assert why.startswith("The dashboard's **Best Trial** is the one with the best value, lucky or not.")
    assert f"in trial {best.number}" in why
    assert "a single trial may be lucky, so the answer follows the curve through all 40" in why
    assert more.startswith(f"[The job's page](/jobs/{found.job})")


def test_a_job_whose_trials_all_diverged_says_so() -> None:
    trials = [diverged(number, 0.1 * (number + 1)) for number in range(6)]
    note = study_note(answer(job(), trials), {"learning_rate"}, "learning_rate")
    assert note.startswith("## There is no learning rate to recommend.\n\n**all diverged**: ")


def test_a_job_without_an_answer_says_why() -> None:
    assert no_answer(JOB, "No trial <yet>") == (
        f"## No answer yet\n\nNo trial \\<yet\\>\n\n[The job's page](/jobs/{JOB}): the evidence, and what to do next."
    )


def a_trial(**attributes: object) -> Trial:
    return replace(trial(3, 0.1, 0.5), user_attrs=attributes)


def test_a_trials_note_says_what_its_curve_shows_or_its_error() -> None:
    note = trial_note(JOB, a_trial(), [("too_slow", "the loss fell by 3% *only*"), ("ValueError", "")])
    assert note.startswith("- **too\\_slow**: the loss fell by 3% \\*only\\*\n- **ValueError**\n\n")
    assert note.endswith(f"[Its curves, attempts and log](/jobs/{JOB}/trials/3)")
    assert len(trial_note(JOB, a_trial(), [("ValueError", "x" * 10_000)])) < MOST_CHARACTERS + 200


def test_a_pruned_trials_note_says_after_which_step_and_by_what() -> None:
    pruned = replace(a_trial(pruned_at_step=4), state=TrialState.PRUNED)
    assert trial_note(JOB, pruned, []).startswith("- **pruned**: after step 4 by the pruner")
    limited = replace(pruned, user_attrs={"pruned_at_step": 4, "stopped_by": "trial_seconds"})
    assert "by trial\\_seconds" in trial_note(JOB, limited, [])
    foreign = replace(pruned, user_attrs={"pruned_at_step": [1], "stopped_by": {"a": "<b>"}})
    assert "\\<b\\>" in trial_note(JOB, foreign, [])
