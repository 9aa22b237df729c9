"""Runs of commands: what they are given, what is read of them, and how they end."""

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from objectives.contract import Measurement, RunRaised
from objectives.own_modules import CatalogProblem
from objectives.scripts.command import MAX_LINE, CommandRun, check_program, placeholders
from objectives.scripts.command_entry import command_objective
from objectives.scripts.entry import Asked, ScriptFunction, from_document, to_document

PARAMS = {"learning_rate": 0.5, "name": "two words", "nesterov": True, "epochs": 4}


def run(folder: Path, code: str, *arguments: str, steps: int | str | None = None) -> CommandRun:
    """A run of a Python script."""
    (folder / "train.py").write_text(f"import json, os, sys, time\n{code}\n")
    line = " ".join([sys.executable, "-u", "train.py", *arguments])
    return run_of(line, folder, steps)


def run_of(line: str, folder: Path, steps: int | str | None = None) -> CommandRun:
    command = ScriptFunction(
        path=str(folder),
        sha256="",
        kind="command",
        name=line,
        metric="loss",
        learning_rate="learning_rate",
        steps=steps,
        params={"name": "of the declaration", "unsaid": 3},
        settings={},
    )
    return CommandRun(command, PARAMS, 7, "cpu", 1)


def losses(of: CommandRun) -> list[float]:
    return [step.metrics["loss"] for step in of]


def test_parameters_are_in_the_environment_and_in_a_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = "'STRIDE_PARAM_LEARNING_RATE', 'STRIDE_PARAM_NAME', 'STRIDE_PARAM_NESTEROV', 'STRIDE_SEED', 'STRIDE_DEVICE'"
    code = f"print([os.environ[name] for name in ({names})])\nprint(open(os.environ['STRIDE_PARAMS']).read())"
    losses(run(tmp_path, f"{code}\nprint('{{\"loss\": 1}}')"))
    environment, file = capfd.readouterr().out.splitlines()
    assert environment == "['0.5', 'two words', 'true', '7', 'cpu']"
    assert json.loads(file) == PARAMS | {"unsaid": 3}


