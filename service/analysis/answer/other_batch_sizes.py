"""How a job's best rate scales with the batch size, and the rate that this predicts for one that was not tried."""

import numpy as np

from service.analysis.answer.batch_scaling import FEWEST, SPAN, BatchScaling
from service.analysis.answer.best_lr import Answered
from service.analysis.words import batch_scaling as words
from service.analysis.words.verdict import of_seed
from service.domain.answer import Answer, BatchScalingView, PredictionView
from service.domain.job import Job
from service.domain.meaning import Role
from service.domain.space import searched
from service.errors import NoBatchScaling


def scaled(job: Job, answered: Answered, *, batch_size: int | None = None, devices: int | None = None) -> BatchScalingView:
    """The fitted power, and the rate for a batch size, if asked for: batch_size, or the best batch size times devices.

    Raises NoBatchScaling where the best rate is known for too few batch sizes, and for a size that is far from all of them.
    """
    answer, scaling = answered.answer, answered.batch_scaling
    if scaling is None:
        raise NoBatchScaling(_why_none(job, answered))
    if devices is not None:
        sign = job.spec.cost_sign
        batch_size = devices * min(answer.by_batch_size, key=lambda each: sign * each.expected.mean).batch_size
    return BatchScalingView(
        job=job.id,
        training_seed=answer.training_seed,
        power=scaling.power,
        interval=scaling.interval,
        linear=scaling.linear,
        square_root=scaling.square_root,
        because=of_seed(answer.training_seed, scaling.because),
        by_batch_size=answer.by_batch_size,
        fitted_to=scaling.batch_sizes,
        prediction=None if batch_size is None else _predicted(answer, scaling, batch_size),
    )


def _predicted(answer: Answer, scaling: BatchScaling, batch_size: int) -> PredictionView:
    """The prediction of the fitted power; for a batch size that was tried, the answer of its trials."""
    for row in answer.by_batch_size:
        if row.batch_size == batch_size:
            return PredictionView(
                batch_size=batch_size,
                learning_rate=row.learning_rate,
                interval=row.interval,
                advice=words.tried(row.trials),
            )
    return scaling.predict(batch_size, np.random.default_rng(0))


def _why_none(job: Job, answered: Answered) -> str:
    meaning = job.spec.meaning
    if not {meaning.named(Role.LEARNING_RATE), meaning.named(Role.BATCH_SIZE)} <= searched(job.search_space).keys():
        return words.not_searched()
    if not answered.answer.by_batch_size:
        return words.too_few_trials(answered.because, fewest=FEWEST)
    return words.too_few_sizes(answered.answer.by_batch_size, fewest=FEWEST, span=SPAN)
