import io
import json
from pathlib import Path

import pytest

from service.commands.documents import read_document
from service.errors import ConfigurationError


@pytest.fixture
def job(tmp_path: Path) -> Path:
    return tmp_path / "job.yaml"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("1E5", 1e5),
        (".5", 0.5),
        ("-3", -3),
        ("010", 10),
        ("08", 8),
        ("true", True),
        ("no", "no"),
        ("12:30", "12:30"),
        ("2026-11-21", "2026-11-21"),
        ("null", None),
        ('"1e-5"', "1e-5"),
        ("[16, 32]", [16, 32]),
        ("{type: float, low: 1e-05, log: true}", {"type": "float", "low": 1e-5, "log": True}),
    ],
)
def test_values_are_what_yaml_1_2_and_json_say(job: Path, text: str, value: object) -> None:
    job.write_text(f"value: {text}\n")
    assert read_document(str(job)) == {"value": value}


def test_json_is_yaml(job: Path) -> None:
    job.write_text('{"objective": {"name": "a\\u00e9"}, "search_space": {"learning_rate": 1e-05}}')
    assert read_document(str(job)) == {"objective": {"name": "aé"}, "search_space": {"learning_rate": 1e-5}}


def test_a_dash_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"seed: 3")))
    assert read_document("-") == {"seed": 3}


@pytest.mark.parametrize("locale", ["utf-8", "ascii", "latin-1"])
def test_standard_input_is_utf_8_whatever_the_locale(monkeypatch: pytest.MonkeyPatch, locale: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("name: é".encode()), encoding=locale, errors="surrogateescape"))
    assert read_document("-") == {"name": "é"}
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"seed: 3\nname: \xe9"), encoding=locale))
    with pytest.raises(ConfigurationError, match=r"^standard input is not UTF-8 text, in line 2: save it as UTF-8\.$"):
        read_document("-")


def test_letters_beyond_16_bits_are_read_as_json_writes_them(job: Path) -> None:
    job.write_text(json.dumps({"name": "🦜", "labels": {"🦜": "x"}}))
    assert read_document(str(job)) == {"name": "🦜", "labels": {"🦜": "x"}}
    job.write_text('{"🦜": 1, "\\ud83e\\udd9c": 2}')
    with pytest.raises(ConfigurationError, match=r"the key '🦜' is given twice"):
        read_document(str(job))


def test_keys_are_text_as_they_are_written(job: Path) -> None:
    job.write_text("labels: {1: a, true: b, null: c, 1e-5: d, ~: e, 'x': f}")
    assert read_document(str(job)) == {"labels": {"1": "a", "true": "b", "null": "c", "1e-5": "d", "~": "e", "x": "f"}}


@pytest.mark.parametrize(
    ("text", "key", "where"),
    [
        ("seed: 1\nmetric: a\nseed: 2\n", "seed", "lines 1 and 3"),
        ("a:\n  rate: {low: 1, log: true}\n  other: 1\n  rate: {low: 2}\n", "rate", "lines 2 and 4"),
        ("a: [{b: {c: 1, c: 1}}]", "c", "line 1"),
        ('{"seed": 1,\n "seed": 2}', "seed", "lines 1 and 2"),
        ('{"seed": 1, "s\\u0065ed": 2}', "seed", "line 1"),
        ('1: a\n"1": b', "1", "lines 1 and 2"),
        ("a: {<<: {b: 1}, <<: {b: 2}}", "<<", "line 1"),
    ],
)
def test_a_key_given_twice_is_refused_with_its_lines(job: Path, text: str, key: str, where: str) -> None:
    job.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        read_document(str(job))
    assert str(refused.value) == f"{job}: the key {key!r} is given twice, in {where}: give it once."


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no job"),
        (b"- 1", "holds no job"),
        (b"a: [", "neither YAML nor JSON: expected the node content.* in line 1"),
        (b"\xff", "not UTF-8"),
        (b"a: \x00", "neither YAML nor JSON"),
        (b"b: 1\na: .inf", r"'\.inf', in line 2, cannot be read as a finite number\.$"),
        (b"a: .nan", r"'\.nan', in line 1, cannot be read as a finite number\.$"),
        (b"a: -1e400", r"'-1e400', in line 1, cannot be read as a finite number\.$"),
        (b"a: !!float x", r"'x', in line 1, cannot be read as a finite number\.$"),
        (b"a: !!int x", r"'x', in line 1, cannot be read as a whole number\.$"),
        (b"a: " + b"9" * 5_000, r"'9{37}\.\.\.', in line 1, cannot be read as a whole number\.$"),
        (b"a: !!bool x", r"'x', in line 1, cannot be read as true or false\.$"),
        (b'a: "\\ud800"', r"in line 1, cannot be read as text: it holds half a surrogate pair\.$"),
        (b"a: {<<: {b: 1}, c: 2}", r"the merge key <<, in line 1, is not of YAML 1\.2: write the fields out\.$"),
        (b"a: &a [*a]", "contains itself, by an alias: JSON cannot"),
        (b"a: &a {b: *a}", "contains itself, by an alias: JSON cannot"),
        (b"a:\n  [1]: 2", "neither YAML nor JSON: a key must be text, in line 2"),
        (b"a: !!binary aGk=", "neither YAML nor JSON: could not determine a constructor .* in line 1"),
        (b"a: !!timestamp 2026-11-21", "neither YAML nor JSON: could not determine a constructor .* in line 1"),
        (b"a: !!python/name:os.system", "neither YAML nor JSON"),
    ],
)
def test_what_is_no_job_is_refused_with_the_reason(job: Path, content: bytes, said: str) -> None:
    job.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"^{job}:? .*{said}"):
        read_document(str(job))
