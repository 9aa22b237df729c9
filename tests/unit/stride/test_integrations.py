"""What the callbacks for frameworks share, and `follow`, heard by a listener in place of a worker."""

import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from stride.integrations.pytorch import follow
from stride.integrations.reporter import Reporter, stride_name, stride_name_of_training
from stride.reporting import Encode, Reports
from stride.running import current
from stride.trial import Trial


class Heard:
    """A listener that wants each state, and stops after some reports."""

    def __init__(self, saved: bytes = b"", stops_after: int = 1000) -> None:
        self.reports: list[dict[str, Any]] = []
        self.states: list[bytes] = []
        self._saved = saved
        self._stops_after = stops_after

    def saved(self) -> bytes:
        return self._saved

    def hear(self, report: dict[str, Any], encode: Encode) -> bool:
        self.reports.append(report)
        self.states.append(encode(None))
        return len(self.reports) == self._stops_after


def trial_of(heard: Heard, metric: str = "validation_loss") -> Trial:
    return Trial(Reports(heard), metric, {"learning_rate": 0.5}, 7, "cpu", 0)


@contextmanager
def training(heard: Heard) -> Iterator[Trial]:
    """A trial is trained, as in `with trial:`."""
    reports = Reports(heard)
    trial = Trial(reports, "validation_loss", {"learning_rate": 0.5}, 7, "cpu", 0)
    with current(trial):
        yield trial
    reports.end()


@pytest.mark.parametrize(
    ("name", "ours", "in_keras"),
    [
        ("val_loss", "validation_loss", "validation_loss"),
        ("val/loss", "validation_loss", "validation_loss"),
        ("eval_accuracy", "validation_accuracy", "validation_accuracy"),
        ("train_loss", "training_loss", "training_loss"),
        ("loss", "training_loss", "training_loss"),
        ("accuracy", "accuracy", "training_accuracy"),
        ("validation_loss", "validation_loss", "validation_loss"),
        ("value_loss", "value_loss", "training_value_loss"),
        ("val_", "val_", "training_val_"),
    ],
)
def test_metrics_have_strides_names(name: str, ours: str, in_keras: str) -> None:
    assert (stride_name(name), stride_name_of_training(name)) == (ours, in_keras)


def test_a_step_without_the_metric_that_counts_is_told_with_the_next_and_the_frameworks_name_for_it_is_known() -> None:
    heard = Heard()
    reporter = Reporter(trial_of(heard, "val_auc"), names=stride_name)
    reporter.begin()
    assert not reporter.report({"loss": 2.0, "lr": 0.1}, step=1, state=lambda: {"epoch": 1})
    assert heard.reports == []
    reporter.report({"loss": torch.tensor(1.0), "val_auc": 0.5, "val_by_class": [1, 2]}, step=2, learning_rate=0.1, state=dict)
    [report] = heard.reports
    assert report["metrics"] == {"training_loss": 1.0, "validation_auc": 0.5, "val_auc": 0.5}
    assert (report["step"], report["rate"]) == (2, 0.1)
    with pytest.raises(TypeError, match="val_auc is 'high', which is text"):
        reporter.report({"val_auc": "high"})


def test_a_job_that_declares_its_metrics_is_told_these_only() -> None:
    heard = Heard()
    trial = trial_of(heard)
    trial.declared = frozenset({"validation_loss"})
    reporter = Reporter(trial, names=stride_name)
    reporter.begin()
    reporter.report({"val_loss": 2.0, "val_accuracy": 0.5, "loss": 1.0}, state=dict)
    assert heard.reports[0]["metrics"] == {"validation_loss": 2.0, "training_loss": 1.0}


def test_a_training_that_never_measures_the_metric_that_counts_says_what_it_measured() -> None:
    reporter = Reporter(trial_of(Heard()), names=stride_name)
    reporter.begin()
    reporter.report({"loss": 2.0})
    with pytest.raises(TypeError, match="not given validation_loss, the metric that counts: it was given training_loss"):
        reporter.end()


