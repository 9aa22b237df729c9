"""The catalog entry of sequence-to-sequence learning."""

from dataclasses import replace

from objectives.contract import APPLIES_WHEN, DEFINES_MEASURE, Metric, Objective
from objectives.entries.supervised import EVERYWHERE, settings_schema, training_loss, validation_loss, with_defaults
from objectives.parameters import data
from objectives.parameters.batches import at_most
from objectives.parameters.loss import LABEL_SMOOTHING

TEXT_FILES = ("parallel-text",)
"""The data sets that are read from local files."""
CROSS_ENTROPY = (
    "Mean cross-entropy, in nats, over the tokens of a translation, each from those before it, and over the translations"
)
PARAMETERS = (
    *(parameter for parameter in EVERYWHERE if parameter.name != "normalization"),
    replace(LABEL_SMOOTHING, applies_when=()),
)

SEQUENCE_TO_SEQUENCE = Objective(
    name="sequence-to-sequence",
    description="A Transformer learns to translate texts, character by character.",
    module="objectives.tasks.sequence_to_sequence",
    metrics=(
        validation_loss(CROSS_ENTROPY),
        Metric(
            name="validation_exact_match",
            direction="maximize",
            description="Fraction of the validation set whose decoded translation is right in every character. One with a"
            " character that fewer than two translations of the training set have is wrong.",
        ),
        training_loss(CROSS_ENTROPY),
    ),
    parameters=with_defaults(
        at_most(PARAMETERS, {"dates": 6_000}),
        optimizer="adam",
        learning_rate=0.003,
        schedule="one-cycle",
        epochs=14,
        batch_size=64,
        dropout=0.1,
        initialization="default",
    ),
    settings_schema=settings_schema(
        {
            "dataset": {
                "type": "string",
                "enum": ["dates", *TEXT_FILES],
                "default": "dates",
                "description": "dates: 8,000 written dates in twelve languages, translated to ISO 8601; needs the extra text."
                " parallel-text: two local files in UTF-8, of which each line of one translates the same line of the other.",
                DEFINES_MEASURE: True,
            },
            "target_path": {
                **data.path(TEXT_FILES)["path"],
                "description": "File of the translations, one in each line, of the lines of the file at path.",
            },
            "max_length": {
                "type": "integer",
                "minimum": 1,
                "maximum": 10_000,
                "default": 128,
                "description": "Characters of a line, at most: pairs with a longer one are left out.",
                APPLIES_WHEN: [{"dataset": list(TEXT_FILES)}],
                DEFINES_MEASURE: True,
            },
            "beam_width": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100,
                "default": 1,
                "description": "Translations that decoding goes on with from token to token; 1: greedy decoding.",
                DEFINES_MEASURE: ["validation_exact_match"],
            },
            "layers": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100,
                "default": 2,
                "description": "Layers of the encoder, and of the decoder.",
            },
            "width": {
                "type": "integer",
                "minimum": 4,
                "maximum": 4_096,
                "multipleOf": 4,
                "default": 64,
                "description": "Size of the vector for each token, a multiple of the 4 heads of attention.",
            },
        },
        TEXT_FILES,
        paths=("path", "target_path"),
    ),
)
