"""The catalog entry of few-shot regression."""

from objectives.contract import Metric, Objective
from objectives.entries.few_shot import FEW_SHOT, few_shot_settings
from objectives.entries.supervised import settings_schema, training_loss, validation_loss, with_defaults
from objectives.parameters.batches import at_most
from objectives.parameters.loss import REGRESSION_LOSS

_LOSS = "Mean loss (by default the squared error) of queries, after adapting to their episodes,"

FEW_SHOT_REGRESSION = Objective(
    name="few-shot-regression",
    description="A small network learns to adapt to a sine curve from a few of its points, by MAML or Reptile.",
    module="objectives.tasks.few_shot_regression",
    metrics=(
        validation_loss(_LOSS),
        Metric(
            name="validation_r2",
            direction="maximize",
            description="Coefficient of determination on the validation set's queries: 1 is perfect, 0 is as good as predicting"
            " their mean.",
        ),
        training_loss(_LOSS),
    ),
    parameters=with_defaults(
        at_most((*FEW_SHOT, *REGRESSION_LOSS), 2_000),
        learning_rate=0.003,
        optimizer="adam",
        schedule="cosine",
        batch_size=16,
        epochs=10,
        initialization="default",
        zero_output=False,
        inner_learning_rate=0.01,
    ),
    settings_schema=settings_schema(few_shot_settings("Points of a curve", most_shots=1_000, width=40)),
)