def test_the_trial_is_the_one_that_is_trained_and_there_may_be_none() -> None:
    reporter = Reporter(None)
    assert (reporter.begin(), reporter.report({"validation_loss": 1.0})) == (None, False)
    reporter.end()
    heard = Heard(stops_after=1)
    with current(trial_of(heard)):
        reporter.begin()
        assert reporter.report({"validation_loss": 1.0}, state=dict) is True
    assert len(heard.reports) == 1
    with current(trial_of(heard)), current(named := trial_of(heard)):  # as where threads train
        with pytest.raises(RuntimeError, match="2 trials are trained in this process at once: name the one that is meant"):
            reporter.begin()
        assert Reporter(named).trial is named
    with pytest.raises(TypeError, match=r"given a str: it takes the stride\.Trial"):
        Reporter("trial")  # type: ignore[arg-type]


def train(heard: Heard, *, steps: int = 4) -> int:
    """A loop with a schedule; returns with which step it began."""
    torch.manual_seed(7)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 1))
    groups = [{"params": net[0].parameters(), "lr": 0.25}, {"params": net[2].parameters(), "name": "head"}]
    optimizer = torch.optim.Adam(groups, lr=0.5)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    with training(heard) as trial, follow(optimizer, net, schedule, trial=trial) as followed:
        first = followed.done
        while followed.done < steps:
            loss = net(torch.randn(8, 3)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if followed.report(validation_loss=loss):
                break
    return first


def test_a_loop_that_is_followed_tells_the_applied_rates_and_goes_on_bit_for_bit() -> None:
    whole, begun = Heard(), Heard(stops_after=2)
    assert (train(whole), train(begun)) == (0, 0)
    rates = [(report["rate"], report["metrics"]["learning_rate/head"]) for report in whole.reports]
    assert rates == [(0.25, 0.5), (0.125, 0.25), (0.0625, 0.125), (0.03125, 0.0625)]
    resumed = Heard(begun.states[-1])
    assert train(resumed) == 2
    told = [[(each["step"], each["metrics"]) for each in heard.reports] for heard in (whole, begun, resumed)]
    assert told[0] == told[1] + told[2]
    assert len(told[1]) == 2


def test_the_loop_in_the_guide_is_followed() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "guide" / "callbacks.md").read_text(encoding="utf-8")
    [script] = re.findall(r"^```python\n(# digits_updates\.py\n.*?)^```$", guide, flags=re.MULTILINE | re.DOTALL)
    module: dict[str, Any] = {"__name__": "digits_updates"}
    exec(script, module)
    torch.manual_seed(7)
    whole = Heard()
    with training(whole):
        module["train"](lr=0.1)
    losses = [report["metrics"]["validation_loss"] for report in whole.reports]
    assert losses == sorted(losses, reverse=True)
    assert [report["step"] for report in whole.reports] == [1, 2, 3, 4]
    resumed = Heard(whole.states[2])
    with training(resumed):
        module["train"](lr=0.1)
    assert [report["metrics"] for report in resumed.reports] == [whole.reports[3]["metrics"]]


def test_outside_of_a_trial_a_loop_is_as_it_was() -> None:
    with follow(torch.nn.Linear(1, 1)) as followed:
        assert (followed.done, followed.report(validation_loss=1.0)) == (0, False)
    with pytest.raises(TypeError, match="follow was given a list, which has no state_dict"), follow([]):
        pass


@pytest.mark.parametrize(
    ("module", "package", "says"),
    [
        ("keras", "keras", "needs Keras"),
        ("lightning", "lightning", "needs Lightning"),
        ("transformers", "transformers", "[torch]"),
    ],
)
def test_a_framework_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str, package: str, says: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"stride.integrations.{module}", raising=False)
    with pytest.raises(ModuleNotFoundError) as raised:
        importlib.import_module(f"stride.integrations.{module}")
    assert says in str(raised.value)
    assert "which is not installed: pip install '" in str(raised.value)