def test_arguments_with_spaces_stay_one_and_other_braces_stay(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = "print(sys.argv[1:])\nprint(json.dumps({'loss': 1.0}))"
    losses(run(tmp_path, code, "--lr={learning_rate}", "{name}", "{nesterov}", "{seed}", "'{\"a\": {other}}'"))
    assert capfd.readouterr().out == "['--lr=0.5', 'two words', 'true', '7', '{\"a\": {other}}']\n"


def test_measurements_are_lines_of_json_beside_other_lines(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = (
        'print(\'epoch 1\')\nprint(\'{"loss": 0.5, "accuracy": 1, "learning_rate": 0.25}\')\nprint(\'{"note": 1}\')\n'
        "open(os.environ['STRIDE_REPORT'], 'a').write('{\"step\": 3, \"loss\": 0.25}\\n')"
    )
    first, second = run(tmp_path, code, steps="epochs")
    assert (first.step, first.fraction, first.learning_rate) == (1, 0.25, 0.25)
    assert first.metrics == {"loss": 0.5, "accuracy": 1.0}
    assert (second.step, second.fraction, second.learning_rate) == (3, 0.75, 0.5)
    assert capfd.readouterr().out == 'epoch 1\n{"note": 1}\n'


def test_a_measurement_is_there_as_soon_as_it_is_printed(tmp_path: Path) -> None:
    steps = iter(run(tmp_path, "print('{\"loss\": 1}')\ntime.sleep(60)"))
    began = time.monotonic()
    assert next(steps).step == 1
    steps.close()  # type: ignore[attr-defined]  # it is a generator
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("text", ["NaN", '"NaN"', '"nan"', "Infinity", '"-inf"', "1e999"])
def test_numbers_that_are_not_finite_may_be_text(tmp_path: Path, text: str) -> None:
    [loss] = losses(run(tmp_path, f"print('{{\"loss\": {text}}}')"))
    assert not math.isfinite(loss)


def test_half_a_line_is_put_together_and_the_last_may_lack_its_end(tmp_path: Path) -> None:
    code = (
        "for part in ('{\"lo', 'ss\": 1}\\n{\"loss', '\": 2}'):\n    print(part, end='', flush=True); time.sleep(0.2)\n"
        "open(os.environ['STRIDE_REPORT'], 'a').write('{\"loss\": 3}')"
    )
    assert sorted(losses(run(tmp_path, code))) == [1, 2, 3]


def test_a_line_of_10_mb_is_dropped_and_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert losses(run(tmp_path, "print('x' * 10_000_000)\nprint('{\"loss\": 1}')")) == [1]
    assert capfd.readouterr().out == f"Line 1 of standard output is longer than {MAX_LINE:,} bytes: it was dropped.\n"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("pass", r"^the command measured nothing: a line such as .* was expected"),
        ("print('{\"loss\": 1}')\nsys.exit(3)", r"^the command ended with exit code 3; its last lines are in the trial's log$"),
        ("os.kill(os.getpid(), 9)", r"^the command was killed by signal 9"),
        ("print('{\"loss\": [1]}')", r"^line 1 of standard output has loss \[1\]: it must be a number$"),
        ('print(\'{"loss": "low"}\')', r"^line 1 of standard output has loss 'low': it must be a number$"),
        ("print('{\"loss\": true}')", r"^line 1 of standard output has loss True: it must be a number$"),
        ("print('a')\nprint('{\"loss\": 1, \"step\": 1.5}')", r"^line 2 of standard output has the step 1.5: steps are whole"),
        (
            "open(os.environ['STRIDE_REPORT'], 'a').write('loss: 1\\n')",
            r"^line 1 of STRIDE_REPORT is 'loss: 1': it must be a JSON",
        ),
        ("print('{' * 100_000)", "measured nothing"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(tmp_path: Path, code: str, said: str) -> None:
    with pytest.raises(RunRaised, match=said):
        losses(run(tmp_path, code))


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunRaised, match=r"^the command 'no-such-program' cannot be started: No such file or directory$"):
        losses(run_of("no-such-program", tmp_path))


def begun(of: CommandRun) -> tuple[Any, Measurement, list[psutil.Process]]:
    before = set(psutil.Process().children(recursive=True))
    steps = iter(of)
    return steps, next(steps), [each for each in psutil.Process().children(recursive=True) if each not in before]


def test_a_run_that_is_stopped_gets_sigterm(tmp_path: Path) -> None:
    code = (
        "import signal\nsignal.signal(signal.SIGTERM, lambda *_: (open('stopped', 'w').close(), sys.exit()))\n"
        "print('{\"loss\": 1}')\ntime.sleep(60)"
    )
    steps, _, processes = begun(run(tmp_path, code))
    steps.close()
    assert (tmp_path / "stopped").exists()
    assert not any(each.is_running() for each in processes)


def test_a_run_that_does_not_stop_is_killed_with_its_children(tmp_path: Path) -> None:
    code = (
        "import signal, subprocess\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen(['sleep', '60'])\nprint('{\"loss\": 1}')\ntime.sleep(60)"
    )
    steps, _, processes = begun(run(tmp_path, code))
    assert len(processes) == 3, "with the guard"
    steps.close()
    assert psutil.wait_procs(processes, timeout=5)[1] == []


@pytest.mark.parametrize("left", ["sleep 60", "yes"])
def test_a_run_ends_with_its_command_whatever_that_leaves_in_the_background(tmp_path: Path, left: str) -> None:
    line = f"""sh -c '{left} & echo $! > pid; echo "{{\\"loss\\": 0.5}}"'"""
    began = time.monotonic()
    assert losses(run_of(line, tmp_path)) == [0.5]
    assert time.monotonic() - began < 30
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("cd x && train {lr}", "^no shell takes the command apart, so && would be an argument: write sh -c '...' around it$"),
        ("cd x", "^there is no program 'cd' here: it is a word of the shell, so write sh -c 'cd ...'$"),
        ("no-such-program {lr}", "^there is no program 'no-such-program' here, which the command 'no-such-program {lr}' starts$"),
        ("mine.sh {lr}", "^there is no program 'mine.sh' here: write ./mine.sh$"),
        ("./mine.sh {lr}", "^there is no program './mine.sh' here that may be executed: name its interpreter, or chmod [+]x it$"),
    ],
)
def test_a_command_that_cannot_be_started_is_one_sentence(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "mine.sh").touch()
    with pytest.raises(CatalogProblem, match=said):
        check_program(line, tmp_path)
    (tmp_path / "mine.sh").chmod(0o755)
    check_program("./mine.sh {lr}", tmp_path)


