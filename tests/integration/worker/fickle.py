"""An objective that some workers cannot train: its module imports only where no file lies that FICKLE_UNFIT names."""

from objectives.contract import Metric, Objective
from tests.quadratic import QUADRATIC

UNFIT = "FICKLE_UNFIT"

FICKLE = Objective(
    name="fickle",
    description="The parabola, where it can be had.",
    module="tests.integration.worker.fickle_training",
    metrics=(Metric(name="loss", direction="minimize", description="The parabola."),),
    parameters=QUADRATIC.parameters,
    settings_schema=QUADRATIC.settings_schema,
)

OBJECTIVES = (FICKLE,)
