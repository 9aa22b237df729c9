"""Answers of an API of another version."""

from typing import Any

import pytest
from rich.console import RenderableType

from service.commands.answers import in_words
from service.commands.output import OtherVersion, parsed
from service.commands.tables import console
from service.domain.answer import Answer
from tests.unit.commands.answers import LITTLE_KNOWN

JOB = {"spec": {"search_space": {}}, "roles": {"learning_rate": "learning_rate"}}
EVIDENCE: dict[str, Any] = LITTLE_KNOWN["evidence"]


def printed(capsys: pytest.CaptureFixture[str], answer: RenderableType) -> str:
    console().print(answer)
    return capsys.readouterr().out


def test_what_a_newer_api_adds_is_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    newer = LITTLE_KNOWN | {"certified": {"trials": 3}, "evidence": EVIDENCE | {"audited": 3}}
    known, more = (in_words(parsed(Answer, document), JOB, console()) for document in (LITTLE_KNOWN, newer))
    assert printed(capsys, more) == printed(capsys, known)


def test_a_verdict_that_only_a_newer_api_knows_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    newer = LITTLE_KNOWN | {"verdict": "hardly any rate will do", "because": "it is so"}
    said = printed(capsys, in_words(parsed(Answer, newer), JOB, console()))
    assert said.splitlines()[-1] == "hardly any rate will do: it is so."


def test_what_an_older_api_lacks_is_named_in_one_line() -> None:
    older = LITTLE_KNOWN | {"evidence": {name: n for name, n in EVIDENCE.items() if name != "hopeless"}}
    with pytest.raises(OtherVersion) as caught:
        parsed(Answer, older)
    assert str(caught.value) == (
        "The API's answer does not fit this version of stride: evidence/hopeless: field required. See it with --json."
    )
