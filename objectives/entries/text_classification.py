"""The catalog entry of text classification."""

from math import lcm
from typing import Any

from objectives.contract import APPLIES_WHEN, DEFINES_MEASURE, Objective
from objectives.entries.sequences import SEQUENCES
from objectives.entries.supervised import CLASSIFICATION_METRICS, settings_schema, with_defaults
from objectives.parameters.loss import CLASSIFICATION_LOSS

TEXT_FILES = ("csv", "parquet")
"""The data sets that are read from local files."""
WIDTH = 64
HEADS = 4
MOST_HEADS = 16


def _width_for(heads: int) -> dict[str, Any]:
    """The rule that a Transformer's width is a multiple of its heads, and even, which its positions need."""
    divisor = lcm(heads, 2)
    with_these = {"properties": {"model": {"const": "transformer"}, "heads": {"const": heads}}}
    return {
        "if": {**with_these, "required": ["model"] if heads == HEADS else ["model", "heads"]},
        "then": {"properties": {"width": {"multipleOf": divisor}}, "required": ["width"] if WIDTH % divisor else []},
    }


TEXT_CLASSIFICATION = Objective(
    name="text-classification",
    description="A small network reads texts character by character, and learns to classify them into n classes.",
    module="objectives.tasks.text_classification",
    metrics=CLASSIFICATION_METRICS,
    parameters=with_defaults(
        (*SEQUENCES, *CLASSIFICATION_LOSS),
        learning_rate=0.005,
        batch_size=64,
        optimizer="adam",
        initialization="default",
        activation="gelu",
        dropout=0.1,
        clip_norm=1.0,
    ),
    settings_schema=settings_schema(
        {
            "dataset": {
                "type": "string",
                "enum": ["cldr-names", *TEXT_FILES],
                "default": "cldr-names",
                "description": "cldr-names: 8,500 names of languages, currencies and time zones, each in one of twelve languages,"
                " from the package babel: which language is it? csv: a local file with a header; parquet: local files as on"
                " the Hugging Face Hub.",
                DEFINES_MEASURE: True,
            },
            "text": {
                "type": ["string", "null"],
                "default": None,
                "description": "Column of a local file with the texts; null: the one called text, or else the only other.",
                APPLIES_WHEN: [{"dataset": list(TEXT_FILES)}],
                DEFINES_MEASURE: True,
            },
            "target": {
                "type": ["string", "null"],
                "default": None,
                "description": "Column of a local file with the classes; null: the one called label, or else the only other.",
                APPLIES_WHEN: [{"dataset": list(TEXT_FILES)}],
                DEFINES_MEASURE: True,
            },
            "max_length": {
                "type": "integer",
                "minimum": 1,
                "maximum": 65_536,
                "default": 32,
                "description": "Characters of a text that are used, the first ones.",
                DEFINES_MEASURE: True,
            },
            "model": {
                "type": "string",
                "enum": ["bag", "gru", "lstm", "transformer"],
                "default": "gru",
                "description": "bag: the mean of a vector for each n-gram of characters (Joulin et al. 2017); gru and lstm: the"
                " last state of a recurrent network; transformer: the mean state of a Transformer encoder after a convolution.",
            },
            "width": {
                "type": "integer",
                "minimum": 1,
                "maximum": 65_536,
                "default": WIDTH,
                "description": "Size of the vectors of characters or n-grams, and of states.",
            },
            "layers": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100,
                "default": 1,
                "description": "Number of recurrent or Transformer layers.",
                APPLIES_WHEN: [{"model": ["gru", "lstm", "transformer"]}],
            },
            "heads": {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST_HEADS,
                "default": HEADS,
                "description": "Number of attention heads of each Transformer layer; width must be even and a multiple of it.",
                APPLIES_WHEN: [{"model": ["transformer"]}],
            },
            "longest_ngram": {
                "type": "integer",
                "minimum": 1,
                "maximum": 32,
                "default": 3,
                "description": "The bag's n-grams are of 1 to so many characters.",
                APPLIES_WHEN: [{"model": ["bag"]}],
            },
            "buckets": {
                "type": "integer",
                "minimum": 1,
                "maximum": 16_777_216,
                "default": 4_096,
                "description": "Number of the bag's vectors, which n-grams share by a hash.",
                APPLIES_WHEN: [{"model": ["bag"]}],
            },
        },
        TEXT_FILES,
    )
    | {"allOf": [_width_for(heads) for heads in range(1, MOST_HEADS + 1)]},
)
