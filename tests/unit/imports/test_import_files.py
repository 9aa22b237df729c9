"""What is read of CSV, parquet and JSON lines, and what is refused, by file, row and column."""

import builtins
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from objectives.contract import DataProblem
from service.imports import files
from service.imports.files import read_table
from service.imports.run import Log, Missing, Shorter
from service.imports.runs import Columns, log_of, where

ROWS = [(0.1, 16, 1.5, 3), (0.01, 32, 0.5, 4), (0.001, 16, 0.9, 5)]


def read(
    path: Path, *, direction: Any = "minimize", missing: Missing | None = None, shorter: Shorter | None = None, **columns: Any
) -> Log:
    named = Columns(**({"learning_rate": "lr", "metric": "loss"} | columns))
    return log_of(read_table(path), named, direction=direction, missing=missing, shorter=shorter)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def csv(folder: Path, *lines: str) -> Path:
    return written(folder / "runs.csv", "\n".join(lines) + "\n")


def in_short(log: Log) -> list[tuple[Any, ...]]:
    return [(run.params, run.seed, run.ending, [(step.step, step.metrics["loss"]) for step in run.steps]) for run in log.runs]


def test_the_same_runs_are_read_of_csv_of_json_lines_and_of_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ("lr", "batch_size", "loss", "seed")
    columns = dict(zip(names, zip(*ROWS, strict=True), strict=True))
    pq.write_table(pa.table({name: list(values) for name, values in columns.items()}), tmp_path / "runs.parquet")
    of_csv = csv(tmp_path, ",".join(names), *(",".join(map(str, row)) for row in ROWS))
    lines = [
        f'{{"lr": {rate}, "batch_size": {size}, "loss": {loss}, "seed": {seed}, "of": {{"a": [1]}}}}'
        for rate, size, loss, seed in ROWS
    ]
    of_lines = written(tmp_path / "runs.jsonl", "\n".join(lines))
    for path in (of_csv, of_lines, tmp_path / "runs.parquet"):
        assert in_short(read(path, params=["batch_size"], seed="seed")) == [
            ({"batch_size": size, "lr": rate}, seed, "completed", [(1, loss)]) for rate, size, loss, seed in ROWS
        ]


def test_a_list_is_a_curve_that_ends_where_it_stops_being_finite(tmp_path: Path) -> None:
    path = written(
        tmp_path / "runs.jsonl",
        '{"lr": 0.1, "loss": [3, 2.5, 1], "training_loss": [3, 2, 1], "p": {"layers": 2}}\n\n'
        '{"lr": 1, "loss": [3, NaN, 2, "inf", "nan", "nan"], "training_loss": [1], "p": {"layers": 3}}\n',
    )
    log = read(path, params=["p.layers"])
    assert [run.params["p.layers"] for run in log.runs] == [2, 3]
    assert [dict(step.metrics) for step in log.runs[0].steps] == [
        {"loss": 3, "training_loss": 3},
        {"loss": 2.5, "training_loss": 2},
        {"loss": 1, "training_loss": 1},
    ]
    assert [(step.step, step.metrics["loss"]) for step in log.runs[1].steps] == [(1, 3), (3, 2), (4, math.inf)], (
        "what follows the last finite value is cut but for one, and a nan before it was not measured"
    )


def test_null_in_a_list_was_not_measured_and_a_list_may_have_its_steps_beside_it(tmp_path: Path) -> None:
    path = written(
        tmp_path / "runs.jsonl",
        '{"lr": 0.1, "loss": [3, null, 1], "_step": [0, 10, 20]}\n{"lr": 0.2, "loss": [2, 2, 2], "_step": [10, 20, 30]}\n',
    )
    assert in_short(read(path, step="_step")) == [
        ({"lr": 0.1}, None, "completed", [(1, 3), (21, 1)]),
        ({"lr": 0.2}, None, "completed", [(11, 2), (21, 2), (31, 2)]),
    ]
    for cell, said in (
        ("[0, 1]", "as many steps as loss has values, 3"),
        ("[0, 2, 1]", "and go upwards"),
        ('["a", 1, 2]', "'a'"),
    ):
        wrong = written(tmp_path / "runs.jsonl", f'{{"lr": 0.1, "loss": [3, 2, 1], "_step": {cell}}}')
        with pytest.raises(DataProblem, match=said):
            read(wrong, step="_step")