def test_the_placeholders_of_a_command_are_its_parameters() -> None:
    assert placeholders("train --lr {lr} --bs={bs} '{lr}' {seed} {device} '{\"a\": 1}'") == ["lr", "bs"]
    with pytest.raises(ValueError, match="No closing quotation"):
        placeholders("train 'x")


def described(line: str, *params: str, asked: Asked = Asked()) -> dict[str, Any]:  # noqa: B008
    objective = command_objective(line, Path("/"), params, "loss", asked).objective
    return {each.name: each.space or each.default for each in objective.parameters}


def test_what_the_parameters_of_a_command_may_be() -> None:
    space = described("train {lr} {bs} {epochs} {loss} {p}", "bs=16,32", "epochs=2:20", "loss=hinge", "p=0.1:0.9", "q=true")
    assert space == {
        "bs": {"type": "categorical", "choices": [16, 32]},
        "epochs": {"type": "int", "low": 2, "high": 20},
        "loss": "hinge",
        "p": {"type": "float", "low": 0.1, "high": 0.9, "points": 4},
        "q": True,
        "lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True, "points": 9},
    }
    assert described("train {rate}", asked=Asked(learning_rate="rate"))["rate"]["log"]
    lr = {"type": "float", "low": 1e-3, "high": 10, "log": True, "points": 9}
    assert described("train {lr}", "lr=1e-3:10:log") == {"lr": lr}
    assert described("train {lr}", "lr=1:10")["lr"]["type"] == "float", "a learning rate may be in whole numbers"
    assert list(map(type, described("train {lr}", "lr=1,2")["lr"]["choices"])) == [float, float]


@pytest.mark.parametrize(
    ("line", "params", "said"),
    [
        ("", (), "the command is empty"),
        ("train '", (), "cannot be split into words: No closing quotation"),
        ("train {lr} {bs}", (), r"it is not known what \{bs\} may be: say it with --param, as NAME=16,32,64"),
        ("train {lr}", ("lr",), "--param lr is none of"),
        ("train {lr}", ("lr=1:2:3",), "--param lr=1:2:3 is none of"),
        ("train {lr}", ("lr=a:b",), "--param lr=a:b is none of"),
        ("train {bs}", ("bs=1,2",), "has no parameter called learning_rate or lr"),
        ("train", (), r"no parameter called learning_rate or lr: write \{learning_rate\} where its value goes"),
    ],
)
def test_a_command_that_cannot_be_tuned_is_one_sentence(line: str, params: tuple[str, ...], said: str) -> None:
    with pytest.raises(CatalogProblem, match=said):
        described(line, *params)


def test_a_command_is_called_after_its_script_or_its_program(tmp_path: Path) -> None:
    (tmp_path / "mine.R").touch()
    names = {line: command_objective(line, tmp_path, [], "loss", Asked()) for line in ("Rscript mine.R {lr}", "/bin/train {lr}")}
    assert [script.objective.name for script in names.values()] == ["mine", "train"]
    for script in names.values():
        assert from_document(json.loads(json.dumps(to_document(script)))) == script
