"""What keeps a model and its data from being trained at all."""

from objectives.contract import DataProblem


def untrainable(message: str) -> DataProblem:
    """The problem of a model or of data with which no trial can be trained, whatever its parameters."""
    return DataProblem(message, for_every_trial=True)