def test_nan_of_tables_is_divergence_only_where_no_number_follows(tmp_path: Path) -> None:
    # As pandas writes a table in which each of training and validation was logged in rows of its own.
    own_rows = (
        "0.1,1,2,nan",
        "0.1,2,nan,3",
        "0.1,3,1,nan",
        "0.1,4,nan,2",
        "1,1,9,nan",
        "1,2,nan,8",
        "1,3,nan,nan",
        "1,4,nan,nan",
    )
    log = read(csv(tmp_path, "lr,step,training_loss,loss", *own_rows), step="step")
    assert [[(step.step, len(step.metrics)) for step in run.steps] for run in log.runs] == [[(2, 1), (4, 1)], [(2, 1), (3, 1)]]
    assert math.isnan(log.runs[1].steps[-1].metrics["loss"])
    together = ("0.1,1,nan,3", "0.1,2,1,2", "1,1,2,8", "1,2,nan,8")
    one, other = read(csv(tmp_path, "lr,step,training_loss,loss", *together), step="step").runs
    assert [len(step.metrics) for step in one.steps] == [1, 2]
    assert math.isnan(other.steps[-1].metrics["training_loss"])


def test_runs_that_end_before_others_are_told_and_are_what_an_option_says(tmp_path: Path) -> None:
    rows = [f"{rate},{step},{rate}" for rate, n in ((0.1, 4), (0.2, 2), (0.3, 4), (0.4, 1)) for step in range(1, n + 1)]
    path = csv(tmp_path, "lr,step,loss", *rows, "0.5,1,nan")
    log = read(path, step="step")
    assert [run.ending for run in log.runs] == ["completed"] * 5
    assert log.notes[-1].startswith("2 of 5 runs end early, such as that of row 6 at step 2, where the longest has 4: they count")
    for shorter in ("pruned", "failed"):
        log = read(path, step="step", shorter=shorter)  # type: ignore[arg-type]
        assert [run.ending for run in log.runs] == ["completed", shorter, "completed", shorter, "completed"]
        assert (log.runs[1].reason, len(log.notes)) == ("it ends at step 2 of 4", 1)
    assert len(read(path, step="step", shorter="completed").notes) == 1
    told = csv(tmp_path, "lr,step,loss,epochs", "0.1,1,1,2", "0.1,2,1,2", "0.2,1,1,1")
    assert len(read(told, step="step", params=["epochs"]).notes) == 1, "epochs says how many steps there were to be"


def test_rows_that_look_like_steps_are_told(tmp_path: Path) -> None:
    path = csv(tmp_path, "lr,trainer/global_step,loss", "0.1,1,3", "0.1,2,2", "0.2,1,3")
    [note] = read(path).notes
    assert note.endswith("differ in trainer/global_step: if they are steps of a run, say --step trainer/global_step.")
    assert read(csv(tmp_path, "lr,epoch,loss", "0.1,9,3", "0.2,8,2")).notes == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("runs.csv", "lr;batch size;loss\n0.1;16;1.5\n0.2;32;nan\n"),
        ("runs.tsv", "lr\tbatch size\tloss\n0.1\t16\t1.5\n0.2\t32\tnan\n"),
        ("runs.json", '[{"lr": 0.1, "batch size": 16, "loss": 1.5}, {"lr": 0.2, "batch size": 32, "loss": NaN}]'),
    ],
)
def test_other_separators_and_lists_in_json_are_read(tmp_path: Path, name: str, text: str) -> None:
    one, other = read(written(tmp_path / name, text), params=["batch size"]).runs
    assert (one.params, one.final("loss"), other.params) == ({"lr": 0.1, "batch size": 16}, 1.5, {"lr": 0.2, "batch size": 32})
    assert math.isnan(other.final("loss"))


def test_rows_are_steps_of_the_run_that_a_column_names(tmp_path: Path) -> None:
    # As loggers write: the rate in a run's first row only, training and validation in rows of their own.
    path = csv(
        tmp_path,
        *("id,lr,epoch,loss,training_loss", "a,0.1,1,,9", "a,,1,3,", "b,0.2,1,4,5", "a,,2,2,"),
        *("b,0.2,2,nan,", "007,0.3,1,1,", "7,0.3,1,2,"),
    )
    log = read(path, step="epoch", run="id")
    assert [(run.attributes["run"], run.params["lr"], run.last_step) for run in log.runs] == [
        *(("a", 0.1, 2), ("b", 0.2, 2)),
        *(("007", 0.3, 1), ("7", 0.3, 1)),
    ]
    assert [step.metrics["loss"] for step in log.runs[0].steps] == [3, 2]
    assert [note[:12] for note in log.notes] == ["2 of 4 runs "]


