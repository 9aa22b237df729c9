"""The catalog entry of few-shot classification."""

from objectives.contract import DEFINES_MEASURE, Objective
from objectives.entries.few_shot import FEW_SHOT, few_shot_settings
from objectives.entries.supervised import CLASSIFICATION_METRICS, settings_schema, with_defaults
from objectives.parameters.batches import at_most
from objectives.parameters.loss import CLASSIFICATION_LOSS

FEW_SHOT_CLASSIFICATION = Objective(
    name="few-shot-classification",
    description="A small network learns to adapt to classes of digits from a few images of each, by MAML or Reptile.",
    module="objectives.tasks.few_shot_classification",
    metrics=CLASSIFICATION_METRICS,
    parameters=with_defaults(
        at_most((*FEW_SHOT, *CLASSIFICATION_LOSS), 1_000),
        learning_rate=0.003,
        optimizer="adam",
        schedule="cosine",
        batch_size=16,
        epochs=10,
        initialization="default",
        zero_output=False,
        inner_learning_rate=0.1,
    ),
    settings_schema=settings_schema(
        {
            "ways": {
                "type": "integer",
                "minimum": 2,
                "maximum": 4,
                "default": 4,
                "description": "Classes of an episode.",
                DEFINES_MEASURE: True,
            },
            **few_shot_settings("Images of each class", most_shots=100, width=64),
        }
    ),
)
