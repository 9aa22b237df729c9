"""What optuna-dashboard shows of a job and its trials, as Markdown.

Names, choices and messages are anybody's, so every sentence is escaped: what is Markdown, HTML or an address in it is shown as it
is written.
"""

import re
from collections.abc import Collection, Sequence
from uuid import UUID

from service.analysis.words.summary import best_trial, headline, sentences
from service.domain.answer import Answer
from service.domain.trial import Trial, TrialState

_SPECIAL = re.compile(r"[\\`*_{}\[\]<>#!|~&$]")
_ADDRESS = re.compile(r"(?i)(?<=http)(s?:)(?=//)|(?<=www)(?=\.)|(?=@)")
"""Where what would become a link is cut: GitHub's Markdown, which the dashboard reads, makes links of bare addresses, escaped or
not."""
_JOINER = "\u2060"
"""Has no width."""
_LIST = re.compile(r"^(\d*)([-+=.)])")
"""What would begin a list or underline a heading."""
MOST_CHARACTERS = 500
"""Of one thing that is said of a trial."""


def study_note(answer: Answer, searched: Collection[str], rate: str | None) -> str:
    """The answer in words, with why it is not the dashboard's Best Trial. searched, rate: as `sentences` takes them."""
    told = list(sentences(answer, searched, rate))
    best = best_trial(answer, searched, rate)
    parts = [f"## {escaped(''.join(headline(answer)))}", f"**{escaped(answer.verdict)}**: {escaped(answer.because)}."]
    if best is not None:
        parts.append(f"The dashboard's **Best Trial** is the one with the best value, lucky or not. {escaped(best)}")
    parts.append(escaped(" ".join(each for each in told if each != best)))
    return _paragraphs([*parts, _more(answer.job)])


def no_answer(job: UUID, because: str) -> str:
    """The note of a job that has no answer."""
    return _paragraphs(["## No answer yet", escaped(because), _more(job)])


def trial_note(job: UUID, trial: Trial, said: Sequence[tuple[str, str]]) -> str:
    """said: of the trial, each in a word and in full: its error, or what its curve shows."""
    items = [
        f"- **{escaped(word)}**" + (f": {escaped(why[:MOST_CHARACTERS])}" if why else "")
        for word, why in (*said, *_pruned(trial))
    ]
    return _paragraphs(["\n".join(items), f"[Its curves, attempts and log](/jobs/{job}/trials/{trial.number})"])


def _pruned(trial: Trial) -> list[tuple[str, str]]:
    """Where the trial was ended early, and by what; a foreign script may have stored anything."""
    if trial.state is not TrialState.PRUNED:
        return []
    by = trial.user_attrs.get("stopped_by", "the pruner: others were further at this part of their schedules")
    return [("pruned", f"after step {trial.user_attrs.get('pruned_at_step', '?')} by {by}")]


def escaped(text: str) -> str:
    """The text as Markdown that shows it as it is, on one line."""
    one_line = " ".join(text.split())
    cut = _ADDRESS.sub(rf"\g<0>{_JOINER}", one_line)
    return _LIST.sub(r"\1\\\2", _SPECIAL.sub(r"\\\g<0>", cut))


def _more(job: UUID) -> str:
    return f"[The job's page](/jobs/{job}): the evidence, and what to do next."


def _paragraphs(parts: Sequence[str]) -> str:
    return "\n\n".join(parts)