def test_without_such_a_column_equal_parameters_and_seed_make_a_run_and_it_says_so(tmp_path: Path) -> None:
    path = csv(tmp_path, "lr,s,step,loss", "0.1,1,0,3", "0.10,1,1,2", "0.1,2,0,3", "0.2,1,0,4")
    log = read(path, step="step", seed="s")
    assert [(run.params["lr"], run.seed, run.last_step) for run in log.runs] == [(0.1, 1, 2), (0.1, 2, 1), (0.2, 1, 1)]
    told, counted, _ = log.notes
    assert "equal lr and s are taken for one run: 3 of them" in told
    assert "step is counted from 0 there" in counted


def test_a_flag_says_what_has_diverged_and_an_option_what_an_empty_cell_is(tmp_path: Path) -> None:
    path = csv(tmp_path, "lr,loss,broken", "0.1,1,False", "0.2,2,true", "0.3,,1", "0.4,nan,no")
    assert [run.ending for run in read(path, diverged="broken").runs] == ["completed", "diverged", "diverged", "completed"]
    assert [run.ending for run in read(path, missing="failed").runs] == ["completed", "completed", "failed", "completed"]
    assert [run.ending for run in read(path, missing="diverged").runs][2] == "diverged"
    assert math.isnan(read(path, diverged="broken").runs[3].steps[-1].metrics["loss"]), "the API judges it"


def test_only_rows_that_are_asked_for_are_read(tmp_path: Path) -> None:
    table = read_table(written(tmp_path / "r.jsonl", '{"lr": 1, "task": "a", "n": 2}\n{"lr": 2, "task": "b", "n": 2.0}\n'))
    assert where(table, {"n": "2"}).columns["lr"] == [1, 2]
    assert where(read_table(csv(tmp_path, "lr,n", "1,2", "2,2.0", "3,4")), {"n": "2.00"}).columns["lr"] == ["1", "2"]
    kept = where(table, {"task": "b", "n": "2"})
    assert (kept.columns["lr"], kept.row(0)) == ([2], "r.jsonl, line 2")
    with pytest.raises(DataProblem, match=r"no row where task is 'c' \(--where\); it is: a, b"):
        where(table, {"task": "c"})


def test_parameters_have_one_type_each(tmp_path: Path) -> None:
    path = csv(tmp_path, "lr,loss,whole,part,text,truth", "0.1,1,1,1,sgd,True", "0.2,1,2,2.5,adam,false")
    log = read(path, params=["whole", "part", "text", "truth"])
    assert [dict(run.params) for run in log.runs] == [
        {"whole": 1, "part": 1.0, "text": "sgd", "truth": True, "lr": 0.1},
        {"whole": 2, "part": 2.5, "text": "adam", "truth": False, "lr": 0.2},
    ]


