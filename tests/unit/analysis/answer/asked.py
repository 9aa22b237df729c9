"""What tests ask of the answer."""

from typing import Any

from service.analysis.answer.best_lr import answer
from service.domain.answer import Answer
from service.domain.trial import Trial
from tests.unit.analysis.trials import job

BEST = 0.02


def asked(trials: list[Trial], **overrides: Any) -> Answer:
    return answer(job(**overrides), trials)
