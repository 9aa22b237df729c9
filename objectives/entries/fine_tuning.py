"""The catalog entry of fine-tuning."""

from objectives.contract import APPLIES_WHEN, DEFINES_MEASURE, ROLE, Objective
from objectives.entries.image_classification import IMAGE_FILES, NETWORKS
from objectives.entries.supervised import CLASSIFICATION_METRICS, EVERYWHERE, settings_schema, with_defaults
from objectives.parameters.batches import at_most
from objectives.parameters.loss import CLASSIFICATION_LOSS
from objectives.parameters.optimizer import UNFREEZING

FINE_TUNING = Objective(
    name="fine-tuning",
    description="A network that has been trained on other images goes on learning with new ones (transfer learning).",
    module="objectives.tasks.fine_tuning",
    metrics=CLASSIFICATION_METRICS,
    parameters=(
        *at_most(with_defaults(EVERYWHERE, learning_rate=0.05, schedule="one-cycle"), {"digits-5-9": 538}),
        *UNFREEZING,
        *CLASSIFICATION_LOSS,
    ),
    settings_schema={
        **settings_schema(
            {
                "pretrained": {
                    "type": "string",
                    "enum": ["digits-0-4", "file", "none"],
                    "default": "digits-0-4",
                    "description": "digits-0-4: the network has learned the digits from 0 to 4, in the seconds before its first"
                    " trial; file: it begins with the weights of a checkpoint; none: it is trained from scratch.",
                },
                "checkpoint": {
                    "type": ["string", "null"],
                    "default": None,
                    "description": "File with the weights, below a folder that the workers allow: a state_dict from torch.save,"
                    " or safetensors. The last layer is new where its shape is another.",
                    APPLIES_WHEN: [{"pretrained": ["file"]}],
                    ROLE: "data_path",
                },
                "dataset": {
                    "type": "string",
                    "enum": ["digits-5-9", *IMAGE_FILES],
                    "default": "digits-5-9",
                    "description": "What is learned now. digits-5-9: the handwritten digits from 5 to 9. The others are read from"
                    " local files, as in image-classification.",
                    DEFINES_MEASURE: True,
                },
                **NETWORKS,
            },
            IMAGE_FILES,
        ),
        "allOf": [
            {
                "if": {"properties": {"pretrained": {"const": "file"}}, "required": ["pretrained"]},
                "then": {"properties": {"checkpoint": {"type": "string"}}, "required": ["checkpoint"]},
            }
        ],
    },
)
