"""What `stride advice` says."""

import json
from typing import Any

import pytest

from service.commands import advice
from service.commands.options import BadUsage
from service.commands.tables import console

NEXT = {"objective": {"name": "quadratic"}, "budget": {"trials": 16}}
ITEM: dict[str, Any] = {
    "code": "train_longer",
    "advice": "Train longer: for 16 epochs.",
    "evidence": "The best trials (3, 7) were still improving at their end.",
    "trials": [3, 7],
    "numbers": {"gain": 0.4},
    "source": {"title": "Playbook", "link": "https://example.org/"},
    "next_job": NEXT,
}
DOCUMENT = {"job": "8d8a199b-1d62-4654-a5f0-e5312a20323e", "items": [ITEM, ITEM | {"next_job": None}], "because": "By 20 trials."}


def said(document: Any) -> str:
    output = console()
    with output.capture() as captured:
        output.print(advice.in_words(document))
    return captured.get()


def test_each_advice_is_said_with_its_evidence_its_source_and_how_to_follow_it() -> None:
    lines = said(DOCUMENT).splitlines()
    assert lines[0] == "By 20 trials."
    assert lines[2:6] == [
        "1. Train longer: for 16 epochs.",
        "   The best trials (3, 7) were still improving at their end.",
        "   stride advice 8d8a199b --next 1 | stride submit -",
        "   Playbook: https://example.org/",
    ]
    assert "--next 2" not in said(DOCUMENT)


def test_without_advice_it_is_said_why() -> None:
    assert (
        said(DOCUMENT | {"items": [], "because": "Nothing stands out in 20 trials."}).strip()
        == "Nothing stands out in 20 trials."
    )


def test_the_next_job_of_an_advice_is_printed_as_it_can_be_submitted() -> None:
    assert json.loads(json.dumps(advice.next_job(DOCUMENT, 1))) == NEXT


@pytest.mark.parametrize(("place", "text"), [(0, "There is no advice 0: there are 2"), (3, "advice 3"), (2, "has no next job")])
def test_a_next_job_that_does_not_exist_is_bad_usage(place: int, text: str) -> None:
    with pytest.raises(BadUsage, match=text):
        advice.next_job(DOCUMENT, place)
    with pytest.raises(BadUsage, match="There is no advice on this job"):
        advice.next_job(DOCUMENT | {"items": []}, 1)
