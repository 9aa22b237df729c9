"""The catalog entry of image classification."""

from collections.abc import Mapping
from typing import Any

from objectives.contract import APPLIES_WHEN, DEFINES_MEASURE, Objective
from objectives.entries.supervised import CLASSIFICATION_METRICS, EVERYWHERE, MLP, settings_schema
from objectives.parameters.batches import at_most
from objectives.parameters.loss import CLASSIFICATION_LOSS

IMAGE_FILES = ("mnist", "cifar10", "cifar100", "image-folder", "image-parquet")
"""The data sets that are read from local files."""

NETWORKS: Mapping[str, Any] = {
    "model": {
        "type": "string",
        "enum": ["mlp", "cnn", "resnet"],
        "default": "mlp",
        "description": "mlp: fully connected layers; cnn: two convolutions; resnet: three residual blocks.",
    },
    **{name: {**schema, APPLIES_WHEN: [{"model": ["mlp"]}]} for name, schema in MLP.items()},
    "image_size": {
        "type": "integer",
        "minimum": 4,
        "maximum": 1024,
        "default": 32,
        "description": "Height and width in pixels that the images of image-folder and image-parquet are resized to.",
        APPLIES_WHEN: [{"dataset": ["image-folder", "image-parquet"]}],
        DEFINES_MEASURE: True,
    },
}
"""The settings of networks for images, and of these images' size."""

IMAGE_CLASSIFICATION = Objective(
    name="image-classification",
    description="A small network learns to classify images into n classes.",
    module="objectives.tasks.image_classification",
    metrics=CLASSIFICATION_METRICS,
    parameters=at_most((*EVERYWHERE, *CLASSIFICATION_LOSS), {"digits": 1_079}),
    settings_schema=settings_schema(
        {
            "dataset": {
                "type": "string",
                "enum": ["digits", *IMAGE_FILES],
                "default": "digits",
                "description": "digits: 1,797 handwritten digits of 8x8 pixels. From local files: mnist, or Fashion-MNIST, as idx"
                " files; cifar10 and cifar100 in their binary versions; image-folder: one folder per class; image-parquet: the"
                " format of the Hugging Face Hub.",
                DEFINES_MEASURE: True,
            },
            **NETWORKS,
        },
        IMAGE_FILES,
    ),
)
