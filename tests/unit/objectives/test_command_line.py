import signal
import subprocess
import sys

import pytest

from objectives import command_line
from objectives.entries.image_classification import IMAGE_CLASSIFICATION
from objectives.tasks.image_classification import start


def test_a_run_from_the_shell_prints_a_row_per_epoch_and_the_test_metrics() -> None:
    arguments = ["--learning-rate", "0.05", "--epochs", "2", "--batch-size", "128", "--seed", "3"]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "objectives.tasks.image_classification", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    header, first, second, test = done.stdout.splitlines()
    assert header.split() == [
        "step",
        "learning_rate",
        "validation_loss",
        "validation_accuracy",
        "training_loss",
        "seconds",
    ]
    assert [first.split()[0], second.split()[0]] == ["1", "2"]
    assert test.startswith("test_loss ")
    assert done.stderr == ""


def test_ctrl_c_ends_a_run_quietly() -> None:
    command = [sys.executable, "-m", "objectives.tasks.image_classification", "--epochs", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline().startswith("step ")
        run.send_signal(signal.SIGINT)
        _, told = run.communicate(timeout=60)

    assert run.returncode == 130
    assert told == ""


def test_a_diverged_run_ends_with_its_reason_and_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    command_line.main(IMAGE_CLASSIFICATION, start, ["--learning-rate", "1000", "--epochs", "5"])
    _header, step, reason, _test = capsys.readouterr().out.splitlines()
    assert step.split()[0] == "1"
    assert reason.startswith("diverged: training loss became ")


def test_lists_pairs_and_switches_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--epochs", "1", "--schedule", "multi-step", "--milestones", "0.2,0.4", "--nesterov", "true"]
    command_line.main(IMAGE_CLASSIFICATION, start, [*arguments, "--learning-rate-multipliers", "1.*=0.5,3.bias=0"])
    _header, step, _test = capsys.readouterr().out.splitlines()
    assert step.split()[1] == "0.0002"


MULTIPLIERS = "argument --learning-rate-multipliers: "


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--learning-rate", "0"], "argument --learning-rate: must be a number above 0, not '0'"),
        (["--learning-rate", "inf"], "argument --learning-rate: must be a number above 0, not 'inf'"),
        (["--learning-rate", "fast"], "argument --learning-rate: must be a number above 0, not 'fast'"),
        (["--momentum", "1"], "argument --momentum: must be a number of at least 0 and below 1, not '1'"),
        (["--epochs", "2.5"], "argument --epochs: must be a whole number of at least 1 and of at most 2147483647, not '2.5'"),
        (["--threads", "0"], "argument --threads: must be a whole number of at least 1 and of at most 256, not '0'"),
        (["--model", "vit"], "argument --model: invalid choice: 'vit' (choose from 'mlp', 'cnn', 'resnet')"),
        (["--nesterov", "yes"], "argument --nesterov: invalid choice: 'yes' (choose from False, True)"),
        (["--milestones", "0.5,1"], "argument --milestones: must be a number above 0 and below 1, not '1'"),
        (["--learning-rate-multipliers", "1.weight"], MULTIPLIERS + "must be name=number, separated by commas, not '1.weight'"),
        (["--learning-rate-multipliers", "1.weight=x"], MULTIPLIERS + "must be a number of at least 0, not 'x'"),
        (["--microbatch-size", "0"], "argument --microbatch-size: must be a whole number of at least 1, not '0'"),
        (["--fold", "5"], "argument --fold: must be a whole number of at least 0 and of at most 4, not '5'"),
        (["--height", "9"], "unrecognized arguments: --height 9"),
        (
            ["--batch-size", "5000"],
            "argument --batch-size: batch_size 5000 exceeds the 1079 examples of the training set with dataset digits: lower it",
        ),
        (["--batch-size", "1078"], "batch_size 1078 exceeds the 1077 examples of the training set."),
        (["--device", "abacus"], "device is 'abacus', which torch does not know."),
    ],
)
def test_an_argument_that_cannot_be_used_gives_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        command_line.main(IMAGE_CLASSIFICATION, start, arguments)
    assert stop.value.code == 2
    assert capsys.readouterr().err == message + "\n"
