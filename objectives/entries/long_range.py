"""The catalog entry of long-range dependencies."""

from objectives.contract import DEFINES_MEASURE, Metric, Objective
from objectives.entries.sequences import SEQUENCES
from objectives.entries.supervised import settings_schema, training_loss, validation_loss, with_defaults
from objectives.parameters.batches import at_most

LOSS = "Mean squared error of the sum (adding), or mean cross-entropy in nats of a symbol (copying),"

LONG_RANGE = Objective(
    name="long-range",
    description="A recurrent network or a Transformer learns to remember what stood many steps before.",
    module="objectives.tasks.long_range",
    metrics=(
        validation_loss(LOSS),
        Metric(
            name="validation_accuracy",
            direction="maximize",
            description="Fraction of sums with an error below 0.04 (adding), or of symbols that are right (copying), on the"
            " validation set.",
        ),
        training_loss(LOSS),
    ),
    parameters=with_defaults(
        at_most(SEQUENCES, 10_000),
        optimizer="adam",
        learning_rate=0.003,
        schedule="one-cycle",
        epochs=5,
        batch_size=64,
        clip_norm=1.0,
        initialization="default",
    ),
    settings_schema=settings_schema(
        {
            "problem": {
                "type": "string",
                "enum": ["adding", "copying"],
                "default": "adding",
                "description": "adding: the sum of two marked numbers; copying: ten symbols, repeated after a pause.",
                DEFINES_MEASURE: True,
            },
            "length": {
                "type": "integer",
                "minimum": 2,
                "maximum": 2_000,
                "default": 100,
                "description": "Steps of a sequence (adding), or of the pause (copying).",
                DEFINES_MEASURE: True,
            },
            "model": {
                "type": "string",
                "enum": ["gru", "transformer"],
                "default": "gru",
                "description": "gru: a recurrent network with gates; transformer: self-attention over all steps.",
            },
            "layers": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100,
                "default": 1,
                "description": "Layers of the network.",
            },
            "width": {
                "type": "integer",
                "minimum": 4,
                "maximum": 4_096,
                "multipleOf": 4,
                "default": 64,
                "description": "Size of the state of each step, a multiple of the Transformer's 4 heads of attention.",
            },
        }
    ),
)
