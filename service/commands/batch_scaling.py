"""batch-scaling for people: the power in words, the best rate by batch size, and what that predicts."""

from rich.console import Group, RenderableType
from rich.text import Text

from service.analysis.words.numbers import capitalized, number
from service.analysis.words.ranges import end_to_end
from service.commands.answers import by_batch_size
from service.commands.api_client import ApiClient
from service.commands.output import parsed, print_document
from service.commands.tables import plain
from service.domain.answer import BatchScalingView


def batch_scaling(url: str | None, job: str, *, batch_size: int | None, devices: int | None, as_json: bool) -> None:
    """Show how the best rate depends on the batch size."""
    with ApiClient(url) as client:
        path = f"/v1/jobs/{client.job_id(job)}/batch-scaling"
        found = client.get(path, batch_size=batch_size, devices=devices)
        print_document(found, lambda found: in_words(parsed(BatchScalingView, found)), as_json)


def in_words(scaling: BatchScalingView) -> RenderableType:
    """The power in a sentence, a table by batch size, and the prediction, if one was asked for."""
    parts: list[RenderableType] = [plain(f"{capitalized(scaling.because)}.")]
    parts.append(by_batch_size(scaling.by_batch_size, "expected metric"))
    fitted = ", ".join(map(str, scaling.fitted_to))
    parts.append(Text(f"The power is fitted to batch sizes {fitted}, whose best rates lie within the range searched.", "dim"))
    predicted = scaling.prediction
    if predicted is not None:
        interval = end_to_end(predicted.interval, predicted.learning_rate)
        parts.append(
            Text(f"For batch size {predicted.batch_size}: learning rate ")
            + Text(number(predicted.learning_rate), "bold green")
            + plain(f", {interval} with 90%; {predicted.advice}.")
        )
    return Group(*parts)
