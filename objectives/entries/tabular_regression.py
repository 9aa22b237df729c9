"""The catalog entry of tabular regression."""

from objectives.contract import DEFINES_MEASURE, Metric, Objective
from objectives.entries.supervised import EVERYWHERE, MLP, settings_schema, training_loss, validation_loss, with_defaults
from objectives.entries.tables import TABLE_FILES, TARGET
from objectives.parameters.batches import at_most
from objectives.parameters.loss import REGRESSION_LOSS

TABULAR_REGRESSION = Objective(
    name="tabular-regression",
    description="A small network learns to predict a number from the columns of a table.",
    module="objectives.tasks.tabular_regression",
    metrics=(
        validation_loss("Mean loss (by default the squared error), of targets in units of their standard deviation,"),
        Metric(
            name="validation_r2",
            direction="maximize",
            description="Coefficient of determination on the validation set: 1 is perfect, 0 is as good as predicting the mean.",
        ),
        training_loss("Mean loss (by default the squared error), of targets in units of their standard deviation,"),
    ),
    parameters=at_most(with_defaults((*EVERYWHERE, *REGRESSION_LOSS), learning_rate=0.001, epochs=20), {"diabetes": 266}),
    settings_schema=settings_schema(
        {
            "dataset": {
                "type": "string",
                "enum": ["diabetes", *TABLE_FILES],
                "default": "diabetes",
                "description": "diabetes: 442 patients, 10 columns, progression of the disease in a year; csv and parquet: local"
                " files with a header.",
                DEFINES_MEASURE: True,
            },
            **TARGET,
            **MLP,
        },
        TABLE_FILES,
    ),
)