@pytest.mark.parametrize(
    ("lines", "columns", "said"),
    [
        (["rate,loss", "1,1"], {}, "has no column 'lr' (--learning-rate); its columns are rate, loss"),
        (["lr,loss", "1,1", ",2", "1,1", ",4"], {}, "row 3, column 'lr' is empty, as in 2 of 4 runs"),
        (["lr,loss", "1,1", "0,2"], {}, "row 3, column 'lr': '0' is no learning rate"),
        (["lr,loss", "-1e-3,1"], {}, "row 2, column 'lr': '-1e-3' is no learning rate"),
        (["lr,loss", "nan,1"], {}, "row 2, column 'lr': 'nan' is no learning rate"),
        (["lr,loss", "1,1", "inf,1"], {}, "row 3, column 'lr': 'inf' is no learning rate"),
        (["lr,loss", "1,1", "1,good"], {}, "row 3, column 'loss': 'good' is not a number."),
        (["lr,loss", "1,5%"], {}, "row 2, column 'loss': '5%' is not a number: write plain numbers"),
        (["lr,loss", "1,", "1,2"], {}, "row 2, column 'loss' is empty: write nan where a run diverged"),
        (["lr,loss,x", "1,1,a", "1,1,2"], {"params": ["x"]}, "row 2, column 'x': 'a' is not a number, but other cells"),
        (["lr,loss,x", "1,1,a", "1,1,"], {"params": ["x"]}, "row 3, column 'x' is empty: every run needs its value"),
        (["lr,loss,x", "1,1,inf"], {"params": ["x"]}, "row 2, column 'x': 'inf' is not a finite number"),
        (["lr,loss,s", "1,1,1.5"], {"seed": "s"}, "row 2, column 's': '1.5' is no seed"),
        (["lr,loss,s", "1,1,-1"], {"seed": "s"}, "row 2, column 's': '-1' is no seed"),
        (["lr,loss,s", f"1,1,{'9' * 5000}"], {"seed": "s"}, "99... is no seed, which is a whole number"),
        (["lr,loss,d", "1,1,maybe"], {"diverged": "d"}, "row 2, column 'd': 'maybe' does not say whether the run diverged"),
        (["lr,loss", "1,1"], {"params": ["loss"]}, "column 'loss' is named twice, by --metric and by --param"),
        (["lr,step,loss", "1,1,1", "1,2,1", "1,1,3"], {"step": "step"}, "row 4: step 1 of this run stands in row 2 too"),
        (["lr,step,loss", "1,1.5,1"], {"step": "step"}, "row 2, column 'step': '1.5' is no step"),
        (["id,lr,loss", "a,1,1", "a,1,2"], {"run": "id"}, "row 3 is of the same run as row 2, 'a': name the column of its steps"),
        (
            ["id,lr,s,loss", "a,1,1,1", "a,2,2,2"],
            {"run": "id", "step": "s"},
            "row 3, column 'lr': 2.0, but row 2 of the same run",
        ),
        (["id,lr,s,loss", "a,1,1,1", ",2,2,2"], {"run": "id", "step": "s"}, "row 3, column 'id' is empty: it must say which run"),
        (["lr,loss"], {}, "holds no data"),
        (["lr;loss", "1;0,5"], {}, "row 2, column 'loss': '0,5' is not a number: write plain numbers"),
        (["lr|loss", "1|2"], {}, "row 1 names one column only"),
    ],
)
def test_what_cannot_be_read_is_refused_by_row_and_column(
    tmp_path: Path, lines: list[str], columns: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataProblem) as refused:
        read(csv(tmp_path, *lines), **columns)
    assert said in str(refused.value)
    assert "runs.csv" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.jsonl", '{"lr": 1}\n{lr}\n', "line 2 is not JSON"),
        ("a.jsonl", '[{"lr": 1}]\n', "line 1 holds a list, where an object"),
        ("a.jsonl", '{"lr": 1, "loss": [1, "x"]}\n', "line 1, column 'loss', element 2: 'x' is not a number"),
        ("a.jsonl", '{"lr": 1, "net": "\\ud800"}\n', "line 1 holds half of a character"),
        ("a.jsonl", "\n", "holds no runs"),
        ("a.jsonl", '{"lr": 1, "loss": [1, null]}\n', "line 1, column 'loss', element 2 is null, and no number follows"),
        ("a.json", '{"lr": 1}', "holds no list of runs"),
        ("a.json", '[{"lr": 1}, 3]', "element 2 holds a single value, where an object"),
        ("a.json", "[", "is not JSON"),
        ("a.txt", "lr\n", "must end in .csv, .tsv, .parquet"),
        ("a.parquet", "lr\n", "cannot be read as a parquet file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(DataProblem) as refused:
        read(written(tmp_path / name, text))
    assert said in str(refused.value)


def test_a_file_that_is_missing_or_huge_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataProblem, match=r"none.csv cannot be read: no such file"):
        read_table(tmp_path / "none.csv")
    monkeypatch.setattr(files, "MOST_BYTES", 3)
    with pytest.raises(DataProblem, match=r"has 8 bytes, and at most 3 are read"):
        read_table(csv(tmp_path, "a,b", "1,2"))


def test_more_runs_than_are_imported_at_once_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.imports.runs.MAX_IMPORTED", 2)
    with pytest.raises(DataProblem, match=r"runs.csv has 3 runs: at most 2 are imported at once"):
        read(csv(tmp_path, "lr,loss", "1,1", "2,1", "3,1"))


def test_a_name_of_two_parquet_columns_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [pa.array([0.1]), pa.array([0.2])]
    pq.write_table(pa.Table.from_arrays(columns, names=["lr", "lr"]), tmp_path / "a.parquet")
    with pytest.raises(DataProblem, match=r"a.parquet has two columns 'lr', but names must be unique"):
        read_table(tmp_path / "a.parquet")


def test_parquet_needs_pyarrow_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataProblem, match=r"needs pyarrow to be read: install it, or Stride with its extra data"):
        read_table(written(tmp_path / "runs.parquet", ""))


def test_structs_and_decimals_of_parquet_are_columns_and_numbers(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"config": {"optimizer": {"lr": Decimal("0.1")}, "batch_size": Decimal(16)}, "loss": [Decimal("1.5"), Decimal("0.5")]}
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "runs.parquet")
    log = read(tmp_path / "runs.parquet", learning_rate="config.optimizer.lr", params=["config.batch_size"])
    (run,) = log.runs
    assert run.params == {"config.optimizer.lr": 0.1, "config.batch_size": 16}
    assert type(run.params["config.batch_size"]) is int
    assert [step.metrics["loss"] for step in run.steps] == [1.5, 0.5]
