"""The catalog entry of tabular classification."""

from objectives.contract import DEFINES_MEASURE, Objective
from objectives.entries.supervised import CLASSIFICATION_METRICS, EVERYWHERE, MLP, settings_schema
from objectives.entries.tables import TABLE_FILES, TARGET
from objectives.parameters.batches import at_most
from objectives.parameters.loss import CLASSIFICATION_LOSS

TABULAR_CLASSIFICATION = Objective(
    name="tabular-classification",
    description="A small network learns to predict a class from the columns of a table.",
    module="objectives.tasks.tabular_classification",
    metrics=CLASSIFICATION_METRICS,
    parameters=at_most((*EVERYWHERE, *CLASSIFICATION_LOSS), {"breast-cancer": 342, "wine": 108}),
    settings_schema=settings_schema(
        {
            "dataset": {
                "type": "string",
                "enum": ["breast-cancer", "wine", *TABLE_FILES],
                "default": "breast-cancer",
                "description": "breast-cancer: 569 tumours, 30 columns, benign or malignant; wine: 178 wines, 13 columns, three"
                " cultivars; csv and parquet: local files with a header.",
                DEFINES_MEASURE: True,
            },
            **TARGET,
            **MLP,
        },
        TABLE_FILES,
    ),
)
